package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// program is arus serve as a process of its own, to be killed and started again.
type program struct {
	t      *testing.T
	dir    string
	tokens map[string]string
	http   *http.Client

	cmd  *exec.Cmd
	url  string
	said *output
}

func startProgram(t *testing.T) *program {
	t.Helper()
	p := &program{t: t, dir: t.TempDir(), tokens: map[string]string{}, http: &http.Client{Transport: &http.Transport{}, Timeout: 5 * time.Minute}}
	for _, role := range []string{"editor", "admin"} {
		p.tokens[role] = strings.TrimSpace(mustArus(t, p.dir, "token", "create", "--name", role, "--role", role))
	}
	t.Cleanup(func() {
		p.http.CloseIdleConnections()
		p.kill()
	})
	p.start()
	return p
}

func (p *program) start() {
	p.t.Helper()
	p.said = newOutput()
	p.cmd = child(p.t, p.dir, "serve", "--listen", "127.0.0.1:0")
	p.cmd.Stderr = p.said
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	for end := time.After(2 * time.Minute); ; {
		if m := readyLine.FindStringSubmatch(p.said.String()); m != nil {
			p.url = "http://" + m[1]
			return
		}
		select {
		case <-p.said.more:
		case <-end:
			p.t.Fatalf("the program does not get ready:\n%s", p.said)
		}
	}
}

// kill ends the process without a word, and waits until it is no more.
func (p *program) kill() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		p.cmd = nil
	}
}

// send gives an error where the program answered nothing.
func (p *program) send(as, method, path string, body io.Reader) (int, string, error) {
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, body)
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Authorization", "Bearer "+p.tokens[as])
	req.Header.Set("Content-Type", "application/json")
	if _, ok := body.(*bytes.Reader); ok {
		req.Header.Set("Content-Type", "application/upsert-data")
	}
	res, err := p.http.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}

func (p *program) do(as, method, path, body string) string {
	p.t.Helper()
	status, text, err := p.send(as, method, path, strings.NewReader(body))
	if err != nil || status != http.StatusOK {
		p.t.Fatalf("%s %s %.300s: %d %s %v\n%s", method, path, body, status, text, err, p.said)
	}
	return text
}

// modelColumn is a column of a modelled table; its position is its ID.
type modelColumn struct {
	Name    string  `json:"name"`
	Type    string  `json:"type"`
	Deleted bool    `json:"deleted,omitempty"`
	Default *string `json:"defaultValue,omitempty"`
}

// modelTable is what a table of the program is to hold.
type modelTable struct {
	name    string
	fact    bool
	columns []modelColumn
	rows    map[int]map[string]string // by id; a name that is absent is null
	cases   map[string][]string       // of enum columns, as last seen
}

func (m *modelTable) clone() *modelTable {
	c := *m
	c.columns, c.rows, c.cases = slices.Clone(m.columns), map[int]map[string]string{}, maps.Clone(m.cases)
	for id, r := range m.rows {
		c.rows[id] = maps.Clone(r)
	}
	return &c
}

// free are the columns besides time and key.
func (m *modelTable) free() []modelColumn {
	var out []modelColumn
	for _, c := range m.columns {
		if !c.Deleted && c.Name != "id" && c.Name != "ts" {
			out = append(out, c)
		}
	}
	return out
}

func (m *modelTable) add(c modelColumn) {
	m.columns = append(m.columns, c)
	if c.Default != nil {
		for _, r := range m.rows {
			r[c.Name] = *c.Default
		}
	}
}

func (m *modelTable) drop(name string) {
	for i, c := range m.columns {
		if c.Name == name && !c.Deleted {
			m.columns[i].Deleted = true
		}
	}
	for _, r := range m.rows {
		delete(r, name)
	}
	delete(m.cases, name)
}

