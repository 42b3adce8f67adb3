package warehouse

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"arus/connectors"
	"arus/connectors/warehouse/schema"
)

// viewsDir holds the definitions of views, one file each. No table has such a name.
const viewsDir = ".views"

const viewSuffix = ".sql"

// ViewDefinition is a stored SELECT that queries use by its name.
type ViewDefinition struct {
	Name string
	SQL  string
}

// views lists the definitions in the order of their names.
func (s *storage) views() ([]ViewDefinition, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, viewsDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fileError("list the views of", s.dir, err)
	}
	var out []ViewDefinition
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), viewSuffix)
		if !ok || !schema.ValidName(name) {
			continue
		}
		body, err := os.ReadFile(filepath.Join(s.dir, viewsDir, e.Name()))
		if err != nil {
			return nil, fileError("read the view", name, err)
		}
		out = append(out, ViewDefinition{name, strings.TrimSpace(string(body))})
	}
	slices.SortFunc(out, func(a, b ViewDefinition) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// Views lists the views in the order of their names.
func (s *Store) Views() ([]ViewDefinition, error) { return s.views() }

// SetView stores a view, in place of one of the same name. Its SELECT must be one
// that a query could run now.
func (s *Store) SetView(ctx context.Context, v ViewDefinition) error {
	const op = "define the view"
	if err := checkName(op, v.Name); err != nil {
		return err
	}
	refuse := func(kind connectors.ErrorKind, err error, hint string) error {
		return &connectors.Error{Kind: kind, Op: op, Object: v.Name, Err: err, Hint: hint}
	}
	names, err := tableNames(s.dir)
	if err != nil {
		return fileError(op, s.dir, err)
	}
	if slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, v.Name) }) {
		return refuse(connectors.KindConflict, errors.New("there is a table of that name"), "choose another name")
	}
	sql := strings.TrimRight(strings.TrimSpace(v.SQL), "; \t\r\n")
	if word, _ := firstWord(sql); strings.EqualFold(word, "explain") {
		return refuse(connectors.KindInvalid, errors.New("EXPLAIN is not a query"), "write one SELECT")
	}
	if tokens, ok := lex(sql); !ok || !balanced(tokens) {
		return refuse(connectors.KindInvalid, errors.New("a quote or bracket has no other"), "write one SELECT")
	}
	rows, err := Query(ctx, s.dir, "SELECT * FROM ("+sql+"\n) LIMIT 0", QueryOptions{})
	if err == nil {
		err = errors.Join(rows.Err(), rows.Close())
	}
	if err != nil {
		return err
	}
	if err := s.fs.MkdirAll(filepath.Join(s.dir, viewsDir)); err != nil {
		return fileError(op, v.Name, err)
	}
	return fail(ctx, op, v.Name, replaceFile(s.fs, s.viewFile(v.Name), []byte(sql+"\n")))
}

func balanced(tokens []token) bool {
	depth := 0
	for _, t := range tokens {
		if t.is("(") {
			depth++
		} else if t.is(")") {
			depth--
		}
		if depth < 0 {
			return false
		}
	}
	return depth == 0
}

// DropView removes a view.
func (s *Store) DropView(_ context.Context, name string) error {
	if _, err := os.Stat(s.viewFile(name)); err != nil || !schema.ValidName(name) {
		return &connectors.Error{Kind: connectors.KindNotFound, Op: "drop the view", Object: name, Err: errors.New("there is no such view")}
	}
	if err := s.fs.Remove(s.viewFile(name)); err != nil {
		return fileError("drop the view", name, err)
	}
	return s.fs.SyncDir(filepath.Join(s.dir, viewsDir))
}

func (s *storage) viewFile(name string) string {
	return filepath.Join(s.dir, viewsDir, name+viewSuffix)
}
