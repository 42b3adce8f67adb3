package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"arus/connectors"
)

// Harness is an empty database of one test's own, and how the suite reaches it.
type Harness struct {
	Connector connectors.Connector
	Config    connectors.Config
	Schema    string // where targets go; "" where tables have no schema
	// Make makes a table at a source that is no destination. Every other source reads tables that its own destination loads.
	Make func(t testing.TB, name string, columns []connectors.Column, key []string, rows [][]any)
	// DropSchema removes a schema that a load made outside the database; nil where nothing can be left behind.
	DropSchema func(t testing.TB, name string)
	Schemas    bool // a load may name any schema
	// Name makes a name that the server permits, TableName one that a table may have; nil where that is any.
	Name, TableName func(name string) string
	// Gap permits a reader to find the table missing for an instant, where the server cannot swap tables.
	Gap  bool
	Rows int               // of a table that takes a while to read; 0 = 50,000
	Skip map[string]string // parts of the suite that do not apply, and why
}

// part is one property that a connector has.
type part struct {
	name        string
	destination bool // it needs one
	test        func(t *testing.T, h *Harness)
}

var parts = []part{
	{"EveryKindComesBack", true, everyKindComesBack},
	{"HostileNames", true, hostileNames},
	{"LongColumnNames", true, longColumnNames},
	{"LoadingTwiceGivesTheSameTable", true, loadingTwiceGivesTheSameTable},
	{"AbortLeavesTheTarget", true, abortLeavesTheTarget},
	{"ASecondLoadConflicts", true, aSecondLoadConflicts},
	{"ReadersSeeOldOrNew", true, readersSeeOldOrNew},
	{"CancelEndsALoad", true, cancelEndsALoad},
	{"NullsInAKeyAreRefused", true, nullsInAKeyAreRefused},
	{"ACarefulLoadKeepsTheGoodRows", true, aCarefulLoadKeepsTheGoodRows},
	{"ACarefulLoadOfNoGoodRow", true, aCarefulLoadOfNoGoodRow},
	{"AlterAddsAndWidens", true, alterAddsAndWidens},
	{"AlterWidensAKey", true, alterWidensAKey},
	{"AlterSaysWhatIsMissing", true, alterSaysWhatIsMissing},
	{"RetainDeletesWhatIsGone", true, retainDeletesWhatIsGone},
	{"RetainMarks", true, retainMarks},
	{"RetainRefusesTooMany", true, retainRefusesTooMany},
	{"RetainLeavesTombstones", true, retainLeavesTombstones},
	{"RemoveDeletesWhatArrived", true, removeDeletesWhatArrived},
	{"CountsRows", true, countsRows},
	{"PartsLast", true, partsLast},
	{"PartsAreSwept", true, partsAreSwept},
	{"PartsOutliveAKill", true, partsOutliveAKill},
	{"ACarefulPartKeepsTheGoodRows", true, aCarefulPartKeepsTheGoodRows},
	{"RebuildGivesTheSameTable", true, rebuildGivesTheSameTable},
	{"RebuildTakesOlderRows", true, rebuildTakesOlderRows},
	{"RebuildRefuses", true, rebuildRefuses},
	{"RawKeepsDeadLetters", true, rawKeepsDeadLetters},
	{"PruneRawKeepsTheNewest", true, pruneRawKeepsTheNewest},
	{"DeclaredTables", true, declaredTables},
	{"LoadsIntoDeclaredTables", true, loadsIntoDeclaredTables},
	{"WindowsKeepTies", false, windowsKeepTies},
	{"WindowsWithOr", false, windowsWithOr},
	{"RangesMeetWindows", false, rangesMeetWindows},
	{"ChunksCoverTheTable", false, chunksCoverTheTable},
	{"Max", false, maxima},
	{"OrderBy", false, orderBy},
	{"CancelEndsARead", false, cancelEndsARead},
	{"AnErrorOfEmitEndsARead", false, anErrorOfEmitEndsARead},
	{"ErrorsNameTheObject", false, errorsNameTheObject},
	{"CloseTwice", false, closeTwice},
}

// Run runs the suite, each part in a database that open makes for it, and looks for goroutines that outlive it. It must be
// called by a test that does not run in parallel with others.
func Run(t *testing.T, open func(t testing.TB) *Harness) {
	t.Helper()
	running := goleak.IgnoreCurrent()
	t.Run("parts", func(t *testing.T) {
		for _, p := range parts {
			t.Run(p.name, func(t *testing.T) {
				t.Parallel()
				h := open(t)
				if why, ok := h.Skip[p.name]; ok {
					t.Skip("SKIPPED: " + why)
				}
				if p.destination && h.Connector.OpenDestination == nil {
					t.Skip("SKIPPED: " + h.Connector.Type + " is a source only")
				}
				if h.Rows == 0 {
					h.Rows = 50_000
				}
				p.test(t, h)
			})
		}
	})
	goleak.VerifyNone(t, running)
}

