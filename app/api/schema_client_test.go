package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"arus/app/control"
	"arus/app/control/controltest"
	"arus/app/model"
	"arus/connectors"
)

// noon is the present of these tests: 2026-03-10 12:00 UTC.
var noon = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

const aDay = 86400

// ago gives a time of so many days before noon, in seconds.
func ago(days float64) int64 { return noon.Unix() - int64(days*aDay) }

// house is a server with a warehouse, and AresDB's client of it.
type house struct {
	t      *testing.T
	dir    string // the warehouse's
	screen func(ctx context.Context, sql string) error
	server *httptest.Server
	tokens map[string]connectors.Secret

	mu sync.Mutex
	at time.Time
}

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

func (h *house) set(at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = at
}

func newHouse(t *testing.T) *house { return houseIn(t, t.TempDir()) }

// houseIn serves the data directory dir, which may hold a warehouse already.
func houseIn(t *testing.T, dir string) *house {
	t.Helper()
	h := &house{t: t, dir: control.WarehouseDir(dir), at: noon, tokens: map[string]connectors.Secret{}}
	log := slog.New(slog.DiscardHandler)
	s := controltest.Open(t, dir, h.now, log)
	s.Screen = func(ctx context.Context, sql string) error {
		if h.screen == nil {
			return nil
		}
		return h.screen(ctx, sql)
	}
	a := &API{Control: s, Log: log, Now: h.now, Version: "test", Started: h.at, Ready: func() bool { return true }}
	mux := http.NewServeMux()
	mux.Handle("/api/", a.Handler())
	mux.Handle("/", a.Tables())
	h.server = httptest.NewServer(mux)
	t.Cleanup(h.server.Close)
	for _, role := range model.Roles() {
		var err error
		if h.tokens[string(role)], _, err = s.AddToken(controltest.Admin(t), control.TokenInput{Name: string(role), Role: role}); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// moved copies the warehouse's directory to another server.
func (h *house) moved() *house {
	h.t.Helper()
	dir := h.t.TempDir()
	if err := os.CopyFS(control.WarehouseDir(dir), os.DirFS(h.dir)); err != nil {
		h.t.Fatal(err)
	}
	return houseIn(h.t, dir)
}

type request struct {
	as     string // a role; empty: editor
	method string
	path   string
	body   string
	header map[string]string
}

func (h *house) send(r request) (int, http.Header, string) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 2*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.method, h.server.URL+r.path, strings.NewReader(r.body))
	if err != nil {
		h.t.Fatal(err)
	}
	if r.as == "" {
		r.as = "editor"
	}
	if token, ok := h.tokens[r.as]; ok {
		req.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	res, err := h.server.Client().Do(req)
	if err != nil {
		h.t.Fatalf("%s %s: %v", r.method, r.path, err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(text)
}

// do sends a request that must be answered with 200, as AresDB's clients demand.
func (h *house) do(method, path, body string) string {
	h.t.Helper()
	status, _, text := h.send(request{method: method, path: path, body: body})
	if status != http.StatusOK {
		h.t.Fatalf("%s %s %.300s: %d %s", method, path, body, status, text)
	}
	return text
}

// refused sends a request that must be refused with these words, and leave every
// byte of the warehouse as it is.
func (h *house) refused(method, path, body string, status int, message string) {
	h.t.Helper()
	before := h.sums()
	got, _, text := h.send(request{method: method, path: path, body: body})
	var f struct {
		Message string
		Cause   any
	}
	if err := json.Unmarshal([]byte(text), &f); err != nil || got != status || !strings.HasPrefix(f.Message, message) {
		h.t.Errorf("%s %s %.200s: %d %s, want %d %s", method, path, body, got, text, status, message)
	}
	switch f.Cause.(type) {
	case nil, string:
	default:
		h.t.Errorf("the cause is %T", f.Cause)
	}
	if after := h.sums(); after != before {
		h.t.Errorf("%s %s %.200s changed the warehouse:\n%s\nbecame\n%s", method, path, body, before, after)
	}
}

// sums is a checksum of every file of the warehouse. What SQLite keeps for its
// readers and the lock hold no data.
func (h *house) sums() string {
	h.t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(h.dir, func(path string, e fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil || e.IsDir() || strings.HasSuffix(path, "-shm") || e.Name() == "lock" {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil || strings.HasSuffix(path, "-wal") && len(data) == 0 {
			return err
		}
		_, err = fmt.Fprintf(&out, "%s %x\n", strings.TrimPrefix(path, h.dir), sha256.Sum256(data))
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return out.String()
}

// rows asks in SQL; each row is its values with blanks between, "-" for null.
func (h *house) rows(sql string) []string {
	h.t.Helper()
	body, _ := json.Marshal(map[string]any{"sql": sql})
	text := h.do("POST", "/api/warehouse/query", string(body))
	var answer struct{ Data control.Rows }
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		h.t.Fatal(err)
	}
	out := []string{}
	for _, row := range answer.Data.Rows {
		values := make([]string, len(row))
		for i, v := range row {
			switch v := v.(type) {
			case nil:
				values[i] = "-"
			case float64:
				values[i] = fmt.Sprint(int64(v))
				if v != math.Trunc(v) {
					values[i] = fmt.Sprint(v)
				}
			default:
				values[i] = fmt.Sprint(v)
			}
		}
		out = append(out, strings.Join(values, " "))
	}
	return out
}

func (h *house) want(sql string, rows ...string) {
	h.t.Helper()
	if got := h.rows(sql); !slices.Equal(got, rows) {
		h.t.Errorf("%s\n got %q\nwant %q", sql, got, rows)
	}
}

// stats are a table's figures.
func (h *house) stats(table string) statsAnswer {
	h.t.Helper()
	status, _, text := h.send(request{as: "admin", method: "GET", path: "/dbg/" + table + "/0"})
	var s statsAnswer
	if err := json.Unmarshal([]byte(text), &s); err != nil || status != http.StatusOK {
		h.t.Fatalf("%d %s", status, text)
	}
	return s
}

// job does a job of a table now.
func (h *house) job(table, job, body string) jobAnswer {
	h.t.Helper()
	status, _, text := h.send(request{as: "admin", method: "POST", path: "/dbg/" + table + "/0/" + job, body: body})
	var a jobAnswer
	if err := json.Unmarshal([]byte(text), &a); err != nil || status != http.StatusOK {
		h.t.Fatalf("%s of %s: %d %s", job, table, status, text)
	}
	return a
}

func (h *house) archive(table string, cutoff int64) jobAnswer {
	h.t.Helper()
	return h.job(table, "archive", fmt.Sprintf(`{"cutoff":%d}`, cutoff))
}

// table is a schema as it is sent.
type table = map[string]any

func column(name, typ string, more ...any) map[string]any {
	c := map[string]any{"name": name, "type": typ}
	for i := 0; i+1 < len(more); i += 2 {
		c[more[i].(string)] = more[i+1]
	}
	return c
}

func columns(c ...map[string]any) []map[string]any { return c }

func (h *house) json(v any) string {
	h.t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(text)
}

func (h *house) create(t table) {
	h.t.Helper()
	if text := h.do("POST", "/schema/tables", h.json(t)); text != "" {
		h.t.Errorf("making a table answers %q", text)
	}
}

// get is a table's schema as AresDB's client reads it.
func (h *house) get(name string) table {
	h.t.Helper()
	var t table
	if err := json.Unmarshal([]byte(h.do("GET", "/schema/tables/"+name, "")), &t); err != nil {
		h.t.Fatal(err)
	}
	return t
}

func (h *house) cases(name, column string) string {
	h.t.Helper()
	return h.do("GET", "/schema/tables/"+name+"/columns/"+column+"/enum-cases", "")
}

func trips() table {
	return table{
		"name": "trips", "isFactTable": true, "primaryKeyColumns": []int{1}, "archivingSortColumns": []int{2, 3},
		"columns": columns(column("ts", "Uint32"), column("id", "Int64"), column("city", "Uint16"), column("status", "SmallEnum", "defaultValue", "new"),
			column("fare", "Float32"), column("n", "Int32", "defaultValue", "5")),
	}
}

func cities() table {
	return table{"name": "cities", "primaryKeyColumns": []int{0}, "columns": columns(column("id", "Int32"), column("name", "String"))}
}

// with is a table with other fields.
func with(t table, more ...any) table {
	for i := 0; i+1 < len(more); i += 2 {
		t[more[i].(string)] = more[i+1]
	}
	return t
}

// sent is a column of an upsert batch, as AresDB's client packs it.
type sent struct {
	id     int
	code   uint32
	mode   byte  // how values meet those that are there
	values []any // nil: null
}

// The codes of the types on the wire.
const (
	codeBool, codeInt8, codeUint8, codeInt16, codeUint16, codeInt32, codeUint32        = 0x00000001, 0x00010008, 0x00020008, 0x00030010, 0x00040010, 0x00050020, 0x00060020
	codeFloat32, codeSmallEnum, codeBigEnum, codeUUID, codePoint, codeShape, codeInt64 = 0x00070020, 0x00080008, 0x00090010, 0x000a0080, 0x000b0040, 0x000c0000, 0x000d0040
	codeArray                                                                          = 0x01000000
)

// point is a place on the globe, polygon a ring of them.
type (
	point   struct{ lat, lng float32 }
	polygon [][]point
)

func padded(b []byte, n int) []byte {
	for len(b)%n != 0 {
		b = append(b, 0)
	}
	return b
}

func bits(n int, on func(i int) bool) []byte {
	out := make([]byte, (n+7)/8)
	for i := range n {
		if on(i) {
			out[i/8] |= 1 << (i % 8)
		}
	}
	return out
}

func fixed(code uint32, v any) []byte {
	le := binary.LittleEndian
	switch v := v.(type) {
	case nil:
		return make([]byte, code&0xffff/8)
	case int:
		return le.AppendUint64(nil, uint64(v))[:code&0xffff/8]
	case float64:
		return le.AppendUint32(nil, math.Float32bits(float32(v)))
	case string: // a UUID
		b, err := hex.DecodeString(strings.ReplaceAll(v, "-", ""))
		if err != nil {
			panic(err)
		}
		return b
	case point:
		return le.AppendUint32(le.AppendUint32(nil, math.Float32bits(v.lat)), math.Float32bits(v.lng))
	}
	panic(fmt.Sprintf("no form for %T", v))
}

func variable(code uint32, v any) []byte {
	le := binary.LittleEndian
	if rings, ok := v.(polygon); ok {
		out := le.AppendUint32(nil, uint32(len(rings)))
		for _, ring := range rings {
			out = le.AppendUint32(out, uint32(len(ring)))
			for _, p := range ring {
				out = append(out, fixed(codePoint, p)...)
			}
		}
		return padded(out, 4)
	}
	items := v.([]any)
	out := le.AppendUint32(nil, uint32(len(items)))
	if item := code &^ codeArray; item == codeBool {
		out = append(out, bits(len(items), func(i int) bool { return items[i] == true })...)
	} else {
		for _, i := range items {
			out = append(out, fixed(item, i)...)
		}
	}
	out = append(out, bits(len(items), func(i int) bool { return items[i] != nil })...)
	if len(items) == 0 {
		out = append(out, 0)
	}
	return padded(out, 8)
}

// section packs a column's values behind the rest of the batch.
func section(out []byte, c sent) (_ []byte, form byte) {
	nulls := 0
	for _, v := range c.values {
		if v == nil {
			nulls++
		}
	}
	if nulls == len(c.values) {
		return out, 0
	}
	if form = 1; nulls > 0 {
		form = 2
		if c.code != codeShape {
			out = append(out, bits(len(c.values), func(i int) bool { return c.values[i] != nil })...)
		}
	}
	if c.code == codeShape || c.code&codeArray != 0 {
		out = padded(out, 4)
		var data []byte
		for _, v := range c.values {
			out = binary.LittleEndian.AppendUint32(out, uint32(len(data)))
			if v != nil {
				data = append(data, variable(c.code, v)...)
			}
		}
		out = binary.LittleEndian.AppendUint32(out, uint32(len(data)))
		return append(padded(out, 8), data...), form
	}
	out = padded(out, 8)
	if c.code == codeBool {
		return append(out, bits(len(c.values), func(i int) bool { return c.values[i] == true })...), form
	}
	for _, v := range c.values {
		out = append(out, fixed(c.code, v)...)
	}
	return out, form
}

// batch packs an upsert batch.
func batch(arrival int64, cols ...sent) []byte {
	le, n := binary.LittleEndian, len(cols)
	rows := 0
	if n > 0 {
		rows = len(cols[0].values)
	}
	offsets := 28
	types := offsets + 4*(n+1) + 8*n
	ids, flags := types+4*n, types+6*n
	out := make([]byte, flags+n)
	le.PutUint32(out, 0xFEED0001)
	le.PutUint32(out[4:], uint32(rows))
	le.PutUint16(out[8:], uint16(n))
	le.PutUint32(out[24:], uint32(arrival))
	for i, c := range cols {
		le.PutUint32(out[offsets+4*i:], uint32(len(out)))
		le.PutUint32(out[types+4*i:], c.code)
		le.PutUint16(out[ids+2*i:], uint16(c.id))
		var form byte
		out, form = section(out, c)
		out[flags+i] = form | c.mode<<3
	}
	le.PutUint32(out[offsets+4*n:], uint32(len(out)))
	return padded(out, 8)
}

// summary is the answer to rows.
type summary struct {
	Inserted, Updated, Backfilled int
	Rejected                      []struct {
		Row    int
		Reason string
	}
}

func (s summary) String() string {
	out := fmt.Sprintf("%d %d %d", s.Inserted, s.Updated, s.Backfilled)
	for _, r := range s.Rejected {
		out += fmt.Sprintf(" %d:%s", r.Row, r.Reason)
	}
	return out
}

// upsert sends a batch as AresDB's client does. The summary counts every row.
func (h *house) upsert(table string, cols ...sent) string {
	h.t.Helper()
	return h.summary(table, "application/upsert-data", string(batch(h.now().Unix(), cols...)), len(cols[0].values))
}

func (h *house) summary(table, form, body string, rows int) string {
	h.t.Helper()
	status, _, text := h.send(request{method: "POST", path: "/data/" + table + "/0", body: body, header: map[string]string{"Content-Type": form}})
	var s summary
	if err := json.Unmarshal([]byte(text), &s); err != nil || status != http.StatusOK {
		h.t.Fatalf("upsert into %s: %d %s", table, status, text)
	}
	if n := s.Inserted + s.Updated + s.Backfilled + len(s.Rejected); n != rows {
		h.t.Errorf("the summary counts %d rows of %d: %s", n, rows, text)
	}
	return s.String()
}

// put upserts rows of JSON.
func (h *house) put(table string, rows ...map[string]any) string {
	h.t.Helper()
	return h.summary(table, "application/json", h.json(rows), len(rows))
}

type row = map[string]any

func zipped(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, text)
	_ = z.Close()
	return b.String()
}
