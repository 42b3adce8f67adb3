package app

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"arus/app/engine"
)

// TestPoliciesForValuesTheDestinationCannotHold brings zero dates, NUL bytes,
// NaN and infinite dates to destinations that have no place for them, under
// each policy.
func TestPoliciesForValuesTheDestinationCannotHold(t *testing.T) {
	t.Parallel()
	fromMariaDB := func(t *testing.T) database {
		d := mariadbDatabase(t)
		d.exec(t, "SET sql_mode = ''", "CREATE TABLE odd (id int PRIMARY KEY, d date, ts datetime(6), note varchar(20))",
			`SET sql_mode = ''; INSERT INTO odd VALUES (1, '2024-02-29', '2024-02-29 01:02:03.5', 'fine'), (2, '0000-00-00', '2024-01-01', 'zero'),
			(3, '2024-01-01', '2024-00-15 10:11:12', 'partial'), (4, NULL, NULL, 'a\0b')`)
		return d
	}
	fromPostgres := func(t *testing.T) database {
		d := postgresDatabase(t)
		d.exec(t, `CREATE TABLE odd (id int PRIMARY KEY, d date, f float8, n numeric(10,2), note text)`,
			`INSERT INTO odd VALUES (1, '2024-02-29', 1.5, 2.25, 'fine'), (2, 'infinity', 1, 1, 'x'), (3, '0044-03-15 BC', 1, 1, 'x'), (4, NULL, 'NaN', 1, 'x'), (5, NULL, 1, 'NaN', 'x'), (6, NULL, '-infinity', NULL, NULL)`)
		return d
	}
	tests := []struct {
		name     string
		from     func(*testing.T) database
		to       func(*testing.T) target
		policy   string
		code     int
		rows     []string
		replaced int64
		letters  []string // parts of the reasons
	}{
		{
			"mariadb-postgres replace", fromMariaDB, postgresTarget, "nul=replace,date=replace", exitOK,
			[]string{`"1" "2024-02-29" "2024-02-29 01:02:03.5" "fine" `, `"2" NULL "2024-01-01 00:00:00" "zero" `, `"3" "2024-01-01" NULL "partial" `, "\"4\" NULL NULL \"a\ufffdb\" "},
			3, nil,
		},
		{
			"mariadb-postgres dead letter", fromMariaDB, postgresTarget, "nul=dead_letter,date=dead_letter", exitDeadLetters,
			[]string{`"1" "2024-02-29" "2024-02-29 01:02:03.5" "fine" `},
			0,
			[]string{"0000-00-00", "2024-00-15 10:11:12", "U+0000"},
		},
		{
			"mariadb-postgres by default", fromMariaDB, postgresTarget, "", exitDeadLetters,
			[]string{`"1" "2024-02-29" "2024-02-29 01:02:03.5" "fine" `, "\"4\" NULL NULL \"a\ufffdb\" "},
			1,
			[]string{"0000-00-00", "2024-00-15 10:11:12"},
		},
		{"mariadb-postgres fail", fromMariaDB, postgresTarget, "date=fail", exitFailed, nil, 0, nil},
		{
			"postgres-mariadb replace", fromPostgres, mariadbTarget, "date=replace,number=replace", exitOK,
			[]string{`"1" "2024-02-29" "1.5" "2.25" "fine" `, `"2" NULL "1" "1.00" "x" `, `"3" NULL "1" "1.00" "x" `, `"4" NULL NULL "1.00" "x" `, `"5" NULL "1" NULL "x" `, `"6" NULL NULL NULL NULL `},
			5, nil,
		},
		{
			"postgres-mariadb by default", fromPostgres, mariadbTarget, "", exitDeadLetters,
			[]string{`"1" "2024-02-29" "1.5" "2.25" "fine" `},
			0,
			[]string{"infinity", "-0043-03-15", "NaN", "NaN", "-Inf"},
		},
		{"postgres-mariadb fail", fromPostgres, mariadbTarget, "number=fail,date=replace", exitFailed, nil, 0, nil},
		{
			"postgres-postgres holds all", fromPostgres, postgresTarget, "", exitOK,
			[]string{`"1" "2024-02-29" "1.5" "2.25" "fine" `, `"2" "infinity" "1" "1.00" "x" `, `"3" "0044-03-15 BC" "1" "1.00" "x" `, `"4" NULL "NaN" "1.00" "x" `, `"5" NULL "1" "NaN" "x" `, `"6" NULL "-Infinity" NULL NULL `},
			0, nil,
		},
	}
	for _, tc := range tests {
		for _, load := range []string{"direct", "raw"} {
			t.Run(tc.name+" "+load, func(t *testing.T) {
				t.Parallel()
				from, to := tc.from(t), tc.to(t)
				args := append([]string{"sync", "--json", "--quiet", "--from", from.url, "--to", to.url, "--load", load}, to.args...)
				if tc.policy != "" {
					args = append(args, "--policy", tc.policy)
				}
				r := arus(t, t.TempDir(), args...)
				var report engine.Report
				if err := json.Unmarshal([]byte(r.out), &report); err != nil || r.code != tc.code {
					t.Fatalf("exit code %d, want %d, %v\n%s%s", r.code, tc.code, err, r.out, r.errOut)
				}
				if tc.code == exitFailed {
					if len(to.read(t, "SELECT 1 FROM information_schema.tables WHERE table_name = 'odd' AND table_schema = '"+to.schema+"'")) != 0 || !strings.Contains(report.Tables[0].Error, "policy") {
						t.Errorf("a refused value left a table behind, or no remedy: %s", report.Tables[0].Error)
					}
					return
				}
				columns := []string{}
				for _, c := range (chinook{database: from}).columns(t, "odd") {
					columns = append(columns, to.asText("x."+to.q+c+to.q))
				}
				got := to.read(t, "SELECT "+strings.Join(columns, ", ")+" FROM "+to.name("odd")+" x ORDER BY x.id")
				normal(got)
				if diff := cmp.Diff(tc.rows, got); diff != "" {
					t.Errorf("rows (-want +got)\n%s", diff)
				}
				x := report.Tables[0]
				if x.ValuesReplaced != tc.replaced || x.DeadLetters != int64(len(tc.letters)) || x.RowsRead != x.RowsLoaded+x.DeadLetters || (tc.replaced > 0) != (len(report.Warnings) > 0) && len(tc.letters) == 0 {
					t.Errorf("report %+v, warnings %q", x, report.Warnings)
				}
				if len(tc.letters) > 0 {
					reasons := to.read(t, "SELECT x.error_text FROM "+to.letters+" x WHERE x.run_id = '"+report.RunID+"' ORDER BY x.failed_at, x.error_text")
					for _, want := range tc.letters {
						if !strings.Contains(strings.Join(reasons, "\n"), want) {
							t.Errorf("no dead letter speaks of %s: %q", want, reasons)
						}
					}
				}
			})
		}
	}
}

