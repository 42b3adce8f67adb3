package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"arus/app/auth"
	"arus/connectors/warehouse"
)

// tend does the jobs that are due at a time, as the server does at every tick.
func (h *house) tend(at time.Time) []string {
	h.t.Helper()
	h.set(at)
	store, err := warehouse.OpenStore(h.dir, h.now)
	if err != nil {
		h.t.Fatal(err)
	}
	done, err := store.RunJobs(h.t.Context(), at)
	if err != nil {
		h.t.Fatal(err)
	}
	jobs := []string{}
	for _, d := range done {
		jobs = append(jobs, d.Job)
	}
	return jobs
}

func TestR26TheArchivingDelay(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.refused("POST", "/schema/tables", h.json(with(trips(), "config", row{"archivingDelayMinutes": 0})), bad, "invalid table config: ArchivingDelayMinutes: less than min")
	h.create(with(trips(), "config", row{"archivingDelayMinutes": 2 * 1440}))
	if c := h.get("trips")["config"].(map[string]any); fmt.Sprint(c["archivingIntervalMinutes"], c["recordRetentionInDays"]) != "180 90" {
		t.Errorf("%v", c)
	}
	h.put("trips", row{"id": 1, "ts": ago(3)}, row{"id": 2, "ts": ago(2) - 1}, row{"id": 3, "ts": ago(2)}, row{"id": 4, "ts": ago(0)})
	h.archive("trips", 0)
	if s := h.stats("trips"); s.LiveRows != 2 || s.FileRows != 2 || s.Cutoff != ago(2) {
		t.Errorf("%+v", s)
	}
	h.do("PUT", "/schema/tables/trips", `{"archivingDelayMinutes":1440,"recordRetentionInDays":0}`)
	if c := h.moved().get("trips")["config"].(map[string]any); fmt.Sprint(c["archivingDelayMinutes"], c["recordRetentionInDays"], c["archivingIntervalMinutes"]) != "1440 0 180" {
		t.Errorf("what a PUT does not name stays, zeroes are kept: %v", c)
	}
	h.want("SELECT id FROM trips ORDER BY id", "1", "2", "3", "4")
}

func TestR27TheArchivingInterval(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.refused("POST", "/schema/tables", h.json(with(trips(), "config", row{"archivingIntervalMinutes": 0})), bad, "invalid table config: ArchivingIntervalMinutes: less than min")
	h.create(with(trips(), "config", row{"archivingIntervalMinutes": 60, "recordRetentionInDays": 0}))
	h.put("trips", row{"id": 1, "ts": ago(3)})
	for _, step := range []struct {
		after time.Duration
		jobs  string
	}{{0, "[archiving]"}, {time.Hour, "[]"}, {time.Hour + time.Second, "[archiving]"}, {2 * time.Hour, "[]"}, {2*time.Hour + 2*time.Second, "[archiving]"}} {
		if got := fmt.Sprint(h.tend(noon.Add(step.after))); got != step.jobs {
			t.Errorf("after %s: %s, want %s", step.after, got, step.jobs)
		}
	}
}

// shuffled puts rows of three days into the table in no order.
func (h *house) shuffled(name string, n int) {
	h.t.Helper()
	order := rand.New(rand.NewPCG(1, 2)).Perm(n)
	var rows []row
	for _, i := range order {
		r := row{"id": i, "ts": ago(4) + int64(i%3)*aDay + int64(i), "city": i % 7, "status": fmt.Sprintf("s%d", i%4), "fare": i}
		if i%11 == 0 {
			delete(r, "city")
		}
		rows = append(rows, r)
	}
	h.put(name, rows...)
}