func (m *modelTable) upsert(rows []map[string]any) {
	for _, given := range rows {
		id := given["id"].(int)
		have, ok := m.rows[id]
		if !ok {
			have = map[string]string{}
			for _, c := range m.free() {
				if c.Default != nil {
					have[c.Name] = *c.Default
				}
			}
			m.rows[id] = have
		}
		for name, v := range given {
			if name != "id" && name != "ts" && v != nil {
				have[name] = v.(string)
			}
		}
	}
}

// holds says whether the program has the table as the model has it.
func (p *program) holds(m *modelTable) (bool, string) {
	p.t.Helper()
	var schema struct{ Columns []modelColumn }
	if err := json.Unmarshal([]byte(p.do("editor", "GET", "/schema/tables/"+m.name, "")), &schema); err != nil {
		p.t.Fatal(err)
	}
	if got, want := toJSON(schema.Columns), toJSON(m.columns); got != want {
		return false, "the columns are " + got + ", want " + want
	}
	names := []string{"id"}
	for _, c := range m.free() {
		names = append(names, c.Name)
	}
	var answer struct{ Data struct{ Rows [][]any } }
	text := p.do("editor", "POST", "/api/warehouse/query", toJSON(map[string]any{"sql": "SELECT " + strings.Join(names, ", ") + " FROM " + m.name + " ORDER BY id"}))
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		p.t.Fatal(err)
	}
	var got, want []string
	for _, row := range answer.Data.Rows {
		got = append(got, strings.TrimSpace(fmt.Sprintln(row...)))
	}
	for _, id := range slices.Sorted(maps.Keys(m.rows)) {
		row := []any{id}
		for _, name := range names[1:] {
			if v, ok := m.rows[id][name]; ok {
				row = append(row, v)
			} else {
				row = append(row, nil)
			}
		}
		want = append(want, strings.TrimSpace(fmt.Sprintln(row...)))
	}
	if !slices.Equal(got, want) {
		return false, fmt.Sprintf("%s has\n%s\nand the model\n%s", strings.Join(names, ", "), strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	return true, ""
}

func toJSON(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

// editor makes random requests for one table.
type editor struct {
	*program
	r    *rand.Rand
	m    *modelTable
	next int
	now  int64
}

// request is one of them: what it makes of the model, nil where it is refused.
type editRequest struct {
	as, method, path, body string
	do                     func(m *modelTable)
}

// taken says whether a request that may be was: a job may have nothing to do.
func (q editRequest) taken(status int) bool {
	return status == http.StatusOK || q.as == "admin" && status == http.StatusConflict
}

func (e *editor) newColumn() modelColumn {
	e.next++
	c := modelColumn{Name: fmt.Sprintf("c%d", e.next), Type: []string{"String", "Int64", "SmallEnum", "Uint8", "BigEnum"}[e.r.IntN(5)]}
	if e.r.IntN(2) == 0 {
		c.Default = new(strconv.Itoa(e.r.IntN(5)))
	}
	return c
}

// table is the schema as the program gives it, to be pushed again.
func (e *editor) table() map[string]any {
	var t map[string]any
	if err := json.Unmarshal([]byte(e.do("editor", "GET", "/schema/tables/"+e.m.name, "")), &t); err != nil {
		e.t.Fatal(err)
	}
	t["version"] = 0
	return t
}

func (e *editor) request() editRequest {
	at := "/schema/tables/" + e.m.name
	free := e.m.free()
	switch k := e.r.IntN(20); {
	case k < 8:
		return e.upserts()
	case k < 10 && len(free) < 8:
		c := e.newColumn()
		return editRequest{"editor", "POST", at + "/columns", toJSON(c), func(m *modelTable) { m.add(c) }}
	case k < 11 && len(free) > 1:
		c := free[e.r.IntN(len(free))].Name
		return editRequest{"editor", "DELETE", at + "/columns/" + c, "", func(m *modelTable) { m.drop(c) }}
	case k < 13 && len(free) > 1: // a push of the whole table, with one column less and one more
		gone, c := free[e.r.IntN(len(free))].Name, e.newColumn()
		t := e.table()
		for _, old := range t["columns"].([]any) {
			if old := old.(map[string]any); old["name"] == gone && old["deleted"] != true {
				old["deleted"] = true
			}
		}
		t["columns"] = append(t["columns"].([]any), c)
		return editRequest{"editor", "PUT", at, toJSON(t), func(m *modelTable) { m.drop(gone); m.add(c) }}
	case k < 16:
		return editRequest{"editor", "PUT", at, e.forbidden(), nil}
	}
	jobs := []string{"snapshot", "compact"}
	if e.m.fact {
		jobs = []string{"archive", "backfill", "compact"}
	}
	return editRequest{"admin", "POST", "/dbg/" + e.m.name + "/0/" + jobs[e.r.IntN(len(jobs))], "", func(*modelTable) {}}
}

func (e *editor) upserts() editRequest {
	var rows []map[string]any
	for range 1 + e.r.IntN(20) {
		id := e.r.IntN(60)
		row := map[string]any{"id": id}
		if e.m.fact {
			row["ts"] = e.now - int64(id%7)*86400 - int64(id)
		}
		for _, c := range e.m.free() {
			switch e.r.IntN(4) {
			case 0:
			case 1:
				row[c.Name] = nil
			default:
				row[c.Name] = strconv.Itoa(e.r.IntN(5))
			}
		}
		rows = append(rows, row)
	}
	return editRequest{"editor", "POST", "/data/" + e.m.name + "/0", toJSON(rows), func(m *modelTable) { m.upsert(rows) }}
}

// forbidden is the table with what may be, and one thing that may not.
func (e *editor) forbidden() string {
	t := e.table()
	columns := t["columns"].([]any)
	column := func(i int) map[string]any { return columns[i].(map[string]any) }
	i := e.r.IntN(len(columns))
	t["columns"] = append(columns, e.newColumn())
	switch e.r.IntN(7) {
	case 0:
		column(i)["name"] = "other"
	case 1:
		column(i)["type"] = "Float64"
	case 2:
		t["primaryKeyColumns"] = []int{-1}
	case 3:
		t["columns"] = columns[:len(columns)-1]
	case 4:
		t["isFactTable"] = !e.m.fact
	case 5:
		column(slices.IndexFunc(e.m.columns, func(c modelColumn) bool { return c.Name == "id" }))["deleted"] = true
	case 6:
		column(i)["defaultValue"] = "77"
	}
	return toJSON(t)
}

// TestRandomEditsOfARunningProgram edits tables and puts rows at random, over HTTP, kills the program while it does one
// of these, starts it again, and wants the state of before or after. ARUS_SOAK_EDITS is how long it goes on
// (`go tool task soak`).
func TestRandomEditsOfARunningProgram(t *testing.T) {
	t.Parallel()
	lasts, requests := time.Duration(0), 60
	if d, err := time.ParseDuration(os.Getenv("ARUS_SOAK_EDITS")); err == nil {
		lasts = d
	}
	end := time.Now().Add(lasts)
	p := startProgram(t)
	for _, seed := range []uint64{1, rand.Uint64()} {
		t.Logf("seed %d", seed)
		for _, fact := range []bool{true, false} {
			name := fmt.Sprintf("t%d_%v", seed, fact)
			e := &editor{program: p, r: rand.New(rand.NewPCG(seed, 9)), now: time.Now().Unix(), m: &modelTable{name: name, fact: fact, rows: map[int]map[string]string{}, cases: map[string][]string{}}}
			body := map[string]any{"name": name, "isFactTable": fact, "primaryKeyColumns": []int{0}}
			if fact {
				e.m.columns = append(e.m.columns, modelColumn{Name: "ts", Type: "Uint32"})
				body["primaryKeyColumns"], body["archivingSortColumns"] = []int{1}, []int{2}
			}
			e.m.columns = append(e.m.columns, modelColumn{Name: "id", Type: "Int64"}, modelColumn{Name: "a", Type: "SmallEnum", Default: new("4")}, modelColumn{Name: "b", Type: "String"})
			body["columns"] = e.m.columns
			p.do("editor", "POST", "/schema/tables", toJSON(body))
			for i := 0; i < requests || time.Now().Before(end) && seed != 1; i++ {
				e.step(i%23 == 22)
				if t.Failed() {
					t.Fatalf("seed %d, fact %v, request %d", seed, fact, i)
				}
			}
		}
	}
}

// step makes one request, and kills the program while it is under way.
func (e *editor) step(kill bool) {
	e.t.Helper()
	next := e.request()
	before, after := e.m, e.m.clone()
	if next.do != nil {
		next.do(after)
	}
	if kill {
		done := make(chan error, 1)
		sent := make(chan struct{})
		go func() {
			status, text, err := e.send(next.as, next.method, next.path, &starting{body: strings.NewReader(next.body), begun: sent})
			if err == nil && !next.taken(status) && next.do != nil {
				e.t.Errorf("%s %s %s: %d %s", next.method, next.path, next.body, status, text)
			}
			done <- err
		}()
		var err error
		select {
		case <-sent:
			e.kill()
			err = <-done
		case err = <-done:
			e.kill()
		}
		answered := err == nil
		e.start()
		isAfter, why := e.holds(after)
		isBefore := false
		if !isAfter && !answered {
			isBefore, _ = e.holds(before)
		}
		switch {
		case isAfter:
			e.m = after
		case !isBefore:
			e.t.Errorf("killed at %s %s %s (answered %v), the state is neither that of before nor that of after: %s", next.method, next.path, next.body, answered, why)
		}
		return
	}
	if next.do == nil {
		whole := e.do("editor", "GET", "/schema/tables/"+e.m.name, "")
		status, text, err := e.send(next.as, next.method, next.path, strings.NewReader(next.body))
		if err != nil || status < 400 || status >= 500 || e.do("editor", "GET", "/schema/tables/"+e.m.name, "") != whole {
			e.t.Errorf("%s %s: %d %s %v", next.path, next.body, status, text, err)
		}
	} else {
		status, text, err := e.send(next.as, next.method, next.path, strings.NewReader(next.body))
		if err != nil || !next.taken(status) {
			e.t.Fatalf("%s %s %s: %d %s %v\n%s", next.method, next.path, next.body, status, text, err, e.said)
		}
		e.m = after
	}
	if ok, why := e.holds(e.m); !ok {
		e.t.Errorf("after %s %s %s: %s", next.method, next.path, next.body, why)
	}
	e.seeCases()
}

// seeCases wants every enum column to have at first the cases that it had.
func (e *editor) seeCases() {
	e.t.Helper()
	for _, c := range e.m.free() {
		if !strings.HasSuffix(c.Type, "Enum") {
			continue
		}
		var cases []string
		if err := json.Unmarshal([]byte(e.do("editor", "GET", "/schema/tables/"+e.m.name+"/columns/"+c.Name+"/enum-cases", "")), &cases); err != nil {
			e.t.Fatal(err)
		}
		had := e.m.cases[c.Name]
		if len(cases) < len(had) || !slices.Equal(had, cases[:len(had)]) || c.Default != nil && cases[0] != *c.Default {
			e.t.Errorf("the cases of %s were %v and are %v", c.Name, had, cases)
		}
		e.m.cases[c.Name] = cases
	}
}

// starting tells when a body begins to be read, which is when its request is under way.
type starting struct {
	body  io.Reader
	begun chan struct{}
	told  bool
}

func (s *starting) Read(b []byte) (int, error) {
	if !s.told {
		s.told = true
		close(s.begun)
	}
	return s.body.Read(b)
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

// TestHostileRequestsToARunningProgram sends every truncation and every flipped bit of a batch, bodies of a gigabyte, ids
// and names that are none: the program answers, its memory stays bounded, and after a kill it starts clean.
func TestHostileRequestsToARunningProgram(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	p.do("editor", "POST", "/schema/tables", `{"name":"t","columns":[{"name":"id","type":"Int32"},{"name":"n","type":"Uint8","defaultValue":"7"},{"name":"s","type":"SmallEnum","defaultValue":"x"}],"primaryKeyColumns":[0]}`)
	p.do("editor", "POST", "/data/t/0", `[{"id":-1,"n":"3","s":"y"}]`)
	// Two rows of id and n, as AresDB's client packs them.
	good := []byte{
		0x01, 0x00, 0xed, 0xfe, 2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		74, 0, 0, 0, 88, 0, 0, 0, 90, 0, 0, 0, // where sections begin and the last ends
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0x00, 0x05, 0x00, 0x08, 0x00, 0x02, 0x00, 0, 0, 1, 0, 1, 1,
		0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, 8, 9, 0, 0, 0, 0, 0, 0,
	}
	post := func(what string, body []byte) int {
		t.Helper()
		status, text, err := p.send("editor", "POST", "/data/t/0", bytes.NewReader(body))
		if err != nil || status != http.StatusOK && status != http.StatusBadRequest {
			t.Fatalf("%s: %d %s %v\n%s", what, status, text, err, p.said)
		}
		return status
	}
	for n := range 88 {
		if post(fmt.Sprintf("%d bytes", n), good[:n]) == http.StatusOK {
			t.Errorf("%d bytes of a batch are taken", n)
		}
	}
	if status := post("a whole batch", good); status != http.StatusOK {
		t.Fatalf("a whole batch: %d", status)
	}
	for i := range len(good) * 8 {
		b := bytes.Clone(good)
		b[i/8] ^= 1 << (i % 8)
		post(fmt.Sprintf("bit %d flipped", i), b)
	}
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/schema/tables", `{"name":"u","columns":[{"name":"id","type":"Int32"}],"primaryKeyColumns":[-1]}`},
		{"POST", "/schema/tables", `{"name":"u","columns":[{"name":"id","type":"Int32"}],"primaryKeyColumns":[65536]}`},
		{"POST", "/schema/tables", `{"name":"../u","columns":[{"name":"id","type":"Int32"}],"primaryKeyColumns":[0]}`},
		{"POST", "/schema/tables", `{"name":"..","columns":[{"name":"id","type":"Int32"}],"primaryKeyColumns":[0]}`},
		{"GET", "/schema/tables/..%2f..%2fstate", ""},
		{"DELETE", "/schema/tables/%2e%2e", ""},
		{"POST", "/data/..%2ft/0", "x"},
		{"POST", "/data/t/-1", "x"},
		{"POST", "/data/t/65536", "x"},
		{"POST", "/dbg/..%2ft/0/archive", "{}"},
	} {
		status, text, err := p.send("admin", c.method, c.path, strings.NewReader(c.body))
		if err != nil || status < 400 || status >= 500 {
			t.Errorf("%s %s %s: %d %s %v", c.method, c.path, c.body, status, text, err)
		}
	}
	before := p.peak()
	for _, path := range []string{"/data/t/0", "/schema/tables", "/api/warehouse/query"} {
		status, text, err := p.send("editor", "POST", path, &endless{1 << 30})
		if err == nil && status != http.StatusRequestEntityTooLarge { // or it hung up on what it will not read
			t.Errorf("a gigabyte to %s: %d %.200s", path, status, text)
		}
	}
	if after := p.peak(); after > before+256<<20 {
		t.Errorf("three bodies of a gigabyte took the program's memory from %d to %d MB", before>>20, after>>20)
	} else {
		t.Logf("peak memory %d MB before and %d MB after bodies of a gigabyte", before>>20, after>>20)
	}
	wants := p.do("editor", "POST", "/api/warehouse/query", `{"sql":"SELECT id, n, s FROM t ORDER BY id"}`)
	if !strings.Contains(wants, `[-1,3,"y"]`) || !strings.Contains(wants, `[5,`) {
		t.Errorf("the rows are %s", wants)
	}
	tables := p.do("editor", "GET", "/schema/tables", "")
	p.kill()
	p.start()
	if got := p.do("editor", "POST", "/api/warehouse/query", `{"sql":"SELECT id, n, s FROM t ORDER BY id"}`); got != wants {
		t.Errorf("after a restart the rows are %s, want %s", got, wants)
	}
	if got := p.do("editor", "GET", "/schema/tables", ""); got != tables || got != `["t"]` {
		t.Errorf("after a restart the tables are %s, before %s", got, tables)
	}
	if strings.Contains(p.said.String(), "panic") {
		t.Errorf("it said\n%s", p.said)
	}
}

// peak is the most memory that the process ever had; 0 where the system does not say.
func (p *program) peak() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if kb, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kb), "kB")), 10, 64)
			return n << 10
		}
	}
	return 0
}

