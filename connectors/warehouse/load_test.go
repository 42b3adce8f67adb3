package warehouse

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
	"arus/connectors/warehouse/schema"
)

// everyKind gives one row per value: column i of row r has its value r, modulo
// how many it has.
func everyKind() (columns []connectors.Column, rows [][]any) {
	all := samples()
	var names []string
	longest := 0
	for name, s := range all {
		names = append(names, name)
		longest = max(longest, len(s.values))
	}
	sort.Strings(names)
	columns = []connectors.Column{col("id", connectors.Int64)}
	for _, name := range names {
		columns = append(columns, connectors.Column{Name: name, Type: all[name].typ, Nullable: true})
	}
	for r := range longest {
		row := []any{fmt.Sprint(r)}
		for _, name := range names {
			values := all[name].values
			row = append(row, values[r%len(values)])
		}
		rows = append(rows, row)
	}
	return columns, rows
}

func TestEveryKindComesBack(t *testing.T) {
	t.Parallel()
	columns, rows := everyKind()
	for _, mode := range []connectors.LoadMode{connectors.Replace, connectors.Merge, connectors.ReplaceWindow} {
		for _, raw := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s raw=%v", mode, raw), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				req := connectors.LoadRequest{Target: connectors.TableRef{Schema: "analytics", Name: "every"}, Columns: columns, Key: []string{"id"}, Mode: mode}
				if mode == connectors.ReplaceWindow {
					req.Key = nil
				}
				if raw {
					req.Raw = &connectors.RawTarget{Table: connectors.TableRef{Schema: "staging", Name: "src_every_raw"}}
				}
				for range 2 { // the second load meets the first
					result := loadAll(t, dir, req, rows)
					want := connectors.LoadResult{Rows: int64(len(rows))}
					if raw {
						want.RawRows = want.Rows
					}
					diff(t, "result", result, want)
					diff(t, "rows", rowsOf(t, dir, "every", columns), rows)
				}
				table, ok, err := destination(t, dir).Table(t.Context(), req.Target)
				if err != nil || !ok || !table.Managed {
					t.Fatalf("Table = %v, %v, %v", table, ok, err)
				}
				for i, c := range table.Columns {
					if !c.Type.Equal(columns[i].Type) || c.Name != columns[i].Name {
						t.Errorf("column %s is %s, want %s %s", c.Name, c.Type, columns[i].Name, columns[i].Type)
					}
				}
				diff(t, "key", table.PrimaryKey, req.Key)
				meta := []connectors.Column{col(connectors.MetaRunID, connectors.UUID), col(connectors.MetaSyncedAt, connectors.TimestampTZ)}
				for _, row := range rowsOf(t, dir, "every", meta) {
					diff(t, "metadata", row, []any{runA, "2026-03-04T05:06:07.891011Z"})
				}
				tables, err := source(t, dir).Tables(t.Context(), connectors.TableFilter{})
				if err != nil || len(tables[0].Columns) != len(columns) {
					t.Errorf("Tables = %v, %v", tables, err)
				}
				if raw {
					landed := rowsOf(t, dir, "src_every_raw", []connectors.Column{col("_arus_id", connectors.Int64), col("_arus_run_id", connectors.UUID), col("_data", connectors.JSON)})
					if len(landed) != 2*len(rows) {
						t.Errorf("%d rows landed in two loads of %d", len(landed), len(rows))
					}
				}
			})
		}
	}
}