// days are the Parquet files of a table's archive.
func (h *house) days(name string) []string {
	h.t.Helper()
	var out []string
	err := filepath.WalkDir(filepath.Join(h.dir, name, "archive"), func(path string, e os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".parquet") {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

func TestR28DaysAreSorted(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(trips())
	h.shuffled("trips", 3000)
	h.archive("trips", ago(1))
	files := h.days("trips")
	if len(files) != 3 {
		t.Fatalf("the files are %v", files)
	}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		pf, err := parquet.OpenFile(f, info.Size())
		if err != nil {
			t.Fatal(err)
		}
		place := map[string]int{}
		for i, c := range pf.Root().Columns() {
			place[c.Name()] = i
		}
		var last []int64
		n := 0
		for _, g := range pf.RowGroups() {
			rows := g.Rows()
			buf := make([]parquet.Row, 100)
			for {
				k, err := rows.ReadRows(buf)
				for _, r := range buf[:k] {
					key := []int64{-1, -1}
					for i, name := range []string{"city", "status"} {
						if v := r[place[name]]; !v.IsNull() {
							key[i] = int64(v.Int32())
							if v.Kind() == parquet.ByteArray {
								key[i] = int64(v.ByteArray()[1])
							}
						}
					}
					if last != nil && slices.Compare(last, key) > 0 {
						t.Fatalf("%s: %v stands after %v", file, key, last)
					}
					last = key
					n++
				}
				if err != nil {
					break
				}
			}
			_ = rows.Close()
		}
		if n != 1000 {
			t.Errorf("%s has %d rows", file, n)
		}
		// Runs: a sort column takes next to nothing.
		for _, c := range pf.Metadata().RowGroups[0].Columns {
			if m := c.MetaData; m.PathInSchema[0] == "city" && m.TotalUncompressedSize > 400 {
				t.Errorf("the first sort column takes %d bytes for 1000 rows", m.TotalUncompressedSize)
			}
		}
	}
}

func TestR29SortColumns(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	sorted := func(sort any) string {
		t := trips()
		t["columns"] = append(t["columns"].([]map[string]any), column("tags", "Int8[]"), column("area", "GeoShape"), column("gone", "Int8", "deleted", true))
		return h.json(with(t, "archivingSortColumns", sort))
	}
	for sort, message := range map[string]string{
		"[-1]": "Column does not exist", "[9]": "Column does not exist", "[65536]": "Column does not exist", "[8]": "Column already deleted", "[2,3,2]": "Illegal deplicated use of column",
		"[6]": "Specified data type can not be used as sorting column", "[2,7]": "Specified data type can not be used as sorting column",
	} {
		h.refused("POST", "/schema/tables", sorted(json.RawMessage(sort)), bad, message)
	}
	h.refused("POST", "/schema/tables", h.json(with(cities(), "archivingSortColumns", []int{0})), bad, "Archiving sort columns not allowed for dimension table")
	h.do("POST", "/schema/tables", sorted([]int{}))
	if _, ok := h.get("trips")["archivingSortColumns"]; ok {
		t.Error("an empty list is written")
	}
}

// read is what a query read, by EXPLAIN.
func (h *house) read(sql string) map[string]string {
	h.t.Helper()
	body, _ := json.Marshal(map[string]any{"sql": "EXPLAIN " + sql})
	var answer struct {
		Data struct {
			Columns []string
			Rows    [][]any
		}
	}
	if err := json.Unmarshal([]byte(h.do("POST", "/api/warehouse/query", string(body))), &answer); err != nil || len(answer.Data.Rows) != 1 {
		h.t.Fatalf("EXPLAIN %s: %v %+v", sql, err, answer)
	}
	out := map[string]string{}
	for i, c := range answer.Data.Columns {
		out[c] = fmt.Sprint(answer.Data.Rows[0][i])
	}
	return out
}

func TestR30LeadingSortColumnsNarrow(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(trips())
	h.shuffled("trips", 9000)
	h.archive("trips", ago(1))
	const sql = "SELECT sum(fare), count(*) FROM trips WHERE city = 3"
	sum, n := 0, 0
	for i := range 9000 {
		if i%7 == 3 && i%11 != 0 {
			sum, n = sum+i, n+1
		}
	}
	h.want(sql, fmt.Sprint(sum, " ", n))
	if r := h.read(sql); r["found_by_order"] != "city" || number(t, r["rows_read"])*4 > 9000 {
		t.Errorf("a seventh of the rows is read by reading less than a quarter: %v", r)
	}
	if r := h.read(sql + " AND status = 's1'"); r["found_by_order"] != "city status" {
		t.Errorf("%v", r)
	}
	one := fmt.Sprintf("SELECT count(*) FROM trips WHERE ts >= %d AND ts < %d", ago(4.5), ago(3.5))
	if r := h.read(one); r["days_read"] != "1" || r["days"] != "3" {
		t.Errorf("one day of three: %v", r)
	}
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestR31DeletedSortColumnsStay(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(trips())
	h.shuffled("trips", 300)
	h.archive("trips", ago(1))
	h.do("DELETE", "/schema/tables/trips/columns/city", "")
	if got := fmt.Sprint(h.get("trips")["archivingSortColumns"]); got != "[2 3]" {
		t.Errorf("the sort columns are %s", got)
	}
	h.do("POST", "/schema/tables/trips/columns", `{"name":"more","type":"Bool"}`) // a placeholder hinders no later change
	h.do("PUT", "/schema/tables/trips", `{"archivingDelayMinutes":2000}`)
	h.do("PUT", "/schema/tables/trips", h.json(with(h.get("trips"), "version", 0)))
	h.want("SELECT count(*), sum(fare) FROM trips", fmt.Sprint("300 ", 299*150))
	// The days that were sorted by it are read and merged with as before.
	h.want("SELECT count(*), sum(fare) FROM trips WHERE status = 's1'", fmt.Sprint("75 ", 75*(1+297)/2))
	if got := h.put("trips", row{"id": 7, "ts": ago(4) + aDay + 7, "fare": 1007}); got != "0 0 1" {
		t.Error(got)
	}
	h.job("trips", "backfill", "")
	h.want("SELECT count(*), sum(fare) FROM trips", fmt.Sprint("300 ", 299*150+1000))
	h.want("SELECT fare, status FROM trips WHERE id = 7", "1007 s3")
}

func TestR32PlaceholdersEndThePrefix(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(with(trips(), "archivingSortColumns", []int{2, 5, 3}))
	h.shuffled("trips", 3000)
	h.archive("trips", ago(1))
	h.do("DELETE", "/schema/tables/trips/columns/n", "")
	brute := func(keep func(i int) bool) string {
		n := 0
		for i := range 3000 {
			if keep(i) {
				n++
			}
		}
		return fmt.Sprint(n)
	}
	hasCity := func(i int) bool { return i%11 != 0 }
	h.want("SELECT count(*) FROM trips WHERE city = 3 AND status = 's1'", brute(func(i int) bool { return hasCity(i) && i%7 == 3 && i%4 == 1 }))
	h.want("SELECT count(*) FROM trips WHERE status = 's1'", brute(func(i int) bool { return i%4 == 1 }))
	if r := h.read("SELECT count(*) FROM trips WHERE city = 3 AND status = 's1'"); r["found_by_order"] != "city" {
		t.Errorf("%v", r)
	}
	if r := h.read("SELECT count(*) FROM trips WHERE status = 's1'"); r["found_by_order"] != "" {
		t.Errorf("%v", r)
	}
}

func TestR33SortColumnsStay(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(trips())
	for _, sort := range [][]int{{2}, {3, 2}, {2, 3, 4}, {2, 4}} {
		h.refused("PUT", "/schema/tables/trips", h.json(with(h.get("trips"), "version", 0, "archivingSortColumns", sort)), conflict, "Illegal changes on sort columns")
	}
	h.refused("POST", "/schema/tables/trips/columns", `{"name":"x","type":"Int8","addToArchivingSortOrder":true}`, conflict, "Illegal changes on sort columns")
	h.do("POST", "/schema/tables/trips/columns", `{"name":"x","type":"Int8","addToArchivingSortOrder":false}`)
	h.do("DELETE", "/schema/tables/trips/columns/city", "")
	h.do("POST", "/schema/tables/trips/columns", `{"name":"y","type":"Int8"}`)
	if got := fmt.Sprint(h.get("trips")["archivingSortColumns"]); got != "[2 3]" {
		t.Errorf("the sort columns are %s", got)
	}
}

func TestR34KeysBeyondTheWindow(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(trips())
	h.put("trips", row{"id": 1, "ts": ago(3), "fare": 1}, row{"id": 2, "ts": ago(0), "fare": 2})
	h.archive("trips", ago(1))
	if s := h.stats("trips"); s.LiveRows != 1 {
		t.Errorf("archived keys stay in the live rows: %+v", s)
	}
	if got := h.put("trips", row{"id": 1, "ts": ago(3), "fare": 5}); got != "0 0 1" {
		t.Error(got)
	}
	h.want("SELECT id, fare FROM trips ORDER BY id", "1 5", "2 2")
	h.job("trips", "backfill", "")
	h.want("SELECT id, fare FROM trips ORDER BY id", "1 5", "2 2")
	if got := h.put("trips", row{"id": 1, "ts": ago(0), "fare": 9}); got != "0 0 0 0:event_time_changed" { // never a second row
		t.Error(got)
	}
	h.want("SELECT id, fare FROM trips ORDER BY id", "1 5", "2 2")
}

func TestR35TheSnapshotThreshold(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.refused("POST", "/schema/tables", h.json(with(cities(), "config", row{"snapshotThreshold": 0})), bad, "invalid table config: SnapshotThreshold: less than min")
	h.create(with(cities(), "config", row{"snapshotThreshold": 3}))
	h.put("cities", row{"id": 1, "name": "a"}, row{"id": 1, "name": "b"})
	if s := h.stats("cities"); s.Files != 0 || s.LiveRows != 1 || s.UpsertsSince != 2 {
		t.Errorf("after two upserts: %+v", s)
	}
	h.put("cities", row{"id": 2, "name": "c"})
	if s := h.stats("cities"); s.Files != 1 || s.LiveRows != 0 || s.FileRows != 2 || s.UpsertsSince != 0 {
		t.Errorf("after the third: %+v", s)
	}
	h.put("cities", row{"id": 2, "name": "d"}, row{"id": 3, "name": "e"})
	h.moved().want("SELECT id, name FROM cities ORDER BY id", "1 b", "2 d", "3 e")
}

func TestR36DimensionTables(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(with(cities(), "config", row{"recordRetentionInDays": 1}))
	h.put("cities", row{"id": 1, "name": "a"})
	for _, job := range []string{"archive", "backfill", "purge"} {
		status, _, text := h.send(request{as: "admin", method: "POST", path: "/dbg/cities/0/" + job, body: `{"cutoff":1,"batchIDEnd":30000}`})
		if status != http.StatusConflict || !strings.Contains(text, "Table is not fact table") {
			t.Errorf("%s: %d %s", job, status, text)
		}
	}
	h.create(trips())
	if status, _, text := h.send(request{as: "admin", method: "POST", path: "/dbg/trips/0/snapshot"}); status != http.StatusConflict || !strings.Contains(text, "Table is not dimension table") {
		t.Errorf("%d %s", status, text)
	}
	h.tend(noon.AddDate(1, 0, 0))
	h.want("SELECT id, name FROM cities", "1 a")
}

func TestR37SchemaAndDataStandTogether(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(trips())
	h.shuffled("trips", 300)
	h.archive("trips", ago(3))
	var file table
	text, err := os.ReadFile(filepath.Join(h.dir, "trips", "schema.json"))
	if err != nil || json.Unmarshal(text, &file) != nil || !strings.Contains(string(text), `"archivingSortColumns"`) {
		t.Fatalf("%v %s", err, text)
	}
	other := h.moved()
	if got, want := other.do("GET", "/schema/tables/trips", ""), h.do("GET", "/schema/tables/trips", ""); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, sql := range []string{"SELECT count(*), sum(fare), min(ts), max(ts) FROM trips", "SELECT status, count(*) FROM trips GROUP BY 1 ORDER BY 1"} {
		other.want(sql, h.rows(sql)...)
	}
	if got := other.put("trips", row{"id": 0, "ts": ago(4), "n": 77}); got != "0 0 1" {
		t.Errorf("the key is not found in the copy: %s", got)
	}
	h.do("DELETE", "/schema/tables/trips", "")
	if _, err := os.Stat(filepath.Join(h.dir, "trips")); !os.IsNotExist(err) {
		t.Errorf("a dropped table leaves its directory: %v", err)
	}
	h.refused("DELETE", "/schema/tables/trips", "", absent, "Table does not exist")
}

func TestR38FilesThatDisagreeAreAnError(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(cities())
	h.create(table{"name": "towns", "primaryKeyColumns": []int{0}, "columns": columns(column("id", "UUID"), column("name", "Int64"))})
	h.put("cities", row{"id": 1, "name": "a"})
	h.put("towns", row{"id": "00112233445566778899aabbccddeeff", "name": 5})
	h.job("cities", "snapshot", "")
	h.job("towns", "snapshot", "")
	files := func(name string) string {
		list, err := filepath.Glob(filepath.Join(h.dir, name, "snapshot", "*.parquet"))
		if err != nil || len(list) != 1 {
			t.Fatalf("%v %v", list, err)
		}
		return list[0]
	}
	data, err := os.ReadFile(files("towns"))
	if err == nil {
		err = os.WriteFile(files("cities"), data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	status, _, text := h.send(request{method: "POST", path: "/api/warehouse/query", body: `{"sql":"SELECT * FROM cities"}`})
	if status < 400 || strings.Contains(text, `"rows"`) {
		t.Errorf("%d %s", status, text)
	}
	h.want("SELECT name FROM towns", "5")
}

func TestR39TimeSeriesQueries(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(trips())
	h.shuffled("trips", 300)
	h.archive("trips", ago(2.5))
	n := [4]int{}
	for i := range 300 {
		if at := ago(4) + int64(i%3)*aDay + int64(i); at >= ago(3.5) && at < ago(2.5) {
			n[i%4]++
		}
	}
	h.want(fmt.Sprintf("SELECT status, count(*) FROM trips WHERE ts >= %d AND ts < %d GROUP BY status ORDER BY status", ago(3.5), ago(2.5)),
		fmt.Sprint("s0 ", n[0]), fmt.Sprint("s1 ", n[1]), fmt.Sprint("s2 ", n[2]), fmt.Sprint("s3 ", n[3]))

	// A layer outside may refuse queries, by what they ask and who asks.
	h.screen = func(ctx context.Context, sql string) error {
		if !strings.Contains(sql, "ts >=") && auth.ActorOf(ctx).Name == "editor" {
			return errors.New("a query of trips needs a time filter")
		}
		return nil
	}
	for _, format := range []string{"json", "ndjson", "csv", "arrow"} {
		for who, want := range map[string]int{"editor": http.StatusUnprocessableEntity, "admin": http.StatusOK} {
			status, _, text := h.send(request{as: who, method: "POST", path: "/api/warehouse/query", body: h.json(row{"sql": "SELECT id FROM trips", "format": format})})
			if status != want || (want != http.StatusOK) != strings.Contains(text, "needs a time filter") {
				t.Errorf("%s of %s: %d %.200s", format, who, status, text)
			}
		}
	}
	h.want(fmt.Sprintf("SELECT count(*) FROM trips WHERE ts >= %d", ago(5)), "300")
}

func TestR40QueriesAreChecked(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(trips())
	h.create(cities())
	h.do("DELETE", "/schema/tables/trips/columns/fare", "")
	for sql, names := range map[string]string{
		"SELECT * FROM nothing": "nothing", "SELECT nope FROM trips": "nope", "SELECT fare FROM trips": "fare", "SELECT id FROM trips WHERE fare > 1": "fare",
		"SELECT sum(gone) FROM cities": "gone", "SELEC 1": "SELEC", "DROP TABLE trips": "", "DELETE FROM trips": "", "": "", "SELECT id FROM trips WHERE nofunc(id)": "nofunc",
		"SELECT count(*) FROM trips GROUP BY elsewhere.id": "elsewhere", `SELECT "nope" FROM trips`: "nope", `SELECT count(*) FROM trips WHERE "fare" > 1`: "fare",
		"SELECT id FROM trips WHERE count(*) > 1": "", "SELECT id, id FROM trips UNION SELECT id FROM cities": "", "SELECT trips.name FROM trips, cities": "name",
	} {
		body, _ := json.Marshal(map[string]any{"sql": sql})
		if status, _, text := h.send(request{method: "POST", path: "/api/warehouse/query", body: string(body)}); status < 400 || status >= 500 || !strings.Contains(text, names) {
			t.Errorf("%q: %d %s", sql, status, text)
		}
	}
	h.want("SELECT count(*) FROM cities", "0") // no dimensions, no rows
	h.want("SELECT count(*), sum(n), min(ts) FROM trips", "0 - -")
	h.want("SELECT status, count(*) FROM trips GROUP BY status")
	// A value of another type matches nothing, and is no fault of the data.
	h.put("trips", row{"id": 1, "ts": ago(0), "status": "new"})
	h.want("SELECT id FROM trips WHERE city = 'abc' OR status = 7")
	h.want("SELECT id FROM trips WHERE status = 'new'", "1")
}

func TestR41TheDesiredStateIsPulledAndPushed(t *testing.T) {
	t.Parallel()
	from, to := newHouse(t), newHouse(t)
	from.create(trips())
	from.create(cities())
	pull := func() {
		var names []string
		if err := json.Unmarshal([]byte(from.do("GET", "/schema/tables", "")), &names); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			desired := with(from.get(name), "version", 0)
			to.do("PUT", "/schema/tables/"+name, to.json(desired))
			got := to.get(name)
			delete(got, "version")
			want := from.get(name)
			delete(want, "version")
			if to.json(got) != to.json(want) {
				t.Errorf("%s is %s, want %s", name, to.json(got), to.json(want))
			}
		}
	}
	pull()
	from.do("POST", "/schema/tables/cities/columns", `{"name":"mayor","type":"String","defaultValue":"none"}`)
	from.do("DELETE", "/schema/tables/trips/columns/fare", "")
	from.do("PUT", "/schema/tables/trips", `{"archivingDelayMinutes":77}`)
	pull()
	to.put("trips", row{"id": 1, "ts": ago(0)})
	to.want("SELECT id, status FROM trips", "1 new")
}

func TestR42APushIsDiffedAndApplied(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(trips())
	h.put("trips", row{"id": 1, "ts": ago(3), "fare": 4}, row{"id": 2, "ts": ago(0), "fare": 5})
	h.archive("trips", ago(1))
	next := h.get("trips")
	version := next["version"].(float64)
	cols := next["columns"].([]any)
	cols[4].(map[string]any)["deleted"] = true
	next["columns"] = append(cols, column("tip", "SmallEnum", "defaultValue", "zero"))
	next["version"] = version + 7
	before := h.sums()
	status, _, text := h.send(request{method: "PUT", path: "/schema/tables/trips?plan=true", body: h.json(next)})
	if status != http.StatusOK || !strings.Contains(text, `"kind":"delete column","column":"fare"`) || !strings.Contains(text, `"kind":"add column","column":"tip"`) || h.sums() != before {
		t.Errorf("the plan: %d %s", status, text)
	}
	var answer, want table
	if err := json.Unmarshal([]byte(h.do("PUT", "/schema/tables/trips", h.json(next))), &answer); err != nil {
		t.Fatal(err)
	}
	_ = json.Unmarshal([]byte(h.json(next)), &want)
	got := h.get("trips")
	if h.json(answer) != h.json(got) || got["version"] != version+7 || h.json(got["columns"].([]any)[4]) != h.json(cols[4]) || len(got["columns"].([]any)) != 7 {
		t.Errorf("%s", h.json(got))
	}
	if got := h.cases("trips", "tip"); got != `["zero"]` {
		t.Error(got)
	}
	h.want("SELECT id, tip FROM trips ORDER BY id", "1 zero", "2 zero")
	for _, v := range []float64{1, version + 7} {
		h.refused("PUT", "/schema/tables/trips", h.json(with(h.get("trips"), "version", v)), conflict, "New schema version not greater than old")
	}
}

func TestR43APushThatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(trips())
	h.shuffled("trips", 60)
	h.archive("trips", ago(3))
	push := func(edit func(t table, cols []any) []any) string {
		t := with(h.get("trips"), "version", 0)
		cols := t["columns"].([]any)
		cols[4].(map[string]any)["deleted"] = true // this alone would do
		cols = append(cols, column("new", "SmallEnum", "defaultValue", "case"))
		t["columns"] = edit(t, cols)
		return h.json(t)
	}
	for message, edit := range map[string]func(t table, cols []any) []any{
		"Primary key column cannot be deleted": func(_ table, c []any) []any { c[1].(map[string]any)["deleted"] = true; return c },
		"Time column cannot be deleted":        func(_ table, c []any) []any { c[0].(map[string]any)["deleted"] = true; return c },
		"Insufficient column count":            func(_ table, c []any) []any { return c[:5] },
		"Duplicated column name found":         func(_ table, c []any) []any { return append(c, column("id", "Bool")) },
		"Primary key column cannot be changed": func(t table, c []any) []any { t["primaryKeyColumns"] = []int{5}; return c },
		"Illegal changes on sort columns":      func(t table, c []any) []any { t["archivingSortColumns"] = []int{3}; return c },
		immutable:                              func(t table, c []any) []any { t["isFactTable"] = false; return c },
		"invalid value x for type Int8":        func(_ table, c []any) []any { return append(c, column("z", "Int8", "defaultValue", "x")) },
		"Default value cannot be null":         func(_ table, c []any) []any { return append(c, column("z", "Int8", "defaultValue", nil)) },
		"Invalid data type":                    func(_ table, c []any) []any { return append(c, column("z", "Text")) },
		"invalid table config":                 func(t table, c []any) []any { t["config"].(map[string]any)["batchSize"] = 0; return c },
	} {
		status := conflict
		if strings.HasPrefix(strings.ToLower(message), "invalid") || strings.HasPrefix(message, "Default") {
			status = bad
		}
		h.refused("PUT", "/schema/tables/trips", push(edit), status, message)
	}
	h.do("PUT", "/schema/tables/trips", push(func(_ table, c []any) []any { return c }))
}

func TestR44TheSurface(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(trips())
	surface := map[string]string{
		"/schema/tables": "GET POST", "/schema/tables/trips": "GET PUT DELETE", "/schema/tables/trips/columns": "POST",
		"/schema/tables/trips/columns/fare": "PUT DELETE", "/schema/tables/trips/columns/status/enum-cases": "GET POST",
	}
	for path, methods := range surface {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
			status, header, text := h.send(request{as: "viewer", method: method, path: path, body: `{}`})
			var f fault
			switch allowed := slices.Contains(strings.Fields(methods), method); {
			case !allowed && (status != http.StatusMethodNotAllowed || header.Get("Allow") == "" || json.Unmarshal([]byte(text), &f) != nil || f.Message == ""):
				t.Errorf("%s %s: %d %s", method, path, status, text)
			case allowed && method == "GET" && status != http.StatusOK, allowed && method != "GET" && status != http.StatusForbidden:
				t.Errorf("a viewer's %s %s: %d %s", method, path, status, text)
			case allowed:
				for _, as := range []string{"nobody"} {
					if status, _, text := h.send(request{as: as, method: method, path: path, body: `{}`}); status != http.StatusUnauthorized || json.Unmarshal([]byte(text), &f) != nil {
						t.Errorf("%s's %s %s: %d %s", as, method, path, status, text)
					}
				}
			}
		}
	}
	for _, path := range []string{"/schema", "/schema/", "/schema/tables/", "/schema/tables/trips/", "/schema/tables/trips/nothing", "/schema/tables/trips/columns/status/cases", "/data/trips", "/dbg"} {
		if status, _, text := h.send(request{method: "GET", path: path}); status != http.StatusNotFound || !strings.Contains(text, "404 page not found") {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	for _, job := range []string{"archive", "backfill", "snapshot", "purge", "compact"} {
		if status, _, _ := h.send(request{method: "POST", path: "/dbg/trips/0/" + job}); status != http.StatusForbidden {
			t.Errorf("an editor's %s: %d", job, status)
		}
	}
	for _, body := range []string{"", "{", "[]", "5", `"x"`, `{"name":5}`, `{"columns":{}}`, `{"name":"t"} x`} {
		h.refused("POST", "/schema/tables", body, bad, "Bad request: failed to unmarshal request body")
	}
	h.refused("POST", "/schema/tables", h.json(trips()), conflict, "Table already exists")
	h.refused("GET", "/schema/tables/none/columns/x/enum-cases", "", absent, "Bad request: table does not exist")
	h.refused("POST", "/schema/tables/none/columns/x/enum-cases", `{"enumCases":["a"]}`, absent, "Table does not exist")
	h.refused("POST", "/schema/tables/trips/columns/none/enum-cases", `{"enumCases":["a"]}`, absent, "Column does not exist")
	h.refused("POST", "/schema/tables/trips/columns/fare/enum-cases", `{"enumCases":["a"]}`, conflict, "Column is not enum type")
	h.refused("GET", "/schema/tables/trips/columns/fare/enum-cases", "", absent, "Bad request: column does not exist")
	h.refused("PUT", "/schema/tables/none/columns/x", `{}`, absent, "Table does not exist")
	h.refused("PUT", "/schema/tables/trips/columns/none", `{}`, absent, "Column does not exist")
}