// TestStreamedAnswers asks for rows in every form of a stream: what comes, as what, that an error after the first rows
// is seen, and that a client that goes away ends the query.
func TestStreamedAnswers(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	p.do("editor", "POST", "/schema/tables", `{"name":"t","columns":[{"name":"id","type":"Int64"},{"name":"s","type":"SmallEnum"},{"name":"f","type":"Float64"},{"name":"b","type":"Bytes"}],"primaryKeyColumns":[0]}`)
	p.do("editor", "POST", "/data/t/0", `[{"id":1,"s":"a,\"b\"","f":1.5,"b":"AP8="},{"id":9007199254740993},{"id":3,"s":"x"}]`)
	streams(t, p)
	cutShort(t, p)
	givenUp(t, p)
}

const numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT i, 'some text to fill a line with' AS text%s FROM n"

// ask posts a query and gives the answer while it comes.
func (p *program) ask(ctx context.Context, sql, format, accept string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/api/warehouse/query", strings.NewReader(toJSON(map[string]any{"sql": sql, "format": format})))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+p.tokens["editor"])
	req.Header.Set("Content-Type", "application/json")
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	return p.http.Do(req)
}

// cutShort asks for rows of which a late one is an error: what came before has been sent, and the end says that it is none.
func cutShort(t *testing.T, p *program) {
	for _, format := range []string{"ndjson", "csv", "arrow"} {
		res, err := p.ask(t.Context(), fmt.Sprintf(numbers, 200000, ", CASE WHEN i = 150000 THEN abs(-9223372036854775807 - 1) ELSE 0 END AS n"), format, "")
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, res.Body)
		if _ = res.Body.Close(); err == nil || n == 0 || res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d bytes, %d, and no error at the end: %v", format, n, res.StatusCode, err)
		}
		res, err = p.ask(t.Context(), "SELECT nothing FROM t", format, "")
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(res.Body)
		if _ = res.Body.Close(); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(string(text), "nothing") {
			t.Errorf("%s: an error before the first row: %d %s", format, res.StatusCode, text)
		}
	}
}

// givenUp reads the beginning of an answer that has no end and goes away: the program is done with it too, which its
// orderly end shows, since that waits for requests.
func givenUp(t *testing.T, p *program) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var answers []*http.Response
	for range 4 {
		res, err := p.ask(ctx, fmt.Sprintf(numbers, 1<<60, ""), "ndjson", "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(res.Body, make([]byte, 100_000)); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, res)
	}
	cancel()
	for _, res := range answers {
		_ = res.Body.Close()
	}
	ended := make(chan error, 1)
	cmd := p.cmd
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		p.cmd = nil
		if _, failed := errors.AsType[*exec.ExitError](err); failed && cmd.ProcessState.ExitCode() < 0 {
			t.Errorf("it ended with %v:\n%s", err, p.said)
		}
	case <-time.After(2 * time.Minute):
		t.Errorf("queries that nobody waits for hold up the end:\n%s", p.said)
	}
}