func TestOrderAndBounds(t *testing.T) {
	t.Parallel()
	ordered := map[string][]string{
		"c_uint64":  {"0", "9223372036854775807", "9223372036854775808", "10000000000000000000", "18446744073709551615"},
		"c_dec38":   {"-9999999999999999999999999999.9999999999", "-0.0000000001", "0.0000000001", "2.5000000000", "10.0000000000", "9999999999999999999999999999.9999999999"},
		"c_dec12":   {"-9999999999.99", "-0.01", "0.00", "2.50", "10.00"},
		"c_dec76":   {"-10", "-9", "0", "9", "10"},
		"c_numeric": {"-Infinity", "-10", "-9.5", "0", "9.5", "10", "1e3", "Infinity", "NaN"},
		"c_date":    {"-infinity", "-4712-01-01", "1970-01-01", "12345-06-07", "infinity"},
		"c_ts":      {"-infinity", "-0044-03-15T00:00:00", "1969-12-31T23:59:59.999999", "2026-01-02T03:04:05", "12345-01-01T00:00:00", "infinity"},
		"c_uuid":    {"00000000-0000-0000-0000-000000000000", "0190a6b2-1234-7abc-8def-0123456789ab", "ffffffff-ffff-ffff-ffff-ffffffffffff"},
		"c_text":    {"", "A", "B", "a", "é"},
	}
	all := samples()
	for name, values := range ordered {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			columns := []connectors.Column{{Name: "v", Type: all[name].typ}}
			var rows [][]any
			for i := range values {
				rows = append(rows, []any{values[(i*2+1)%len(values)]}) // out of order
			}
			if len(values)%2 == 0 {
				rows = nil
				for _, v := range slices.Backward(values) {
					rows = append(rows, []any{v})
				}
			}
			loadAll(t, dir, connectors.LoadRequest{Target: connectors.TableRef{Name: "t"}, Columns: columns, Key: []string{"v"}, Mode: connectors.Replace}, rows)
			var want [][]any
			for _, v := range values {
				want = append(want, []any{v})
			}
			diff(t, "order", rowsOf(t, dir, "t", columns), want)
			s := source(t, dir)
			table := connectors.Table{TableRef: connectors.TableRef{Name: "t"}}
			top, ok, err := s.Max(t.Context(), table, "v")
			if err != nil || !ok || top.Text != values[len(values)-1] {
				t.Errorf("Max = %v, %v, %v", top, ok, err)
			}
			for i, v := range values {
				bound := &connectors.Bound{Kind: columns[0].Type.Kind, Text: v}
				got, err := read(t, t.Context(), s, connectors.ReadRequest{
					Table: table, Columns: columns, OrderBy: []string{"v"},
					Window: &connectors.Window{Column: "v", Lower: bound, Upper: &connectors.Bound{Kind: bound.Kind, Text: values[min(i+1, len(values)-1)]}},
				})
				if err != nil {
					t.Fatal(err)
				}
				diff(t, "window from "+v, got, want[i:min(i+2, len(want))])
			}
		})
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	keys := map[string]connectors.Column{"rowid": col("k", connectors.Int64), "text": col("k", connectors.Text)}
	for name, key := range keys {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			v, w := col("v", connectors.Text), col("w", connectors.Decimal)
			w.Type = connectors.NewDecimal(10, 2)
			req := connectors.LoadRequest{Target: connectors.TableRef{Name: "t"}, Columns: []connectors.Column{key, v}, Key: []string{"k"}, Mode: connectors.Merge}
			loadAll(t, dir, req, [][]any{{"1", "a"}, {"2", "b"}, {"1", "c"}}) // the later row wins
			diff(t, "first", rowsOf(t, dir, "t", req.Columns), [][]any{{"1", "c"}, {"2", "b"}})
			req.Columns, req.RunID = []connectors.Column{w, key, v}, runB
			loadAll(t, dir, req, [][]any{{"1.50", "2", "B"}, {nil, "3", "d"}})
			all := []connectors.Column{key, v, w, col(connectors.MetaRunID, connectors.UUID)}
			other := "0190a6b2-0000-7000-8000-00000000000b"
			diff(t, "second, with a new column", rowsOf(t, dir, "t", all), [][]any{{"1", "c", nil, runA}, {"2", "B", "1.50", other}, {"3", "d", nil, other}})
			req.Columns = []connectors.Column{key}
			loadAll(t, dir, req, [][]any{{"2"}, {"4"}}) // only the key: other columns stay
			diff(t, "third", rowsOf(t, dir, "t", all[:3]), [][]any{{"1", "c", nil}, {"2", "B", "1.50"}, {"3", "d", nil}, {"4", nil, nil}})
			s := schemaOf(t, dir, "t")
			var names []string
			for _, c := range s.Columns {
				names = append(names, c.Name+" "+c.Type)
			}
			diff(t, "column IDs", names, []string{"k " + schema.FromLogical(key.Type).Name(), "v String", "_arus_run_id UUID", "_arus_synced_at TimestampTZ", "w Decimal(10,2)"})
			if s.Version != 2 || s.IsFactTable || s.Name != "t" {
				t.Errorf("schema is %+v", s)
			}
		})
	}
}

