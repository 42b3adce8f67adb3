package app

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"arus/app/engine"
	"arus/app/model"
	"arus/connectors"
	"arus/connectors/conformance"
	"arus/testdata/types"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestMatrix brings every native type of every source into every destination, direct and raw, and reads it back through
// the destination's own source. Both ends are compared with each other and with what testdata/types says of the value, so
// that they cannot be wrong in the same way.
func TestMatrix(t *testing.T) {
	t.Parallel()
	for _, dialect := range types.Dialects {
		golden, err := types.Load(dialect)
		if err != nil {
			t.Fatal(err)
		}
		for _, destination := range matrixDestinations {
			t.Run(dialect+" to "+destination.name, func(t *testing.T) {
				t.Parallel()
				m := &matrix{dialect: dialect, destination: destination.golden, tables: golden.Tables(destination.golden)}
				from := matrixSources[dialect]
				first := destination.open(t) // skips before anything is made
				m.url, m.id = from.make(t, golden, m.tables), from.key
				m.source = openByURL(t, m.url)
				m.found = tablesOf(t, m.source, "")
				m.checkSource(t)
				m.load(t, first, model.LoadDirect)
				m.load(t, destination.open(t), model.LoadRaw)
			})
		}
	}
}

// matrix is one source with its tables, on their way to one kind of destination.
type matrix struct {
	dialect, destination string
	tables               []types.Table
	url, id              string
	source               connectors.Source
	found                map[string]connectors.Table // as discovered
}

// rows are the wanted rows of a table with the id in front, in the order of the key.
func (m *matrix) rows(table types.Table) [][]any {
	rows := make([][]any, len(table.Rows))
	for i, r := range table.Rows {
		rows[i] = append([]any{fmt.Sprint(r.ID)}, r.Want...)
	}
	if len(table.Key) > 0 {
		slices.SortFunc(rows, func(a, b []any) int { return cmp.Compare(a[1].(string), b[1].(string)) })
	}
	return rows
}

func (m *matrix) key(table types.Table) []string {
	if len(table.Key) > 0 {
		return table.Key
	}
	return []string{m.id}
}

// columns picks a table's columns in the order of the golden.
func (m *matrix) columns(t *testing.T, table types.Table, found connectors.Table) []connectors.Column {
	t.Helper()
	var columns []connectors.Column
	for _, name := range append([]string{m.id}, asNames(table)...) {
		c, ok := found.Column(name)
		if !ok {
			t.Errorf("%s has no column %s but %v", found.TableRef, name, connectors.ColumnNames(found.Columns))
			return nil
		}
		columns = append(columns, c)
	}
	return columns
}

func asNames(table types.Table) []string {
	names := make([]string, len(table.Columns))
	for i, c := range table.Columns {
		names[i] = c.As
	}
	return names
}

// checkSource compares what the source gives with the golden, types and texts.
func (m *matrix) checkSource(t *testing.T) {
	t.Helper()
	for _, table := range m.tables {
		found, ok := m.found[table.Name]
		if !ok {
			t.Errorf("table %s was not discovered", table.Name)
			continue
		}
		columns := m.columns(t, table, found)
		if columns == nil {
			continue
		}
		if !table.Alone { // one value by itself may settle otherwise
			for i, c := range columns[1:] {
				if got := types.Spell(c.Type); got != table.Columns[i].Logical {
					t.Errorf("%s: %s is %s, want %s", table.Name, table.Columns[i].Title(), got, table.Columns[i].Logical)
				}
			}
		}
		got, err := conformance.ReadAll(t.Context(), m.source, connectors.ReadRequest{Table: found, Columns: columns, OrderBy: m.key(table)})
		if err != nil {
			t.Errorf("%s: %v", table.Name, err)
			continue
		}
		if diff := gocmp.Diff(brief(m.named(table, m.rows(table))), brief(m.named(table, got))); diff != "" {
			t.Errorf("%s as the source gives it (-want +got):\n%s", table.Name, diff)
		}
	}
}

// named puts the types in front of the values, so that a difference says where it is.
func (m *matrix) named(table types.Table, rows [][]any) [][]any {
	out := make([][]any, len(rows))
	for i, r := range rows {
		out[i] = []any{r[0]}
		for c, v := range r[1:] {
			if v != nil {
				v = table.Columns[c].As + " " + v.(string)
			}
			out[i] = append(out[i], v)
		}
	}
	return out
}

// brief shortens long texts to what tells them apart.
func brief(rows [][]any) [][]any {
	for _, r := range rows {
		for i, v := range r {
			if s, ok := v.(string); ok && len(s) > 200 {
				r[i] = fmt.Sprintf("%s... of %d bytes, %x", s[:60], len(s), sha256.Sum256([]byte(s)))
			}
		}
	}
	return rows
}

