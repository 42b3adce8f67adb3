package api

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

const (
	bad      = http.StatusBadRequest
	absent   = http.StatusNotFound
	conflict = http.StatusConflict
)

func TestR1RowsLiveInOneTable(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(cities())
	h.create(with(cities(), "name", "towns"))
	h.put("cities", row{"id": 1, "name": "a"})
	h.put("towns", row{"id": 1, "name": "b"}, row{"id": 2, "name": "c"})
	h.want("SELECT id, name FROM cities ORDER BY id", "1 a")
	h.want("SELECT id, name FROM towns ORDER BY id", "1 b", "2 c")
}

func TestR2NamesOfTables(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, name := range []string{"", ".", "..", "../evil", "a/b", "a.b", "a b", "1a", "ä", "a\x00", strings.Repeat("a", 256)} {
		h.refused("POST", "/schema/tables", h.json(with(cities(), "name", name)), bad, "Invalid table name")
	}
	h.create(with(cities(), "name", strings.Repeat("a", 255)))
	h.create(with(cities(), "name", "_A9"))
	for _, name := range []string{"..%2Fevil", "%2e%2e%2fevil", "a%2Fb", "a.b", "%00", "..%5C"} {
		h.refused("GET", "/schema/tables/"+name, "", absent, "Bad request: table does not exist")
		h.refused("PUT", "/schema/tables/"+name, `{"batchSize":5}`, absent, "Table does not exist")
		h.refused("DELETE", "/schema/tables/"+name, "", absent, "Table does not exist")
		h.refused("POST", "/schema/tables/"+name+"/columns", `{"name":"x","type":"Bool"}`, absent, "Table does not exist")
		h.refused("POST", "/data/"+name+"/0", string(batch(0, sent{0, codeInt32, 0, []any{1}})), absent, "Failed to get shard 0 for table")
	}
	if got := h.do("GET", "/schema/tables", ""); got != `["_A9","`+strings.Repeat("a", 255)+`"]` {
		t.Errorf("the tables are %s", got)
	}
}

func TestR3TheKindStays(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(trips())
	h.create(cities())
	h.refused("PUT", "/schema/tables/trips", h.json(with(h.get("trips"), "version", 0, "isFactTable", false)), conflict, "Illegal schame update on immutable field")
	h.refused("PUT", "/schema/tables/cities", h.json(with(h.get("cities"), "version", 0, "isFactTable", true)), conflict, "Illegal schame update on immutable field")
	if h.get("trips")["isFactTable"] != true || h.get("cities")["isFactTable"] != false {
		t.Error("the kind is another")
	}
}

func TestR4PrimaryKeys(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	keyed := func(key any) table {
		return table{"name": "t", "primaryKeyColumns": key, "columns": columns(column("a", "Int32"), column("b", "UUID"), column("c", "Int32[]"),
			column("d", "GeoShape"), column("e", "Int64", "deleted", true), column("f", "Uint32", "hllConfig", map[string]any{"isHLLColumn": true}))}
	}
	for _, c := range []struct {
		key     any
		message string
	}{
		{nil, "Primary key columns not specified"},
		{[]int{}, "Primary key columns not specified"},
		{[]int{-1}, "Column does not exist"},
		{[]int{6}, "Column does not exist"},
		{[]int{65536}, "Column does not exist"},
		{[]int{4}, "Column already deleted"},
		{[]int{0, 1, 0}, "Illegal deplicated use of column"},
		{[]int{2}, "Specified data type can not be used as primary key"},
		{[]int{3}, "Specified data type can not be used as primary key"},
		{[]int{5}, "Specified data type can not be used as primary key"},
		{"a", "Bad request: failed to unmarshal request body"},
	} {
		h.refused("POST", "/schema/tables", h.json(keyed(c.key)), bad, c.message)
	}
	h.create(keyed([]int{1, 0}))
	if got := fmt.Sprint(h.get("t")["primaryKeyColumns"]); got != "[1 0]" {
		t.Errorf("the key is %s", got)
	}
}

