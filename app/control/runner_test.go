package control

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite" // makes the source's file

	"arus/app/engine"
	"arus/app/model"
	"arus/connectors"
)

// held is a pipeline's source that waits to be opened until it is let go, so
// that a test decides how long a run takes.
type held struct {
	opened chan string // the file's name, each time one is opened
	let    chan struct{}
}

// pipelines makes n pipelines on n sources, or on one, whose runs are held.
func (b *bundle) pipelines(t *testing.T, n int, oneSource bool) ([]model.Pipeline, *held) {
	t.Helper()
	h := &held{opened: make(chan string, 100), let: make(chan struct{})}
	conn := b.Registry["sqlite"]
	open := conn.OpenSource
	conn.OpenSource = func(ctx context.Context, cfg connectors.Config) (connectors.Source, error) {
		h.opened <- filepath.Base(cfg.Database)
		select {
		case <-h.let:
			return open(ctx, cfg)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	b.Registry["sqlite"] = conn
	if _, err := b.AddDestination(b.admin, DestinationInput{Name: "warehouse", Connection: connectors.Config{Type: "embedded"}, IsDefault: true}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var list []model.Pipeline
	for i := range n {
		file := filepath.Join(dir, fmt.Sprintf("s%d.db", i))
		if i == 0 || !oneSource {
			db, err := sql.Open("sqlite", "file:"+file)
			if err != nil {
				t.Fatal(err)
			}
			for j := range n {
				if _, err = db.Exec(fmt.Sprintf(`CREATE TABLE t%d (id INTEGER PRIMARY KEY); INSERT INTO t%d VALUES (1)`, j, j)); err != nil {
					t.Fatal(err)
				}
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			cfg, err := b.Registry.ParseURL("sqlite://" + filepath.ToSlash(file))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.AddSource(b.admin, SourceInput{Name: fmt.Sprintf("s%d", i), Connection: cfg}); err != nil {
				t.Fatal(err)
			}
		}
		source := fmt.Sprintf("s%d", i)
		if oneSource {
			source = "s0"
		}
		p, err := b.AddPipeline(b.admin, PipelineInput{Name: fmt.Sprintf("p%d", i), Source: source, Choices: []TableChoice{{Name: fmt.Sprintf("t%d", i)}}})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	return list, h
}

// start starts a run.
func (b *bundle) startRun(t *testing.T, p model.Pipeline) Started {
	t.Helper()
	started, err := b.StartRun(b.admin, RunRequest{Pipeline: p.ID})
	if err != nil {
		t.Fatal(err)
	}
	return started
}

// end waits for the end of a run.
func end(t *testing.T, s Started) (engine.Report, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return s.Wait(ctx)
}

func TestRunsWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name      string
		settings  map[string]string
		oneSource bool
	}{
		{"of all", map[string]string{"max_concurrent_runs": "2"}, false},
		{"of the source", map[string]string{"max_concurrent_runs": "9", "max_concurrent_per_source": "2"}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			list, h := b.pipelines(t, 4, tc.oneSource)
			if err := b.ChangeSettings(b.admin, tc.settings, nil); err != nil {
				t.Fatal(err)
			}
			var states []model.RunStatus
			var runs []Started
			for _, p := range list {
				s := b.startRun(t, p)
				runs, states = append(runs, s), append(states, s.Status)
			}
			if diff := cmp.Diff([]model.RunStatus{model.RunRunning, model.RunRunning, model.RunQueued, model.RunQueued}, states); diff != "" {
				t.Error(diff)
			}
			<-h.opened
			<-h.opened
			if _, err := b.StartRun(b.admin, RunRequest{Pipeline: list[3].ID}); !errors.Is(err, ErrRunActive) {
				t.Errorf("a second run of one that waits: %v", err)
			}
			if run, err := b.GetRun(b.admin, runs[3].RunID); err != nil || run.Status != model.RunQueued {
				t.Errorf("%+v, %v", run, err)
			}
			if queued, total, err := b.ListRuns(b.admin, RunFilter{Status: model.RunQueued, Page: Page{Limit: 10}}); err != nil || total != 2 || queued[0].ID != runs[2].RunID {
				t.Errorf("%+v, %v", queued, err)
			}
			if err := b.CancelRun(b.admin, runs[2].RunID); err != nil {
				t.Error(err)
			}
			if _, err := end(t, runs[2]); !errors.Is(err, errQueueLeft) {
				t.Errorf("the cancelled one: %v", err)
			}
			close(h.let)
			for _, i := range []int{0, 1, 3} {
				if r, err := end(t, runs[i]); err != nil || r.Status != model.RunSuccess || r.RunID != runs[i].RunID {
					t.Errorf("%d: %+v, %v", i, r, err)
				}
			}
		})
	}
}

func TestACancelledRunEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	list, h := b.pipelines(t, 1, false)
	events, _ := b.Events.Listen(t.Context(), 0)
	s := b.startRun(t, list[0])
	<-h.opened
	if err := b.CancelRun(b.admin, s.RunID); err != nil {
		t.Fatal(err)
	}
	if r, err := end(t, s); err != nil || r.Status != model.RunCancelled {
		t.Errorf("%+v, %v", r, err)
	}
	if run, err := b.GetRun(b.admin, s.RunID); err != nil || run.Status != model.RunCancelled || run.FinishedAt.IsZero() {
		t.Errorf("%+v, %v", run, err)
	}
	var types []EventType
	for e := range events {
		if types = append(types, e.Type); e.Type == RunFinished {
			break
		}
	}
	if len(types) < 2 || types[0] != RunStarted {
		t.Errorf("%v", types)
	}
	if err := b.CancelRun(b.admin, s.RunID); !errors.Is(err, ErrRunState) {
		t.Errorf("the second time: %v", err)
	}
	if err := b.CancelRun(b.admin, list[0].ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("no run: %v", err)
	}
}

func TestStopEndsWhatRunsAndStartsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	list, h := b.pipelines(t, 2, false)
	if err := b.ChangeSettings(b.admin, map[string]string{"max_concurrent_runs": "1"}, nil); err != nil {
		t.Fatal(err)
	}
	first, second := b.startRun(t, list[0]), b.startRun(t, list[1])
	<-h.opened
	if err := b.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r, err := end(t, first); err != nil || r.Status != model.RunCancelled {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := end(t, second); !errors.Is(err, ErrStopping) {
		t.Errorf("the one that waited: %v", err)
	}
	if _, err := b.StartRun(b.admin, RunRequest{Pipeline: list[0].ID}); !errors.Is(err, ErrStopping) {
		t.Errorf("a new one: %v", err)
	}
}

func TestPipelinesDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	b := setup(t)
	list, _ := b.pipelines(t, 3, false)
	depend := func(p, on int) error {
		_, err := b.UpdatePipeline(b.admin, list[p].ID, PipelineUpdate{DependsOn: &list[on].ID})
		return err
	}
	if err := errors.Join(depend(1, 0), depend(2, 1)); err != nil {
		t.Fatal(err)
	}
	for _, circle := range [][2]int{{0, 2}, {0, 1}, {0, 0}} {
		if err := depend(circle[0], circle[1]); !isInvalid(err) {
			t.Errorf("%v: %v", circle, err)
		}
	}
	none := ""
	if p, err := b.UpdatePipeline(b.admin, list[1].ID, PipelineUpdate{DependsOn: &none}); err != nil || p.DependsOn != "" {
		t.Errorf("%q, %v", p.DependsOn, err)
	}
}