func TestReplaceWindow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	columns := []connectors.Column{col("day", connectors.Date), col("v", connectors.Text)}
	req := connectors.LoadRequest{Target: connectors.TableRef{Name: "t"}, Columns: columns, Mode: connectors.Replace}
	loadAll(t, dir, req, [][]any{{"2026-01-01", "a"}, {"2026-01-02", "b"}, {"2026-01-02", "b"}, {"2026-01-03", "c"}, {nil, "n"}})
	req.Mode = connectors.ReplaceWindow
	req.Window = &connectors.Window{Column: "day", Lower: &connectors.Bound{Kind: connectors.Date, Text: "2026-01-02"}, Upper: &connectors.Bound{Kind: connectors.Date, Text: "2026-01-03"}, Nulls: true}
	window := [][]any{{"2026-01-02", "x"}, {"2026-01-02", "x"}, {nil, "m"}}
	for range 2 {
		loadAll(t, dir, req, window)
		diff(t, "rows", rowsOf(t, dir, "t", columns), [][]any{{nil, "m"}, {"2026-01-01", "a"}, {"2026-01-02", "x"}, {"2026-01-02", "x"}})
	}
}

func TestReplaceOfAnotherShape(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target := connectors.TableRef{Name: "t"}
	id, text, number := col("id", connectors.Int64), col("v", connectors.Text), col("v", connectors.Int32)
	loadAll(t, dir, connectors.LoadRequest{Target: target, Columns: []connectors.Column{id, text}, Key: []string{"id"}, Mode: connectors.Replace}, [][]any{{"1", "a"}})
	loadAll(t, dir, connectors.LoadRequest{Target: target, Columns: []connectors.Column{number}, Mode: connectors.Replace}, [][]any{{"7"}})
	diff(t, "rows", rowsOf(t, dir, "t", []connectors.Column{number}), [][]any{{"7"}})
	loadAll(t, dir, connectors.LoadRequest{Target: target, Columns: []connectors.Column{number}, Mode: connectors.Replace}, nil)
	if rows := rowsOf(t, dir, "t", []connectors.Column{number}); len(rows) != 0 {
		t.Errorf("an empty load leaves %v", rows)
	}
	entries, _ := os.ReadDir(filepath.Join(dir, "t"))
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "t", "*", "*")); len(left) > 0 || !slices.Contains(names, liveFile) {
		t.Errorf("the directory holds %v, %v", names, left)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	id, v := col("id", connectors.Int64), col("v", connectors.Text)
	good := connectors.LoadRequest{Target: connectors.TableRef{Name: "t"}, Columns: []connectors.Column{id, v}, Key: []string{"id"}, Mode: connectors.Merge, RunID: runA, SyncedAt: syncedAt}
	loadAll(t, dir, good, [][]any{{"1", "a"}})
	for name, test := range map[string]struct {
		change func(*connectors.LoadRequest)
		kind   connectors.ErrorKind
	}{
		"name with a dot":     {func(r *connectors.LoadRequest) { r.Target.Name = "../evil" }, connectors.KindInvalid},
		"empty name":          {func(r *connectors.LoadRequest) { r.Target.Name = "" }, connectors.KindInvalid},
		"digit first":         {func(r *connectors.LoadRequest) { r.Target.Name = "1t" }, connectors.KindInvalid},
		"run id":              {func(r *connectors.LoadRequest) { r.RunID = "x' OR 1" }, connectors.KindInvalid},
		"key not a column":    {func(r *connectors.LoadRequest) { r.Key = []string{"nope"} }, connectors.KindInvalid},
		"other key":           {func(r *connectors.LoadRequest) { r.Key = []string{"v"} }, connectors.KindConflict},
		"merge without a key": {func(r *connectors.LoadRequest) { r.Key = nil }, connectors.KindInvalid},
		"twice a name":        {func(r *connectors.LoadRequest) { r.Columns = []connectors.Column{id, v, v} }, connectors.KindUnsupported},
		"a metadata name": {func(r *connectors.LoadRequest) {
			r.Columns = []connectors.Column{id, col(connectors.MetaRunID, connectors.Text)}
		}, connectors.KindUnsupported},
		"another type": {func(r *connectors.LoadRequest) { r.Columns = []connectors.Column{id, col("v", connectors.Int64)} }, connectors.KindType},
		"raw equals target": {func(r *connectors.LoadRequest) {
			r.Raw = &connectors.RawTarget{Table: connectors.TableRef{Schema: "s", Name: "t"}}
		}, connectors.KindInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			req := good
			test.change(&req)
			l, err := destination(t, dir).Begin(t.Context(), req)
			if err == nil {
				_ = l.Abort()
			}
			if connectors.KindOf(err) != test.kind {
				t.Errorf("Begin gives %v, want kind %s", err, test.kind)
			}
		})
	}
	t.Run("null in the key", func(t *testing.T) {
		for _, mode := range []connectors.LoadMode{connectors.Merge, connectors.Replace} {
			req := good
			req.Mode = mode
			l := begin(t, dir, req)
			err := l.Write(t.Context(), batchOf(t, req.Columns, [][]any{{nil, "x"}}))
			if connectors.KindOf(err) != connectors.KindConstraint {
				t.Errorf("Write gives %v", err)
			}
			if err := l.Abort(); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("a key twice in a whole load", func(t *testing.T) {
		for _, key := range []string{"id", "v"} {
			req := good
			req.Mode, req.Key = connectors.Replace, []string{key}
			l := begin(t, dir, req)
			err := l.Write(t.Context(), batchOf(t, req.Columns, [][]any{{"1", "x"}, {"1", "x"}}))
			if err == nil {
				_, err = l.Commit(t.Context())
			} else {
				_ = l.Abort()
			}
			if connectors.KindOf(err) != connectors.KindConstraint {
				t.Errorf("key %s: %v", key, err)
			}
		}
	})
	t.Run("held", func(t *testing.T) {
		l := begin(t, dir, good)
		if _, err := destination(t, dir).Begin(t.Context(), good); connectors.KindOf(err) != connectors.KindConflict {
			t.Errorf("a second Begin gives %v", err)
		}
		if err := l.Abort(); err != nil {
			t.Error(err)
		}
	})
	diff(t, "rows after all", rowsOf(t, dir, "t", good.Columns), [][]any{{"1", "a"}})
}

// copyDir is what a kill at this moment would leave on disk.
func copyDir(t testing.TB, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestAKillLeavesTheOldTableOrTheNew copies the directory before every step of
// a load, and loads into each copy.
func TestAKillLeavesTheOldTableOrTheNew(t *testing.T) {
	t.Parallel()
	old := [][]any{{"1", "a", nil}, {"2", "b", nil}}
	for _, mode := range []connectors.LoadMode{connectors.Replace, connectors.Merge} {
		for _, raw := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s raw=%v", mode, raw), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				columns := []connectors.Column{col("id", connectors.Int64), col("v", connectors.Text), col("w", connectors.Float64)}
				req := connectors.LoadRequest{Target: connectors.TableRef{Name: "t"}, Columns: columns[:2], Key: []string{"id"}, Mode: connectors.Merge}
				if raw {
					req.Raw = &connectors.RawTarget{Table: connectors.TableRef{Name: "t_raw"}}
				}
				loadAll(t, dir, req, [][]any{{"1", "a"}, {"2", "b"}})
				req.Mode, req.Columns = mode, columns
				var copies []string
				l := begin(t, dir, req)
				copies = append(copies, copyDir(t, dir))
				for i := range 40 {
					var rows [][]any
					for k := range 500 {
						rows = append(rows, []any{fmt.Sprint(2 + i*500 + k), "new", "1.5"})
					}
					write(t, l, columns, rows)
					if i%10 == 0 {
						copies = append(copies, copyDir(t, dir))
					}
				}
				if _, err := l.Commit(t.Context()); err != nil {
					t.Fatal(err)
				}
				for i, c := range copies {
					got, err := query(t, c, "SELECT id, v FROM t ORDER BY id")
					if err != nil || len(got) != 2 || got[1][1] != "b" {
						t.Fatalf("copy %d shows %v, %v", i, got, err)
					}
					req.Mode = connectors.Merge
					loadAll(t, c, req, [][]any{{"3", "c", "2.5"}})
					diff(t, "after the next load", rowsOf(t, c, "t", columns), append(slices.Clone(old), []any{"3", "c", "2.5"}))
					stray, _ := filepath.Glob(filepath.Join(c, "t", "*next*"))
					if len(stray) > 0 {
						t.Errorf("left behind: %v", stray)
					}
				}
			})
		}
	}
}

