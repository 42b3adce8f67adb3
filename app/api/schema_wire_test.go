package api

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"testing"
)

// TestAnAresDBClient does what AresDB's client does: it reads schemas, asks for
// and extends dictionaries with its capital letters, and sends batches of all
// types, column modes and update modes.
func TestAnAresDBClient(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	types := []string{"Uint32", "Bool", "Int8", "Uint8", "Int16", "Uint16", "Int32", "Uint32", "Float32", "SmallEnum", "BigEnum", "UUID", "GeoPoint", "GeoShape", "Int64", "Int16[]", "Bool[]", "UUID[]", "SmallEnum[]", "GeoPoint[]"}
	cols := columns(column("ts", "Uint32"))
	for i, typ := range types[1:] {
		cols = append(cols, column(fmt.Sprintf("c%d", i+1), typ))
	}
	cols = append(cols, column("id", "Int64"))
	text := h.json(table{"Name": "all", "IsFactTable": true, "PrimaryKeyColumns": []int{20}, "Columns": cols})
	h.do("POST", "/schema/tables", text)
	if got := h.do("GET", "/schema/tables", ""); got != `["all"]` {
		t.Errorf("the tables are %s", got)
	}
	if got := h.do("POST", "/schema/tables/all/columns/c9/enum-cases", `{"EnumCases":["a","b","a","x"]}`); got != "[0,1,0,2]" {
		t.Errorf("the numbers are %s", got)
	}
	if got := h.do("POST", "/schema/tables/all/columns/c10/enum-cases", `{"enumCases":["big"]}`); got != "[0]" {
		t.Errorf("the numbers are %s", got)
	}
	h.do("POST", "/schema/tables/all/columns/c18/enum-cases", `{"enumCases":["p","q"]}`)
	if got := h.do("POST", "/schema/tables/all/columns/c9/enum-cases", `{}`); got != "[]" {
		t.Errorf("no cases have the numbers %s", got)
	}
	if got := h.cases("all", "c9"); got != `["a","b","x"]` {
		t.Errorf("the cases are %s", got)
	}
	now := int(ago(0))
	const u1, u2 = "00112233-4455-6677-8899-aabbccddeeff", "ffeeddcc-bbaa-9988-7766-554433221100"
	all := []sent{
		{0, codeUint32, 0, []any{now, now - 1, now - 2}},
		{1, codeBool, 0, []any{true, false, nil}},
		{2, codeInt8, 0, []any{-128, 127, nil}},
		{3, codeUint8, 0, []any{255, nil, 0}},
		{4, codeInt16, 0, []any{-5, nil, nil}},
		{5, codeUint16, 0, []any{65535, 1, 2}},
		{6, codeInt32, 0, []any{nil, -7, nil}},
		{7, codeUint32, 0, []any{4294967295, nil, nil}},
		{8, codeFloat32, 0, []any{1.5, -2.25, nil}},
		{9, codeSmallEnum, 0, []any{2, 0, nil}},
		{10, codeBigEnum, 0, []any{0, nil, nil}},
		{11, codeUUID, 0, []any{u1, nil, u2}},
		{12, codePoint, 0, []any{point{1.5, -2}, nil, nil}},
		{13, codeShape, 0, []any{polygon{{{1, 2}, {3, 4}, {1, 2}}}, nil, nil}},
		{14, codeInt64, 0, []any{-1 << 62, nil, 5}},
		{15, codeInt16 | codeArray, 0, []any{[]any{1, nil, -3}, []any{}, nil}},
		{16, codeBool | codeArray, 0, []any{[]any{true, nil, false}, nil, nil}},
		{17, codeUUID | codeArray, 0, []any{[]any{u1}, nil, nil}},
		{18, codeSmallEnum | codeArray, 0, []any{[]any{1, 0, nil}, nil, nil}},
		{19, codePoint | codeArray, 0, []any{[]any{point{3, 4}}, nil, nil}},
		{20, codeInt64, 0, []any{1, 2, 3}},
	}
	if got := h.upsert("all", all...); got != "3 0 0" {
		t.Errorf("the summary is %s", got)
	}
	want := []string{
		"1 1 -128 255 -5 65535 - 4294967295 1.5 x big " + u1 + " Point(-2,1.5) -4611686018427387904 [1,null,-3] [true,null,false] [\"" + u1 + "\"] [\"q\",\"p\",null]",
		"2 0 127 - - 1 -7 - -2.25 a - - - - [] - - -",
		"3 - - 0 - 2 - - - - - " + u2 + " - 5 - - - -",
	}
	const sql = "SELECT id, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c14, c15, c16, c17, c18 FROM \"all\" ORDER BY id"
	h.want(sql, want...)
	if got := h.rows(`SELECT c13, c19 FROM "all" WHERE id = 1`); len(got) != 1 || !strings.HasPrefix(got[0], "POLYGON ((2 1, 4 3, 2 1)) [\"Point(4,3)\"]") {
		t.Errorf("%q", got)
	}
	if got := h.upsert("all", all...); got != "0 3 0" { // once more, with everything
		t.Errorf("the summary is %s", got)
	}
	h.archive("all", ago(-1))
	h.want(sql, want...)
}

