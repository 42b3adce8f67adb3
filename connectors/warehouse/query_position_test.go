package warehouse

import (
	"errors"
	"strings"
	"testing"
)

// TestErrorPosition finds what SQLite complains about.
func TestErrorPosition(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for sql, want := range map[string]string{
		"SELECT 1 FORM x": "x",
		"SELECT a, b FROM (SELECT 1 AS a, 2 AS b) WHERE c = 1": "c = 1",
		"SELECT 1\nWHERE WHERE 1":                              "WHERE 1",
		"SELECT nothing(1)":                                    "nothing(1)",
		"SELECT (1":                                            "",
		"SELECT 'a":                                            "'a",
		"SELECT max(1) FROM (SELECT 1) GROUP 1":                "1",
	} {
		rows, err := Query(t.Context(), dir, sql, QueryOptions{})
		if err == nil {
			_ = rows.Close()
			t.Errorf("%s: no error", sql)
			continue
		}
		at, ok := ErrorPosition(t.Context(), sql, err)
		if !ok || sql[at:] != want {
			t.Errorf("%s: %v at %d %v, want %q", sql, err, at, ok, want)
		}
	}
	if _, ok := ErrorPosition(t.Context(), "SELECT 1", errors.New("the disk is full")); ok {
		t.Error("an error without a place has one")
	}
	if _, ok := ErrorPosition(t.Context(), strings.Repeat("(", 10), nil); ok {
		t.Error("no error has a place")
	}
}