// TestTheSchemaFileFollows takes the state before the last step of a commit.
func TestTheSchemaFileFollows(t *testing.T) {
	t.Parallel()
	for _, mode := range []connectors.LoadMode{connectors.Replace, connectors.Merge} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			columns := []connectors.Column{col("id", connectors.Int64), col("v", connectors.Text)}
			req := connectors.LoadRequest{Target: connectors.TableRef{Name: "t"}, Columns: columns[:1], Key: []string{"id"}, Mode: connectors.Replace}
			loadAll(t, dir, req, [][]any{{"1"}})
			before, err := os.ReadFile(filepath.Join(dir, "t", schemaFile))
			if err != nil {
				t.Fatal(err)
			}
			req.Columns, req.Mode = columns, mode
			loadAll(t, dir, req, [][]any{{"1", "x"}})
			if err := os.WriteFile(filepath.Join(dir, "t", schemaFile), before, 0o600); err != nil {
				t.Fatal(err)
			}
			diff(t, "with the schema's old file", rowsOf(t, dir, "t", columns), [][]any{{"1", "x"}})
			req.Mode = connectors.Merge
			loadAll(t, dir, req, [][]any{{"2", "y"}})
			diff(t, "after the next load", rowsOf(t, dir, "t", columns), [][]any{{"1", "x"}, {"2", "y"}})
			if s := schemaOf(t, dir, "t"); len(s.Columns) != 4 {
				t.Errorf("the schema's file has %d columns", len(s.Columns))
			}
		})
	}
}