func TestRetentionKeepsTheLastRuns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	list, h := b.pipelines(t, 1, false)
	close(h.let)
	var runs []string
	for range 3 {
		r, err := end(t, b.startRun(t, list[0]))
		if err != nil || r.Status != model.RunSuccess {
			t.Fatalf("%+v, %v", r, err)
		}
		runs = append(runs, r.RunID)
		b.at = b.at.Add(time.Hour)
	}
	if n, err := b.Retain(b.admin); err != nil || n != (Retained{}) {
		t.Errorf("nothing is old yet: %+v, %v", n, err)
	}
	b.at = b.at.AddDate(0, 0, 200)
	n, err := b.Retain(b.admin)
	if err != nil || n.Runs != 2 || n.Logs == 0 || n.Audit != 0 {
		t.Errorf("%+v, %v", n, err)
	}
	for i, id := range runs {
		if _, err := b.GetRun(b.admin, id); (err == nil) != (i == 2) {
			t.Errorf("run %d: %v", i, err)
		}
	}
	b.at = b.at.AddDate(0, 0, 200)
	if n, err := b.Retain(b.admin); err != nil || n.Audit == 0 || n.Runs != 0 {
		t.Errorf("%+v, %v", n, err)
	}
}

// TestEditorsDoNotReachTheServersFiles: what an admin may name on the machine
// that Arus runs on, an editor may not, and nobody the state file.
func TestEditorsDoNotReachTheServersFiles(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user(t, "ed@example.com", model.RoleEditor)
	ctx, err := b.AuthenticateBearer(t.Context(), b.login(t, "ed@example.com").Access, "1")
	if err != nil {
		t.Fatal(err)
	}
	state := filepath.ToSlash(filepath.Join(b.Store.Dir(), "arus.db"))
	for url, admin := range map[string]bool{
		"sqlite:///etc/x.db": true, "sqlite://" + state: false, "postgres://u:${env:HOME}@h/d": true, "postgres://u:${file:/etc/passwd}@h/d": true,
		"postgres://u:p@h/d?sslmode=verify-ca&sslrootcert=/etc/passwd": true, "embedded:///srv/other": true,
	} {
		cfg, err := b.Registry.ParseURL(url)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.AddSource(ctx, SourceInput{Name: "x", Connection: cfg}); !isInvalid(err) {
			t.Errorf("an editor adds %s: %v", url, err)
		}
		if _, err := b.CheckNew(ctx, cfg, connectors.CheckOptions{Source: true}); !isInvalid(err) {
			t.Errorf("an editor tests %s: %v", url, err)
		}
		src, err := b.AddSource(b.admin, SourceInput{Name: "x", Connection: cfg})
		if (err == nil) != admin {
			t.Errorf("an admin adds %s: %v", url, err)
		}
		if err == nil {
			if err := b.DeleteSource(b.admin, src.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
}
