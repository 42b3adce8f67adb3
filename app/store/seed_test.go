package store

import (
	"bufio"
	"bytes"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

//go:embed testdata/seed.txt
var seedText string

// seedColumn is one column as the data model describes it.
type seedColumn struct{ Table, Name, Type, Constraints string }

// seed reads testdata/seed.txt: its columns, and the table-level unique constraints as "table: a, b".
func seed(t *testing.T) (columns []seedColumn, uniques []string) {
	t.Helper()
	table := ""
	for line := range strings.Lines(seedText) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			table = strings.Trim(line, "[]")
		case strings.HasPrefix(line, "unique | "):
			uniques = append(uniques, table+": "+strings.TrimPrefix(line, "unique | "))
		default:
			c := strings.SplitN(line+" ", " | ", 3)
			if len(c) != 3 {
				t.Fatalf("testdata/seed.txt: bad line %q", line)
			}
			columns = append(columns, seedColumn{table, c[0], c[1], strings.TrimSpace(c[2])})
		}
	}
	return columns, uniques
}

// tableColumn is one row of PRAGMA table_info.
type tableColumn struct {
	kind     string
	notNull  bool
	fallback sql.NullString
	pk       bool
}

func tableInfo(t *testing.T, s *Store, table string) map[string]tableColumn {
	t.Helper()
	rows, err := s.reader.QueryContext(t.Context(), `SELECT name, type, "notnull", dflt_value, pk > 0 FROM pragma_table_info(?)`, table)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	info := map[string]tableColumn{}
	for rows.Next() {
		var name string
		var c tableColumn
		if err := rows.Scan(&name, &c.kind, &c.notNull, &c.fallback, &c.pk); err != nil {
			t.Fatal(err)
		}
		info[name] = c
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return info
}

// texts returns the single text column of a query.
func texts(t *testing.T, s *Store, query string, args ...any) []string {
	t.Helper()
	list, err := collect(t.Context(), s.reader, func(row scanner) (v string, err error) {
		err = row.Scan(&v)
		return v, err
	}, query, args...)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// wantDefault maps the data model's default to what SQLite stores for it; expressions are recognised by their function.
func wantDefault(constraints string) (want string, has bool) {
	m := regexp.MustCompile(`default (\S+)`).FindStringSubmatch(constraints)
	if m == nil {
		return "", false
	}
	switch v := strings.TrimSuffix(m[1], ","); {
	case v == "NOW()":
		return "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')", true
	case v == "gen_random_uuid()":
		return "randomblob(", true
	case v == "true":
		return "1", true
	case v == "false":
		return "0", true
	case strings.Trim(v, "0123456789") == "":
		return v, true
	default:
		return "'" + v + "'", true
	}
}

func TestMigratedTablesAreTheSeeds(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	columns, uniques := seed(t)
	if len(columns) < 120 {
		t.Fatalf("testdata/seed.txt holds %d columns, that is not all of them", len(columns))
	}
	for _, c := range columns {
		for _, fault := range checkColumn(t, s, c) {
			t.Errorf("%s.%s (%s, %s): %s", c.Table, c.Name, c.Type, c.Constraints, fault)
		}
	}
	for _, u := range uniques {
		table, names, _ := strings.Cut(u, ": ")
		if !slices.Contains(uniqueIndexes(t, s, table), names) {
			t.Errorf("%s: no unique constraint (%s)", table, names)
		}
	}
	loose := texts(t, s, `SELECT name FROM pragma_table_list WHERE name LIKE 'arus_%' AND strict = 0`)
	if len(loose) > 0 {
		t.Errorf("tables that are not STRICT: %v", loose)
	}
}

func checkColumn(t *testing.T, s *Store, c seedColumn) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	got, ok := tableInfo(t, s, c.Table)[c.Name]
	if !ok {
		fault("is missing")
		return faults
	}
	ddl := strings.Join(texts(t, s, `SELECT sql FROM sqlite_schema WHERE name = ?`, c.Table), "")
	base, size, _ := strings.Cut(strings.TrimSuffix(c.Type, ")"), "(")
	kind := map[string]string{"BOOLEAN": "INTEGER", "INTEGER": "INTEGER", "BIGINT": "INTEGER", "FLOAT": "REAL"}[base]
	if kind == "" {
		kind = "TEXT"
	}
	if got.kind != kind {
		fault("type %s, want %s", got.kind, kind)
	}
	check := map[string]string{"BOOLEAN": c.Name + " IN (0, 1)", "VARCHAR[]": "json_valid(" + c.Name + ")", "JSON": "json_valid(" + c.Name + ")", "JSONB": "json_valid(" + c.Name + ")"}[base]
	if size != "" {
		check = fmt.Sprintf("length(%s) <= %s", c.Name, size)
		if strings.Contains(ddl, c.Name+" IN ('") {
			check = c.Name + " IN ('" // a list of words is shorter than the limit
		}
	}
	if !strings.Contains(ddl, check) {
		fault("CHECK (%s...) is missing", check)
	}
	pk := strings.Contains(c.Constraints, "PK")
	auto := strings.Contains(c.Constraints, "autoincrement")
	if got.pk != pk {
		fault("primary key %v, want %v", got.pk, pk)
	}
	if auto && !strings.Contains(ddl, c.Name+" INTEGER PRIMARY KEY AUTOINCREMENT") {
		fault("does not count up by itself")
	}
	if want := strings.Contains(c.Constraints, "NOT NULL") || pk && !auto; got.notNull != want {
		fault("NOT NULL %v, want %v", got.notNull, want)
	}
	want, has := wantDefault(c.Constraints)
	if has != got.fallback.Valid || want != got.fallback.String && (!strings.Contains(want, "(") || !strings.Contains(got.fallback.String, want)) {
		fault("default %q, want %q", got.fallback.String, want)
	}
	if strings.Contains(c.Constraints, "UNIQUE") && !slices.Contains(uniqueIndexes(t, s, c.Table), c.Name) {
		fault("is not unique")
	}
	if strings.Contains(c.Constraints, "INDEX") && len(texts(t, s, `SELECT l.name FROM pragma_index_list(?) l, pragma_index_info(l.name) i
		WHERE i.seqno = 0 AND i.name = ?`, c.Table, c.Name)) == 0 {
		fault("has no index")
	}
	keys := texts(t, s, `SELECT "table" || '.' || "to" || ' ON DELETE ' || on_delete FROM pragma_foreign_key_list(?) WHERE "from" = ?`, c.Table, c.Name)
	wantKeys := []string{}
	if _, ref, ok := strings.Cut(c.Constraints, "FK "); ok {
		schema := regexp.MustCompile(`^arus_(config|state|run_logs)_`).FindString(c.Table)
		wantKeys = append(wantKeys, schema+ref)
	}
	if diff := cmp.Diff(wantKeys, keys); diff != "" {
		fault("foreign key (-want +got)\n%s", diff)
	}
	return faults
}

// uniqueIndexes returns the columns of each full unique index, as "a, b".
func uniqueIndexes(t *testing.T, s *Store, table string) []string {
	return texts(t, s, `SELECT group_concat(i.name, ', ' ORDER BY i.seqno) FROM pragma_index_list(?) l, pragma_index_info(l.name) i
		WHERE l."unique" = 1 AND l.partial = 0 GROUP BY l.name`, table)
}

// TestSeedListIsTheDocument holds testdata/seed.txt against the document it was written from, where that is at hand.
func TestSeedListIsTheDocument(t *testing.T) {
	t.Parallel()
	file := os.Getenv("ARUS_SEED_DATA_MODEL")
	if file == "" {
		file = filepath.Join("..", "..", "..", "shared", "seeds", "arus-data-model.txt")
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("the data model document is not at %s; set ARUS_SEED_DATA_MODEL to its path", file)
	}
	if err != nil {
		t.Fatal(err)
	}
	columns, uniques := seed(t)
	wantColumns, wantUniques := parseDocument(text)
	if len(wantColumns) == 0 {
		t.Fatalf("no table found in %s", file)
	}
	if diff := cmp.Diff(wantColumns, columns); diff != "" {
		t.Errorf("columns (-document +testdata)\n%s", diff)
	}
	if diff := cmp.Diff(wantUniques, uniques); diff != "" {
		t.Errorf("unique constraints (-document +testdata)\n%s", diff)
	}
}

// parseDocument reads the document: a table's name stands alone, a line of words and the "| Column |" head follow, then a
// line for each column. Only the schemas of the state file count; the others live in destinations.
func parseDocument(text []byte) (columns []seedColumn, uniques []string) {
	var lines []string
	for sc := bufio.NewScanner(bytes.NewReader(text)); sc.Scan(); {
		lines = append(lines, strings.TrimSpace(sc.Text()))
	}
	schema, table := "", ""
	for i, line := range lines {
		if _, name, ok := strings.Cut(line, "Schema: "); ok {
			schema, table = name, ""
		}
		if i+2 < len(lines) && strings.HasPrefix(lines[i+2], "| Column |") {
			table = schema + "_" + line
		}
		if table == "" || !slices.Contains([]string{"arus_config", "arus_state", "arus_run_logs"}, schema) {
			continue
		}
		if list, ok := strings.CutPrefix(line, "Unique constraint: "); ok {
			uniques = append(uniques, table+": "+strings.Trim(list, "()"))
		}
		if cells := strings.Split(line, "|"); !strings.HasPrefix(line, "|") && len(cells) >= 3 {
			constraints := strings.ReplaceAll(strings.TrimSpace(cells[2]), "→ ", "")
			columns = append(columns, seedColumn{table, strings.TrimSpace(cells[0]), strings.TrimSpace(cells[1]), constraints})
		}
	}
	return columns, uniques
}