// TestUpdateModes meets what is there with every mode, live and archived.
func TestUpdateModes(t *testing.T) {
	t.Parallel()
	for _, archived := range []bool{false, true} {
		h := newHouse(t)
		h.create(with(trips(), "archivingSortColumns", []int{2}))
		at := int(ago(3))
		h.put("trips", row{"id": 1, "ts": at, "fare": 10, "n": 10, "city": 4})
		counts := "0 1 0"
		if archived {
			h.archive("trips", ago(1))
			counts = "0 0 1"
		}
		step := func(mode byte, fare, n any, want string) {
			t.Helper()
			got := h.upsert("trips", sent{0, codeUint32, 0, []any{at}}, sent{1, codeInt64, 0, []any{1}}, sent{4, codeFloat32, mode, []any{fare}}, sent{5, codeInt32, mode, []any{n}})
			if got != counts {
				t.Errorf("the summary is %s", got)
			}
			h.want("SELECT fare, n FROM trips", want)
		}
		step(0, nil, 3, "10 3")
		step(2, 2.5, 7, "12.5 10")
		step(2, nil, 1<<31-1, "12.5 2147483647") // it does not wrap
		step(3, 20.0, 9, "12.5 9")
		step(4, 20.0, 8, "20 9")
		step(1, nil, nil, "- -")
		step(2, 4.0, 6, "4 6")
		if archived {
			h.job("trips", "backfill", "")
			h.want("SELECT fare, n FROM trips", "4 6")
		}
		now := int(ago(0))
		if got := h.upsert("trips", sent{0, codeUint32, 0, []any{now}}, sent{1, codeInt64, 0, []any{2}}, sent{5, codeInt32, 2, []any{3}}); got != "1 0 0" {
			t.Error(got)
		}
		h.want("SELECT n FROM trips WHERE id = 2", "8") // the default counts as what was there
		for _, c := range []sent{{1, codeInt64, 2, []any{1}}, {2, codeUint16, 2, []any{1}}, {3, codeSmallEnum, 3, []any{0}}} {
			cols := []sent{{0, codeUint32, 0, []any{at}}, {1, codeInt64, 0, []any{1}}, c}
			if c.id == 1 {
				cols = []sent{cols[0], c}
			}
			h.refused("POST", "/data/trips/0", string(batch(0, cols...)), bad, "column ")
		}
	}
}

// TestBatchesThatAreRefused holds AresDB's words for what is wrong with a batch.
func TestBatchesThatAreRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(trips())
	now := int(ago(0))
	ts, id := sent{0, codeUint32, 0, []any{now}}, sent{1, codeInt64, 0, []any{1}}
	for message, body := range map[string][]byte{
		"Unsupported upsert batch version 64636261":                                                   []byte("abcd"),
		"Failed to read upsert batch version number":                                                  nil,
		"Fact table's event time column (first column) is missing":                                    batch(0, id),
		"Primary key column 1 is missing from upsert batch":                                           batch(0, ts),
		"Unrecognized column id 99 in upsert batch":                                                   batch(0, ts, id, sent{99, codeInt8, 0, []any{1}}),
		"Unrecognized column id 65535 in upsert batch":                                                batch(0, ts, id, sent{65535, codeInt8, 0, []any{1}}),
		"Mismatched data type (upsert batch: 196624, schema 393248) for table trips shard 0 column 0": batch(0, sent{0, codeInt16, 0, []any{1}}, id),
		"Number of rows should be >= 0":                                                               func() []byte { b := batch(0, ts, id); binary.LittleEndian.PutUint32(b[4:], 1<<31); return b }(),
	} {
		h.refused("POST", "/data/trips/0", string(body), bad, message)
	}
	good := string(batch(0, ts, id))
	h.refused("POST", "/data/none/0", good, absent, "Failed to get shard 0 for table none for upsert batch")
	h.refused("POST", "/data/trips/1", good, absent, "Failed to get shard 1 for table trips for upsert batch")
	for _, shard := range []string{"x", "0x0", "99999999999", "0.0"} {
		h.refused("POST", "/data/trips/"+shard, good, bad, "Bad request: missing/invalid parameter")
	}
	if got := h.upsert("trips", ts, sent{1, codeInt64, 0, []any{nil}}); got != "0 0 0 0:missing_key" {
		t.Error(got)
	}
	if got := h.upsert("trips", ts, id, sent{3, codeSmallEnum, 0, []any{200}}); got != "0 0 0 0:unknown_enum_case" {
		t.Error(got)
	}
}

