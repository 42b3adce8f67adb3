package types

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/types.md anew")

func TestDocsAreWhatTheGoldensSay(t *testing.T) {
	t.Parallel()
	got, err := Docs()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("..", "..", "docs", "types.md")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("docs/types.md (-want +got), -update writes it anew:\n%s", diff)
	}
}

// TestGoldensAreWhole finds what a hand-written file easily gets wrong.
func TestGoldensAreWhole(t *testing.T) {
	t.Parallel()
	for _, dialect := range Dialects {
		g, err := Load(dialect)
		if err != nil {
			t.Fatal(err)
		}
		if g.Dialect != dialect {
			t.Errorf("%s.json is of %s", dialect, g.Dialect)
		}
		for _, group := range g.Groups {
			seen := map[string]bool{}
			for _, c := range group.Columns {
				if seen[c.Title()] {
					t.Errorf("%s, %s: %s is there twice", dialect, group.Name, c.Title())
				}
				seen[c.Title()] = true
				if c.Logical == "" || len(c.Values) == 0 && c.TimesID == 0 {
					t.Errorf("%s, %s: %s has no logical type or no values", dialect, group.Name, c.Title())
				}
			}
		}
	}
}