func (h *Harness) source(t testing.TB) connectors.Source {
	t.Helper()
	s, err := h.Connector.OpenSource(t.Context(), h.Config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (h *Harness) destination(t testing.TB) connectors.Destination {
	t.Helper()
	d, err := h.Connector.OpenDestination(t.Context(), h.Config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

var syncedAt = time.Date(2026, 3, 4, 5, 6, 7, 890123000, time.UTC)

func (h *Harness) request(name string, columns []connectors.Column, key []string, mode connectors.LoadMode) connectors.LoadRequest {
	return connectors.LoadRequest{
		Target: connectors.TableRef{Schema: h.Schema, Name: name}, Columns: columns, Key: key, Mode: mode,
		RunID: uuid.NewString(), SyncedAt: syncedAt, LockWait: 30 * time.Second,
	}
}

// batches splits rows, so that a load has several.
func batches(rows [][]any) [][][]any {
	return slices.Collect(slices.Chunk(rows, max(1, (len(rows)+2)/3)))
}

func write(t testing.TB, load connectors.Load, columns []connectors.Column, rows [][]any) {
	t.Helper()
	for _, part := range batches(rows) {
		batch, err := Batch(columns, part)
		if err != nil {
			t.Fatal(err)
		}
		if err := load.Write(t.Context(), batch); err != nil {
			_ = load.Abort()
			t.Fatalf("write: %v", err)
		}
	}
}

// load runs one load of rows to its end.
func load(t testing.TB, d connectors.Destination, req connectors.LoadRequest, rows [][]any) {
	t.Helper()
	l, err := d.Begin(t.Context(), req)
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	write(t, l, req.Columns, rows)
	result, err := l.Commit(t.Context())
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	if result.Rows != int64(len(rows)) {
		t.Errorf("the load of %s counts %d rows, want %d", req.Target, result.Rows, len(rows))
	}
}

// make makes a table to be read and discovers it.
func (h *Harness) make(t testing.TB, s connectors.Source, name string, columns []connectors.Column, key []string, rows [][]any) connectors.Table {
	t.Helper()
	if h.Make != nil {
		h.Make(t, name, columns, key, rows)
	} else {
		load(t, h.destination(t), h.request(name, columns, key, connectors.Replace), rows)
	}
	return h.find(t, s, connectors.TableRef{Schema: h.Schema, Name: name})
}

// tables discovers the tables of a schema by name.
func (h *Harness) tables(t testing.TB, s connectors.Source, schema string) map[string]connectors.Table {
	t.Helper()
	var filter connectors.TableFilter
	if schema != "" {
		filter.Schemas = []string{schema}
	}
	list, err := s.Tables(t.Context(), filter)
	if err != nil {
		t.Fatal(err)
	}
	tables := map[string]connectors.Table{}
	for _, table := range list {
		tables[table.Name] = table
	}
	return tables
}

func (h *Harness) find(t testing.TB, s connectors.Source, ref connectors.TableRef) connectors.Table {
	t.Helper()
	table, ok := h.tables(t, s, ref.Schema)[ref.Name]
	if !ok {
		t.Fatalf("table %s was not discovered", ref)
	}
	if settler, ok := s.(connectors.Settler); ok {
		var err error
		if table, err = settler.Settle(t.Context(), table); err != nil {
			t.Fatal(err)
		}
	}
	return table
}

// read gives the rows of a target in the columns it was loaded with, ordered by its key.
func (h *Harness) read(t testing.TB, s connectors.Source, req connectors.LoadRequest) [][]any {
	t.Helper()
	rows, err := ReadAll(t.Context(), s, connectors.ReadRequest{Table: h.find(t, s, req.Target), Columns: req.Columns, OrderBy: []string{req.Columns[0].Name}})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func column(name string, k connectors.Kind) connectors.Column {
	return connectors.Column{Name: name, Type: connectors.Type{Kind: k}, Nullable: true}
}

// counted makes n rows of an id and a text.
func counted(n int, text string) [][]any {
	rows := make([][]any, n)
	for i := range rows {
		rows[i] = []any{fmt.Sprint(i), text}
	}
	return rows
}

func idText() []connectors.Column {
	id := column("id", connectors.Int64)
	id.Nullable = false
	return []connectors.Column{id, column("v", connectors.Text)}
}

// tableName makes a name that a table may have.
func (h *Harness) tableName(name string) string {
	if h.TableName != nil {
		name = h.TableName(name)
	}
	return h.shorten(name)
}

// shorten makes names that the connector can hold.
func (h *Harness) shorten(name string) string {
	if h.Name != nil {
		name = h.Name(name)
	}
	if h.Connector.MaxIdentifier == 0 {
		return name
	}
	return connectors.Shorten(name, h.Connector.MaxIdentifier)
}

func mentions(err error, words ...string) bool {
	return err != nil && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(err.Error(), w) })
}