// TestMalformedBatches sends every truncation and many flips of bits: each is
// refused whole or answered row by row, and the server answers on.
func TestMalformedBatches(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(trips())
	h.put("trips", row{"id": 1, "ts": ago(0), "status": "x"})
	now := int(ago(0))
	good := batch(0, sent{0, codeUint32, 0, []any{now, now, now}}, sent{1, codeInt64, 0, []any{1, 2, 3}}, sent{3, codeSmallEnum, 0, []any{0, nil, 1}}, sent{4, codeFloat32, 2, []any{1.0, nil, 2.0}})
	before := h.sums()
	for n := range len(good) - 8 {
		if status, _, text := h.send(request{method: "POST", path: "/data/trips/0", body: string(good[:n])}); status != http.StatusBadRequest {
			t.Fatalf("%d of %d bytes: %d %s", n, len(good), status, text)
		}
	}
	if h.sums() != before {
		t.Error("a batch that breaks off changed the warehouse")
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range 400 {
		b := bytes.Clone(good)
		for range 1 + random.IntN(3) {
			b[random.IntN(len(b))] ^= 1 << random.IntN(8)
		}
		if status, _, text := h.send(request{method: "POST", path: "/data/trips/0", body: string(b)}); status != http.StatusOK && status != http.StatusBadRequest {
			t.Fatalf("%d %s\n%x", status, text, b)
		}
	}
	h.moved().want("SELECT count(*) > 0 FROM trips WHERE id = 1", "1")
}

// endless is a body of so many bytes.
type endless struct{ left int64 }

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), e.left)
	e.left -= n
	return int(n), nil
}

// TestBodiesOfAGigabyte are refused, and take little memory: as they are, unsaid
// how long, and packed into a few bytes.
func TestBodiesOfAGigabyte(t *testing.T) { //nolint:paralleltest // it measures memory
	h := newHouse(t)
	h.create(cities())
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := io.Copy(z, &endless{1 << 30}); err != nil {
		t.Fatal(err)
	}
	_ = z.Close()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for _, path := range []string{"/data/cities/0", "/schema/tables", "/schema/tables/cities", "/schema/tables/cities/columns/name/enum-cases"} {
		method := "POST"
		if path == "/schema/tables/cities" {
			method = "PUT"
		}
		for what, body := range map[string]io.Reader{"long": &endless{1 << 30}, "packed": bytes.NewReader(bomb.Bytes())} {
			req, err := http.NewRequestWithContext(t.Context(), method, h.server.URL+path, body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+h.tokens["editor"].Reveal())
			if what == "packed" {
				req.Header.Set("Content-Encoding", "gzip")
			}
			res, err := h.server.Client().Do(req)
			if err != nil { // the server hung up on what it will not read
				continue
			}
			if _ = res.Body.Close(); res.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("%s %s: %d", what, path, res.StatusCode)
			}
		}
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 256<<20 {
		t.Errorf("the heap grew by %d MB", grown>>20)
	}
	h.do("GET", "/schema/tables", "")
}

// TestRowsForPeople sends JSON, NDJSON and CSV.
func TestRowsForPeople(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(trips())
	now := ago(0)
	if got := h.summary("trips", "application/json; charset=utf-8", fmt.Sprintf(`[{"id":1,"ts":%d,"status":"ö"},{"ts":%d,"id":2,"fare":1.5,"city":null}]`, now, now), 2); got != "2 0 0" {
		t.Error(got)
	}
	if got := h.summary("trips", "application/json", fmt.Sprintf(`{"id":3,"ts":"%d"}`, now), 1); got != "1 0 0" {
		t.Error(got)
	}
	if got := h.summary("trips", "application/x-ndjson", fmt.Sprintf("{\"id\":4,\"ts\":%d}\n\n{\"id\":5,\"ts\":%d,\"n\":9}\n", now, now), 2); got != "2 0 0" {
		t.Error(got)
	}
	if got := h.summary("trips", "text/csv", fmt.Sprintf("\xef\xbb\xbfid,ts,status,fare\r\n6,%d,\"a, \"\"b\"\"\",\r\n7,%d,x,oops\r\n,%d,x,1\r\n", now, now, now), 3); got != "1 0 0 1:invalid_value 2:missing_key" {
		t.Error(got)
	}
	h.want("SELECT id, status, fare, n FROM trips ORDER BY id", "1 ö - 5", "2 new 1.5 5", "3 new - 5", "4 new - 5", "5 new - 9", `6 a, "b" - 5`)
	if got := h.cases("trips", "status"); got != `["new","ö","a, \"b\"","x"]` && got != `["new","ö","a, \"b\""]` {
		t.Error(got)
	}
	before := h.sums()
	for form, bodies := range map[string][]string{
		"application/json":     {"", "5", "[", "[5]", "[{}", `[{"id":1}] x`, "[null]", `[{"id":1,"ts":1,"none":2}]`, `[{"ts":1}]`, `[{"id":1}]`, strings.Repeat("[", 100000)},
		"application/x-ndjson": {"", "{", `{"id":1} 5`, "null", `{"id":1,"ts":1,"none":2}`},
		"text/csv":             {"", "id,ts\n1\n", "id,ts\n1,2,3\n", "id,id,ts\n1,1,1\n", "id,none\n1,1\n", "id,ts\n\"1,2\n"},
	} {
		for _, body := range bodies {
			status, _, text := h.send(request{method: "POST", path: "/data/trips/0", body: body, header: map[string]string{"Content-Type": form}})
			if status != http.StatusBadRequest {
				t.Errorf("%s %.40q: %d %s", form, body, status, text)
			}
		}
	}
	if h.sums() != before {
		t.Error("a body that is refused changed the warehouse")
	}
}