func TestR5UpsertsByKey(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(trips())
	now := ago(0)
	if got := h.upsert("trips", sent{0, codeUint32, 0, []any{int(now), int(now), int(now)}}, sent{1, codeInt64, 0, []any{2, 1, 2}}, sent{2, codeUint16, 0, []any{7, 7, 8}}); got != "2 1 0" {
		t.Errorf("the summary is %s", got)
	}
	h.want("SELECT id, city, n FROM trips ORDER BY id", "1 7 5", "2 8 5")
	if got := h.put("trips", row{"id": 1, "ts": now, "fare": 2.5}); got != "0 1 0" {
		t.Errorf("the summary is %s", got)
	}
	h.want("SELECT id, city, fare FROM trips ORDER BY id", "1 7 2.5", "2 8 -")
}

func TestR6BatchSizes(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, size := range []int{0, -1} {
		h.refused("POST", "/schema/tables", h.json(with(cities(), "config", row{"batchSize": size})), bad, "invalid table config: BatchSize: less than min")
	}
	h.create(with(cities(), "config", row{"batchSize": 3}))
	h.put("cities", row{"id": 1}, row{"id": 2}, row{"id": 3})
	if n := h.stats("cities").LiveBatches; n != 1 {
		t.Errorf("3 rows make %d batches", n)
	}
	h.put("cities", row{"id": 4})
	if n := h.stats("cities").LiveBatches; n != 2 {
		t.Errorf("4 rows make %d batches", n)
	}
	h.refused("PUT", "/schema/tables/cities", `{"batchSize":-5}`, bad, "invalid table config: BatchSize: less than min")
	h.do("PUT", "/schema/tables/cities", `{"batchSize":4}`)
	if n := h.stats("cities").LiveBatches; n != 1 {
		t.Errorf("4 rows in batches of 4 make %d", n)
	}
}

func TestR7IDsArePositions(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(cities())
	add := func(name string) { h.do("POST", "/schema/tables/cities/columns", h.json(column(name, "Bool"))) }
	add("c")
	add("d")
	h.do("DELETE", "/schema/tables/cities/columns/d", "")
	add("e")
	add("d")
	var names []string
	for _, c := range h.get("cities")["columns"].([]any) {
		c := c.(map[string]any)
		names = append(names, fmt.Sprint(c["name"], c["deleted"] == true))
	}
	if got := strings.Join(names, ","); got != "idfalse,namefalse,cfalse,dtrue,efalse,dfalse" {
		t.Errorf("the columns are %s", got)
	}
	if got := h.upsert("cities", sent{0, codeInt32, 0, []any{1}}, sent{3, codeBool, 0, []any{true}}, sent{5, codeBool, 0, []any{true}}); got != "1 0 0" {
		t.Error(got)
	}
	h.want("SELECT c, d, e FROM cities", "- 1 -")
}

func TestR8NumberOfColumns(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var all []map[string]any
	for i := range 65536 {
		all = append(all, column(fmt.Sprintf("c%d", i), "Int8"))
	}
	most := table{"name": "wide", "primaryKeyColumns": []int{65535}, "columns": all}
	h.refused("POST", "/schema/tables", h.json(with(table{"name": "t", "primaryKeyColumns": []int{0}}, "columns", append(all[:65536:65536], column("more", "Bool")))), conflict, "Column count exceeds limit")
	h.create(most)
	h.refused("POST", "/schema/tables/wide/columns", h.json(column("more", "Int8")), conflict, "Column count exceeds limit")
	if got := h.upsert("wide", sent{65535, codeInt8, 0, []any{-7}}, sent{65534, codeInt8, 0, []any{8}}); got != "1 0 0" {
		t.Error(got)
	}
	if n := len(h.get("wide")["columns"].([]any)); n != 65536 {
		t.Errorf("%d columns", n)
	}
}

