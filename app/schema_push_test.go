package app

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const pushedFile = `tables:
  - name: trips
    isFactTable: true
    columns:
      - {name: ts, type: Uint32}
      - {name: id, type: Int64}
      - {name: city, type: Uint16}
      - {name: status, type: SmallEnum, defaultValue: new, enumCases: [new, paid]}
      - {name: updated_at, type: TimestampTZ}
      - {name: n, type: Int32, defaultValue: "5"}
    primaryKeyColumns: [id]
    archivingSortColumns: [city, status]
    config: {recordRetentionInDays: 3}
  - name: cities
    columns: [{name: id, type: Int32}, {name: name, type: String}]
    primaryKeyColumns: [id]
`

// TestTablesArePushedToServers declares tables at each kind of server by a file, lets a pipeline load one of them, and
// changes and refuses as the warehouse does.
func TestTablesArePushedToServers(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) target{"postgres": postgresTarget, "mariadb": mariadbTarget, "clickhouse": clickhouseTarget} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, to, dir := postgresDatabase(t), open(t), t.TempDir()
			file := filepath.Join(dir, "tables.yaml")
			write := func(text string) {
				t.Helper()
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			command := func(code int, args ...string) string {
				t.Helper()
				r := arus(t, dir, append(args, file, "--destination", "d")...)
				if r.code != code {
					t.Fatalf("arus %v: exit code %d, want %d\n%s%s", args, r.code, code, r.out, r.errOut)
				}
				return r.out + r.errOut
			}
			has := func(text string, parts ...string) {
				t.Helper()
				for _, p := range parts {
					if !strings.Contains(text, p) {
						t.Errorf("no %q in\n%s", p, text)
					}
				}
			}
			mustArus(t, dir, append([]string{"destination", "add", "d", to.url}, to.args...)...)
			mustArus(t, dir, "source", "add", "s", from.url)
			write(pushedFile)
			has(command(exitOK, "schema", "plan"), "create table", "fact table, by the UTC day of ts, key (id)", "CREATE TABLE", "cities")
			has(command(exitFailed, "schema", "diff"), "create table") // planning made nothing
			has(command(exitOK, "schema", "apply"), "create table", "done: ")
			has(command(exitOK, "schema", "diff"), "nothing to change")

			from.exec(t, "CREATE TABLE trips (ts bigint NOT NULL, id bigint PRIMARY KEY, city int, status text, updated_at timestamptz NOT NULL)",
				"INSERT INTO trips SELECT 1700000000 + i * 40000, i, i % 3, CASE i % 2 WHEN 0 THEN 'new' ELSE 'paid' END, '2026-01-01'::timestamptz + i * interval '1 minute' FROM generate_series(1, 50) i",
				"INSERT INTO trips VALUES (extract(epoch FROM now()), 51, NULL, 'new', '2026-01-02'), (extract(epoch FROM now() + interval '300 days'), 52, 1, 'new', '2026-01-02')")
			mustArus(t, dir, append([]string{"pipeline", "add", "p", "--source", "s", "--destination", "d"}, to.args...)...)
			same := func(what string) {
				t.Helper()
				const columns = "ts, id, coalesce(city, -1), status"
				want := from.rows(t, "SELECT "+columns+" FROM trips ORDER BY id")
				got := to.read(t, "SELECT "+strings.Replace(columns, "coalesce(city, -1)", map[bool]string{true: "ifNull(toInt64(city), -1)", false: "coalesce(city, -1)"}[name == "clickhouse"], 1)+" FROM "+to.name("trips")+" ORDER BY id")
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%s: the target has\n%v\nand the source\n%v", what, got, want)
				}
				has(command(exitOK, "schema", "diff"), "nothing to change")
			}
			run := func() {
				t.Helper()
				if report := readReport(t, arus(t, dir, "run", "p", "--json", "--quiet")); report.Status != "success" {
					t.Fatalf("the run is %s: %s", report.Status, report.Error)
				}
			}
			run()
			same("after the first load")
			from.exec(t, "UPDATE trips SET ts = ts + 86400 * 3, city = 9, updated_at = '2026-01-03' WHERE id IN (3, 4)", "UPDATE trips SET status = 'paid', city = NULL, updated_at = '2026-01-03' WHERE id IN (7, 8)",
				"INSERT INTO trips VALUES (5, 60, 1, 'new', '2026-01-03')")
			run()
			same("after a merge")
			if got := to.read(t, "SELECT count(*) FROM "+to.name("trips")+" WHERE n = 5"); len(got) != 1 || !strings.Contains(got[0], "53") {
				t.Errorf("rows with the default: %v", got)
			}

			write(strings.Replace(strings.Replace(pushedFile, "[new, paid]", "[new, paid, gone]", 1), `defaultValue: "5"}`, `defaultValue: "5"}`+"\n      - {name: tip, type: Float64}", 1))
			has(command(exitOK, "schema", "plan"), "add enum cases", "gone", "add column", "tip")
			command(exitOK, "schema", "apply")
			has(command(exitOK, "schema", "diff"), "nothing to change")
			write(strings.Replace(strings.Replace(pushedFile, "type: Uint16", "type: Int64", 1), "type: String}", "type: String}, {name: more, type: Bool}", 1))
			has(command(exitUsage, "schema", "apply"), "nothing was changed", "REFUSED", "column city")
			write(pushedFile)
			has(command(exitFailed, "schema", "diff"), "cases are only appended", "column tip")
			has(command(exitFailed, "schema", "diff", "--json"), `"refused"`, `"drift"`)
		})
	}
}
