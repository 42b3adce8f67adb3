package warehouse

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"arus/connectors"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	shut := filepath.Join(base, "shut")
	if err := os.Mkdir(shut, 0o500); err != nil {
		t.Fatal(err)
	}
	type outcome struct {
		Name   string
		Status connectors.StageStatus
	}
	const ok, failed, skipped, warning = connectors.StageOK, connectors.StageFailed, connectors.StageSkipped, connectors.StageWarning
	write, read := connectors.CheckOptions{Destination: true}, connectors.CheckOptions{Source: true}
	for _, tc := range []struct {
		name string
		dir  string
		opts connectors.CheckOptions
		want []outcome
	}{
		{"to be made", filepath.Join(base, "new", "deep"), write, []outcome{{"directory", ok}, {"write", ok}, {"space", ok}}},
		{"there", base, write, []outcome{{"directory", ok}, {"write", ok}, {"space", ok}}},
		{"without tables", base, read, []outcome{{"directory", ok}, {"read", warning}, {"space", ok}}},
		{"absent", filepath.Join(base, "absent"), read, []outcome{{"directory", failed}, {"read", skipped}, {"space", skipped}}},
		{"a file", file, write, []outcome{{"directory", failed}, {"write", skipped}, {"space", skipped}}},
		{"shut", shut, write, []outcome{{"directory", ok}, {"write", failed}, {"space", skipped}}},
	} {
		if tc.name == "shut" && os.Geteuid() == 0 {
			continue // who may write everywhere
		}
		var got []outcome
		stages := New().Check(t.Context(), connectors.Config{Type: "embedded", Database: tc.dir}, tc.opts)
		for _, s := range stages {
			if s.Name == connectors.StageSpace && s.Status == warning {
				s.Status = ok // a full disk is the machine's, not this test's
			}
			got = append(got, outcome{s.Name, s.Status})
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: %s\n%+v", tc.name, diff, stages)
		}
	}
	entries, err := os.ReadDir(base)
	if err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