// edited is a table as it is, with one column changed.
func (h *house) edited(name string, id int, field string, value any) string {
	h.t.Helper()
	t := h.get(name)
	t["version"] = 0
	c := t["columns"].([]any)[id].(map[string]any)
	if c[field] = value; value == nil {
		delete(c, field)
	}
	return h.json(t)
}

const immutable = "Illegal schame update on immutable field"

func TestR9NoRenaming(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(trips())
	for id := range 6 {
		h.refused("PUT", "/schema/tables/trips", h.edited("trips", id, "name", "other"), conflict, immutable)
	}
	h.refused("PUT", "/schema/tables/trips", h.json(with(h.get("trips"), "version", 0, "name", "tours")), conflict, immutable)
}

func TestR10NoOtherType(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(trips())
	for id, typ := range []string{"Uint16", "Int32", "Uint32", "BigEnum", "Float64", "Int64"} {
		h.refused("PUT", "/schema/tables/trips", h.edited("trips", id, "type", typ), conflict, immutable)
	}
	h.refused("PUT", "/schema/tables/trips", h.edited("trips", 2, "type", "uint16"), conflict, immutable)
}

func TestR11AnotherTypeByAnotherColumn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(trips())
	h.put("trips", row{"id": 1, "ts": ago(3), "n": 7}, row{"id": 2, "ts": ago(0), "n": 8})
	h.archive("trips", ago(1))
	h.do("POST", "/schema/tables/trips/columns", `{"name":"n2","type":"Int64"}`)
	if got := h.put("trips", row{"id": 1, "ts": ago(3), "n2": 1 << 40}, row{"id": 2, "ts": ago(0), "n2": 9}); got != "0 1 1" {
		t.Error(got)
	}
	h.do("DELETE", "/schema/tables/trips/columns/n", "")
	h.want("SELECT id, n2 FROM trips ORDER BY id", "1 1099511627776", "2 9")
}

func TestR12NewColumns(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(trips())
	h.put("trips", row{"id": 1, "ts": ago(3)}, row{"id": 2, "ts": ago(0)})
	h.archive("trips", ago(1))
	h.do("POST", "/schema/tables/trips/columns", `{"name":"v","type":"BigEnum","defaultValue":"x"}`)
	h.do("POST", "/schema/tables/trips/columns", `{"name":"w","type":"Int64"}`)
	h.do("POST", "/schema/tables/trips/columns", `{"name":"p","type":"Int16","defaultValue":"-3"}`)
	h.want("SELECT id, v, w, p FROM trips ORDER BY id", "1 x - -3", "2 x - -3")
	h.put("trips", row{"id": 1, "ts": ago(3), "w": 9})
	h.job("trips", "backfill", "")
	h.want("SELECT id, v, w, p FROM trips ORDER BY id", "1 x 9 -3", "2 x - -3")
	h.refused("POST", "/schema/tables/trips/columns", `{"name":"v","type":"Bool"}`, conflict, "Duplicated column name found")
	h.refused("POST", "/schema/tables/none/columns", `{"name":"v","type":"Bool"}`, absent, "Table does not exist")
	h.refused("POST", "/schema/tables/trips/columns", `{"name":"x","type":"Blob"}`, bad, "Invalid data type")
	h.refused("POST", "/schema/tables/trips/columns", `{"name":"a/b","type":"Bool"}`, bad, "Invalid column name")
	h.refused("POST", "/schema/tables/trips/columns", `{"name":"x"`, bad, "Bad request: failed to unmarshal request body")
}