func (m *matrix) load(t *testing.T, to matrixTarget, mode model.LoadMode) {
	t.Helper()
	r := arus(t, t.TempDir(), append([]string{"sync", "--json", "--quiet", "--from", m.url, "--to", to.url, "--load", string(mode), "--policy", "nul=fail,utf8=fail,date=fail,number=fail"}, to.args...)...)
	var report engine.Report
	if err := json.Unmarshal([]byte(r.out), &report); err != nil {
		t.Fatalf("%s: %v\n%s%s", mode, err, r.out, r.errOut)
	}
	reports := map[string]engine.TableReport{}
	for _, x := range report.Tables {
		reports[x.Table[strings.LastIndexByte(x.Table, '.')+1:]] = x
	}
	target := openByURL(t, to.url)
	arrived := tablesOf(t, target, to.schema)
	var mapping strings.Builder
	for _, table := range m.tables {
		got := reports[table.Name]
		if words, refused := table.Refused(m.destination, string(mode)); refused {
			column := table.Columns[0].As
			_, made := arrived[table.Name]
			if got.Status != model.RunFailed || !strings.Contains(got.Error, column) || !strings.Contains(got.Error, words) || made {
				t.Errorf("%s, %s: %q ends as %s with the error %q, want one that names %s and says %q; a table was made: %v",
					mode, table.Name, *table.Rows[0].Literal[0], got.Status, got.Error, column, words, made)
			}
			continue
		}
		if got.Status != model.RunSuccess {
			t.Errorf("%s, %s: %s: %s", mode, table.Name, got.Status, got.Error)
			continue
		}
		m.compare(t, table, engine.Side{Source: target, Table: arrived[table.Name]}, mode)
		if mode == model.LoadDirect && !table.Alone {
			m.describe(t, &mapping, table, arrived[table.Name])
		}
	}
	if mode == model.LoadDirect && !t.Failed() {
		m.checkMapping(t, mapping.String())
	}
}

// compare holds the target against the source and the golden.
func (m *matrix) compare(t *testing.T, table types.Table, target engine.Side, mode model.LoadMode) {
	t.Helper()
	rows := m.rows(table)
	text, changed := table.Changed(m.destination, string(mode))
	if changed {
		rows[0][1] = text
	}
	source := m.found[table.Name]
	columns := m.columns(t, table, source)
	if columns == nil || m.columns(t, table, target.Table) == nil {
		return
	}
	source.Columns = columns
	sides := map[string]engine.Side{"golden": {Source: conformance.Fixed{Columns: columns, Rows: rows}, Table: source}}
	if !changed {
		sides["source"] = engine.Side{Source: m.source, Table: source}
	}
	for name, side := range sides {
		d, err := engine.Compare(t.Context(), side, target, m.key(table))
		if err != nil || !d.Equal() || d.Rows != int64(len(rows)) {
			t.Errorf("%s, %s: the target and the %s differ: %d rows of %d, %d missing, %d extra, %d changed, %v\n%s",
				mode, table.Name, name, d.Rows, len(rows), d.Missing, d.Extra, d.Changed, err, strings.Join(d.Examples, "\n"))
		}
	}
}

// describe writes what became of each type: native, logical, native.
func (m *matrix) describe(t *testing.T, b *strings.Builder, table types.Table, target connectors.Table) {
	t.Helper()
	source := m.found[table.Name]
	fmt.Fprintf(b, "# %s, key %s\n", table.Name, strings.Join(target.PrimaryKey, ", "))
	if diff := gocmp.Diff(source.PrimaryKey, target.PrimaryKey); diff != "" {
		t.Errorf("%s: the keys differ (-source +target):\n%s", table.Name, diff)
	}
	for _, c := range table.Columns {
		from, _ := source.Column(c.As)
		to, ok := target.Column(c.As)
		if !ok {
			t.Errorf("%s has no column %s", target.TableRef, c.As)
		}
		null := ""
		if !to.Nullable {
			null = " NOT NULL"
		}
		if from.Nullable != to.Nullable && m.destination != "embedded" { // the built-in warehouse requires values in keys only
			t.Errorf("%s.%s: nullable %v at the source, %v at the target", table.Name, c.As, from.Nullable, to.Nullable)
		}
		native := to.Native
		if to.Type.Kind == connectors.JSON && native == "longtext" {
			native = "json" // an alias in MariaDB
		}
		fmt.Fprintf(b, "%s\t%s\t%s%s\n", c.Title(), types.Spell(from.Type), native, null)
	}
}

func (m *matrix) checkMapping(t *testing.T, got string) {
	t.Helper()
	file := types.MappingFile(m.dialect, m.destination)
	if *update {
		if err := os.WriteFile(filepath.Join("..", "testdata", "types", file), []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := types.Mapping(m.dialect, m.destination)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got), -update writes it anew:\n%s", file, diff)
	}
}