func schemaOf(t testing.TB, dir, name string) *schema.Table {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name, schemaFile))
	s := new(schema.Table)
	if err == nil {
		err = json.Unmarshal(data, s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestKilledProcess kills a process in the middle of loads.
func TestKilledProcess(t *testing.T) {
	columns := []connectors.Column{col("id", connectors.Int64), col("v", connectors.Text)}
	req := connectors.LoadRequest{Target: connectors.TableRef{Name: "t"}, Columns: columns, Key: []string{"id"}, Mode: connectors.Merge}
	if dir := os.Getenv("ARUS_TEST_KILL"); dir != "" {
		l := begin(t, dir, req)
		for i := 0; ; i++ {
			var rows [][]any
			for k := range 1000 {
				rows = append(rows, []any{fmt.Sprint(i*1000 + k), "half"})
			}
			write(t, l, columns, rows)
			if i == 20 {
				fmt.Println("written")
			}
		}
	}
	t.Parallel()
	dir := t.TempDir()
	loadAll(t, dir, req, [][]any{{"1", "a"}, {"2", "b"}})
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledProcess$")
	cmd.Env = append(os.Environ(), "ARUS_TEST_KILL="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	diff(t, "after the kill", rowsOf(t, dir, "t", columns), [][]any{{"1", "a"}, {"2", "b"}})
	loadAll(t, dir, req, [][]any{{"3", "c"}})
	diff(t, "after the next load", rowsOf(t, dir, "t", columns), [][]any{{"1", "a"}, {"2", "b"}, {"3", "c"}})
}

func TestAbort(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	columns := []connectors.Column{col("id", connectors.Int64), col("v", connectors.Text)}
	req := connectors.LoadRequest{Target: connectors.TableRef{Name: "t"}, Columns: columns, Key: []string{"id"}, Mode: connectors.Merge}
	abort := func(ctx context.Context) {
		r := req
		r.RunID, r.SyncedAt = runA, syncedAt
		l, err := destination(t, dir).Begin(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		write(t, l, req.Columns, [][]any{{"1", "x"}})
		if err := l.Abort(); err != nil {
			t.Error(err)
		}
	}
	abort(t.Context())
	if _, ok, err := destination(t, dir).Table(t.Context(), req.Target); ok || err != nil {
		t.Errorf("the table is there after an aborted first load: %v", err)
	}
	loadAll(t, dir, req, [][]any{{"1", "a"}})
	listing := func() (names []string) {
		_ = filepath.WalkDir(dir, func(p string, _ fs.DirEntry, _ error) error {
			if base := filepath.Base(p); base != "live.db-wal" && base != "live.db-shm" {
				names = append(names, p)
			}
			return nil
		})
		return names
	}
	before := listing()
	for _, mode := range []connectors.LoadMode{connectors.Merge, connectors.Replace} {
		req.Mode = mode
		abort(t.Context())
		diff(t, "rows", rowsOf(t, dir, "t", columns), [][]any{{"1", "a"}})
		diff(t, "files", listing(), before)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := req
	r.RunID, r.SyncedAt = runA, syncedAt
	l, err := destination(t, dir).Begin(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := l.Commit(ctx); err == nil {
		t.Error("a cancelled commit succeeds")
	}
	if err := l.Abort(); err != nil {
		t.Error(err)
	}
	diff(t, "rows", rowsOf(t, dir, "t", columns), [][]any{{"1", "a"}})
}

func TestReadersKeepTheirTableDuringSwaps(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	columns := []connectors.Column{col("id", connectors.Int64), col("v", connectors.Text)}
	req := connectors.LoadRequest{Target: connectors.TableRef{Name: "t"}, Columns: columns, Key: []string{"id"}, Mode: connectors.Replace}
	fill := func(v string) (rows [][]any) {
		for i := range 3000 {
			rows = append(rows, []any{fmt.Sprint(i), v})
		}
		return rows
	}
	loadAll(t, dir, req, fill("0"))
	done := make(chan error)
	const readers = 3
	stop := make(chan struct{})
	for range readers {
		go func() {
			for {
				select {
				case <-stop:
					done <- nil
					return
				default:
				}
				var first any
				n := 0
				err := source(t, dir).Read(context.Background(), connectors.ReadRequest{Table: connectors.Table{TableRef: req.Target}, Columns: columns, Limits: connectors.Limits{Rows: 100}},
					func(batch arrow.RecordBatch) error {
						defer batch.Release()
						for i := range int(batch.NumRows()) {
							v := batch.Column(1).ValueStr(i)
							if first == nil {
								first = v
							}
							if v != first {
								return fmt.Errorf("one read sees %v and %v", first, v)
							}
							n++
						}
						return nil
					})
				if err == nil && n != 3000 {
					err = fmt.Errorf("a reader sees %d rows", n)
				}
				if err != nil {
					done <- err
					return
				}
			}
		}()
	}
	for i := range 12 {
		req.Mode = connectors.Replace
		if i%3 == 0 {
			req.Mode = connectors.Merge
		}
		loadAll(t, dir, req, fill(fmt.Sprint(i+1)))
	}
	close(stop)
	for range readers {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestACopiedDirectoryIsATable(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()
	columns, rows := everyKind()
	loadAll(t, from, connectors.LoadRequest{Target: connectors.TableRef{Name: "every"}, Columns: columns, Key: []string{"id"}, Mode: connectors.Replace}, rows)
	if err := os.CopyFS(filepath.Join(to, "moved"), os.DirFS(filepath.Join(from, "every"))); err != nil {
		t.Fatal(err)
	}
	diff(t, "rows", rowsOf(t, to, "moved", columns), rows)
	got, err := query(t, to, "SELECT count(*) FROM moved")
	diff(t, fmt.Sprint("query ", err), got, [][]any{{int64(len(rows))}})
}

func TestDamage(t *testing.T) {
	t.Parallel()
	columns := []connectors.Column{col("id", connectors.Int64)}
	for name, test := range map[string]struct {
		file, text string
	}{
		"no database":        {liveFile, "not a database, but long enough to have a header of its own ........................................"},
		"no parquet":         {"snapshot/1.parquet", "PAR1 and nothing else"},
		"no schema":          {schemaFile, "nope"},
		"unknown type":       {schemaFile, `{"name":"t","columns":[{"name":"id","type":"Widget"}],"primaryKeyColumns":[0],"version":1}`},
		"fewer columns":      {schemaFile, `{"name":"t","columns":[{"name":"id","type":"Int64"}],"primaryKeyColumns":[0],"version":1}`},
		"of another version": {schemaFile, `{"name":"t","columns":[{"name":"id","type":"Int64"}],"primaryKeyColumns":[0],"version":7}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			loadAll(t, dir, connectors.LoadRequest{Target: connectors.TableRef{Name: "t"}, Columns: columns, Key: []string{"id"}, Mode: connectors.Replace}, [][]any{{"1"}})
			if err := os.WriteFile(filepath.Join(dir, "t", test.file), []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := read(t, t.Context(), source(t, dir), connectors.ReadRequest{Table: connectors.Table{TableRef: connectors.TableRef{Name: "t"}}, Columns: columns})
			if connectors.KindOf(err) != connectors.KindType {
				t.Errorf("Read gives %v", err)
			}
			if _, err := query(t, dir, "SELECT * FROM t"); connectors.KindOf(err) != connectors.KindType {
				t.Errorf("Query gives %v", err)
			}
		})
	}
}