func TestR13DeletedColumns(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(trips())
	h.create(with(cities(), "primaryKeyColumns", []int{1}))
	h.put("trips", row{"id": 1, "ts": ago(3), "fare": 1, "status": "paid"}, row{"id": 2, "ts": ago(0), "fare": 2, "status": "paid"})
	h.archive("trips", ago(1))
	at := "/schema/tables/trips/columns/"
	h.refused("DELETE", at+"ts", "", conflict, "Time column cannot be deleted")
	h.refused("DELETE", at+"id", "", conflict, "Primary key column cannot be deleted")
	h.refused("DELETE", at+"none", "", absent, "Column does not exist")
	h.refused("DELETE", "/schema/tables/none/columns/id", "", absent, "Table does not exist")
	h.refused("PUT", "/schema/tables/trips", h.edited("trips", 0, "deleted", true), conflict, "Time column cannot be deleted")
	if names := h.fileColumns("trips"); !strings.Contains(names, "fare") || !strings.Contains(names, "status") {
		t.Fatalf("the file has %s", names)
	}
	h.do("DELETE", at+"fare", "")
	h.do("DELETE", at+"status", "")
	if names := h.moved().fileColumns("trips"); !strings.Contains(names, "status") { // it sorts the day
		t.Errorf("the file has %s", names)
	}
	h.job("trips", "compact", "")
	if names := h.fileColumns("trips"); strings.Contains(names, "fare") {
		t.Errorf("the data of a deleted column stays in the file: %s", names)
	}
	h.refused("DELETE", at+"fare", "", absent, "Column does not exist")
	h.refused("PUT", at+"fare", `{}`, absent, "Column does not exist")
	h.refused("GET", at+"status/enum-cases", "", absent, "Bad request: column does not exist")
	h.refused("PUT", "/schema/tables/trips", h.edited("trips", 4, "deleted", false), conflict, "Reusing column id not allowed")
	if status, _, text := h.send(request{method: "POST", path: "/api/warehouse/query", body: `{"sql":"SELECT fare FROM trips"}`}); status != http.StatusUnprocessableEntity || !strings.Contains(text, "fare") {
		t.Errorf("a deleted column: %d %s", status, text)
	}
	if got := h.upsert("trips", sent{0, codeUint32, 0, []any{int(ago(0))}}, sent{1, codeInt64, 0, []any{2}}, sent{4, codeFloat32, 0, []any{9.5}}, sent{5, codeInt32, 0, []any{1}}); got != "0 1 0" {
		t.Errorf("an upsert of an older schema: %s", got)
	}
	h.do("POST", "/schema/tables/trips/columns", `{"name":"fare","type":"Int8"}`)
	h.do("POST", "/schema/tables/trips/columns", `{"name":"status","type":"SmallEnum"}`)
	h.want("SELECT id, n, fare, status FROM trips ORDER BY id", "1 5 - -", "2 1 - -")
	if got := h.cases("trips", "status"); got != "[]" {
		t.Errorf("the cases are %s", got)
	}
	h.do("DELETE", "/schema/tables/cities/columns/id", "") // column 0 of a dimension table
	h.job("trips", "compact", "")
	h.want("SELECT id, n, fare, status FROM trips ORDER BY id", "1 5 - -", "2 1 - -")
}

// fileColumns names the columns of the files of a table's days.
func (h *house) fileColumns(name string) string {
	h.t.Helper()
	var names []string
	for _, file := range h.days(name) {
		f, err := os.Open(file)
		if err != nil {
			h.t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			h.t.Fatal(err)
		}
		pf, err := parquet.OpenFile(f, info.Size())
		if err != nil {
			h.t.Fatal(err)
		}
		for _, c := range pf.Root().Columns() {
			names = append(names, c.Name())
		}
		if err := f.Close(); err != nil {
			h.t.Fatal(err)
		}
	}
	return strings.Join(names, " ")
}

func TestR14TheKeyStays(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(with(trips(), "primaryKeyColumns", []int{1, 2}))
	for _, key := range [][]int{{1}, {2, 1}, {1, 2, 5}, {}, {1, 5}} {
		h.refused("PUT", "/schema/tables/trips", h.json(with(h.get("trips"), "version", 0, "primaryKeyColumns", key)), conflict, "Primary key column cannot be changed")
	}
}