// TestValuesOverTheTargetsLength: a key of unbounded text is a varchar in
// MariaDB. What is longer follows the policy; a key is never cut, because the
// cut one may be another row's.
func TestValuesOverTheTargetsLength(t *testing.T) {
	t.Parallel()
	from := postgresDatabase(t)
	from.exec(t, `CREATE TABLE odd (id text PRIMARY KEY, v int)`, `INSERT INTO odd VALUES ('short', 1), (repeat('é', 768), 2), (repeat('é', 769), 3)`)
	for policy, want := range map[string]struct {
		code          int
		rows, letters int64
	}{"": {exitDeadLetters, 2, 1}, "long=dead_letter": {exitDeadLetters, 2, 1}, "long=replace": {exitDeadLetters, 2, 1}, "long=fail": {exitFailed, 0, 0}} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			to := mariadbTarget(t)
			args := append([]string{"sync", "--json", "--quiet", "--from", from.url, "--to", to.url}, to.args...)
			if policy != "" {
				args = append(args, "--policy", policy)
			}
			r := arus(t, t.TempDir(), args...)
			var report engine.Report
			if err := json.Unmarshal([]byte(r.out), &report); err != nil || r.code != want.code || report.RowsLoaded != want.rows || report.DeadLetters != want.letters {
				t.Errorf("exit code %d, want %+v, %v\n%s%s", r.code, want, err, r.out, r.errOut)
			}
		})
	}
}