// TestPackedBodiesAndAnswers sends gzip and asks for it.
func TestPackedBodiesAndAnswers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	packed := map[string]string{"Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
	var cols []map[string]any
	for i := range 100 {
		cols = append(cols, column(fmt.Sprintf("c%d", i), "Int8"))
	}
	if status, _, text := h.send(request{method: "POST", path: "/schema/tables", body: zipped(h.json(table{"name": "t", "primaryKeyColumns": []int{0}, "columns": cols})), header: packed}); status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	if status, _, text := h.send(request{method: "POST", path: "/data/t/0", body: zipped(string(batch(0, sent{0, codeInt8, 0, []any{1}}))), header: packed}); status != http.StatusOK || !strings.Contains(text, `"inserted":1`) {
		t.Errorf("%d %s", status, text)
	}
	_, header, text := h.send(request{method: "GET", path: "/schema/tables/t", header: packed})
	z, err := gzip.NewReader(strings.NewReader(text))
	if err != nil || header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("%v %v", err, header)
	}
	var got table
	if err := json.NewDecoder(z).Decode(&got); err != nil || len(got["columns"].([]any)) != 100 {
		t.Errorf("%v", err)
	}
	if _, header, _ := h.send(request{method: "GET", path: "/schema/tables/t", header: map[string]string{"Accept-Encoding": "identity"}}); header.Get("Content-Encoding") != "" {
		t.Error("packed without being asked")
	}
	if status, _, _ := h.send(request{method: "POST", path: "/data/t/0", body: "not packed", header: packed}); status != http.StatusBadRequest {
		t.Errorf("%d", status)
	}
	if status, _, _ := h.send(request{method: "POST", path: "/data/t/0", body: "x", header: map[string]string{"Content-Encoding": "br"}}); status != http.StatusBadRequest {
		t.Errorf("%d", status)
	}
}

// TestEnumsThatAreFull holds the bounds of dictionaries.
func TestEnumsThatAreFull(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(trips())
	at := "/schema/tables/trips/columns/status/enum-cases"
	var all []string
	for i := range 255 {
		all = append(all, fmt.Sprintf("c%d", i))
	}
	h.do("POST", at, h.json(row{"enumCases": all}))
	h.refused("POST", at, `{"enumCases":["c1","more"]}`, conflict, "Enum column cardinality exceeds limit")
	if got := h.do("POST", at, `{"enumCases":["c1","new","c254"]}`); got != "[2,0,255]" {
		t.Errorf("the numbers are %s", got)
	}
	many := h.json(row{"enumCases": append(append([]string{}, all...), all...)})
	if got := h.do("POST", at, many); !strings.HasPrefix(got, "[1,2,3,") {
		t.Errorf("cases that are there: %s", got)
	}
	for _, c := range []string{"", "null", strings.Repeat("x", 1025)} {
		h.refused("POST", at, h.json(row{"enumCases": []string{c}}), bad, "Invalid enum case")
	}
	h.refused("POST", at, `{"enumCases":"x"}`, bad, "Bad request: failed to unmarshal request body")
	if got := h.put("trips", row{"id": 1, "ts": ago(0), "status": "one more"}, row{"id": 2, "ts": ago(0), "status": "c7"}); got != "1 0 0 0:invalid_value" {
		t.Error(got)
	}
}

// TestATokenInTheURL is how a client that knows of no tokens signs in.
func TestATokenInTheURL(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for user, status := range map[string]int{h.tokens["viewer"].Reveal(): http.StatusOK, "arus_wrong": http.StatusUnauthorized} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.Replace(h.server.URL, "://", "://aresdb:"+user+"@", 1)+"/schema/tables", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := h.server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if _ = res.Body.Close(); res.StatusCode != status {
			t.Errorf("%d, want %d", res.StatusCode, status)
		}
	}
}
