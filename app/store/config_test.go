package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"arus/app/model"
)

func addSource(t *testing.T, s *Store, name string) model.Source {
	t.Helper()
	src := model.Source{Name: name, Type: model.SourcePostgreSQL, Host: "h", Database: "d", Username: "u", PasswordEnc: "sealed"}
	if err := s.CreateSource(t.Context(), &src); err != nil {
		t.Fatal(err)
	}
	return src
}

func addDestination(t *testing.T, s *Store, name string) model.Destination {
	t.Helper()
	dst := model.Destination{Name: name, Type: model.DestinationEmbedded}
	if err := s.CreateDestination(t.Context(), &dst); err != nil {
		t.Fatal(err)
	}
	return dst
}

func addPipeline(t *testing.T, s *Store, name string) model.Pipeline {
	t.Helper()
	p := model.NewPipeline(name, addSource(t, s, name+"-src").ID, addDestination(t, s, name+"-dst").ID)
	p.Tables = []model.PipelineTable{model.NewPipelineTable("", "orders"), model.NewPipelineTable("sales", "orders")}
	if err := s.CreatePipeline(t.Context(), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func check(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got)\n%s", what, diff)
	}
}

func TestSourceRoundTrip(t *testing.T) {
	t.Parallel()
	s, clk := openWithClock(t, t.TempDir())
	full := model.Source{
		Name: "Shop", Type: model.SourceMongoDB, Host: "h", Port: 1, Database: "d", Username: "u", PasswordEnc: "sealed", SSL: true,
		URI: "mongodb://u@h/d", AuthSource: "admin", SyncMethod: model.SyncIncremental, TableInclude: []string{"a*", `q"'`},
		TableExclude: []string{}, SchemaInclude: []string{"public"}, Status: model.ConnectionError, LastError: "no",
		LastTested: clk.now().Truncate(time.Millisecond), Options: model.SourceOptions{TLS: model.TLSOptions{Mode: model.TLSVerifyCA, CAFile: "/ca"}},
	}
	lean := model.Source{Name: "file", Type: model.SourceSQLite, Database: "/x.db", TableInclude: []string{}, TableExclude: []string{}, SchemaInclude: []string{}}
	for _, src := range []model.Source{full, lean} {
		if err := s.CreateSource(t.Context(), &src); err != nil {
			t.Fatal(err)
		}
		for _, ref := range []string{src.ID, src.Name} {
			got, err := s.FindSource(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			check(t, "found by "+ref, src, got)
		}
		clk.advance(time.Minute)
		src.Name += "2"
		if err := s.UpdateSource(t.Context(), &src); err != nil {
			t.Fatal(err)
		}
		got, err := s.GetSource(t.Context(), src.ID)
		if err != nil {
			t.Fatal(err)
		}
		check(t, "after the update", src, got)
		if !got.UpdatedAt.After(got.CreatedAt) {
			t.Errorf("updated_at %v is not after created_at %v", got.UpdatedAt, got.CreatedAt)
		}
	}
	list, total, err := s.ListSources(t.Context(), Page{Limit: 1, Offset: 1})
	if err != nil || total != 2 || len(list) != 1 || list[0].Name != "file2" {
		t.Errorf("second page = %v, %d, %v", list, total, err)
	}
	if err := s.SetSourceStatus(t.Context(), list[0].ID, model.ConnectionConnected, ""); err != nil {
		t.Fatal(err)
	}
	if got, _ := s.GetSource(t.Context(), list[0].ID); got.Status != model.ConnectionConnected || got.LastTested.IsZero() {
		t.Errorf("after the test: %+v", got)
	}
}

func TestNotFoundAndConflict(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	ctx := t.Context()
	addPipeline(t, s, "p")
	_, get := s.GetSource(ctx, "x")
	_, find := s.FindDestination(ctx, "x")
	_, def := s.DefaultDestination(ctx)
	_, pipe := s.FindPipelineBySyncKey(ctx, "")
	_, mark := s.GetWatermark(ctx, "x", "x")
	_, run := s.GetRun(ctx, "x")
	_, latest := s.LatestRun(ctx, "x")
	_, finish := s.FinishRun(ctx, "x", RunResult{Status: model.RunFailed})
	gone := model.NewPipeline("gone", "", "")
	for name, err := range map[string]error{
		"get source": get, "find destination": find, "default": def, "sync key": pipe, "watermark": mark, "run": run, "latest": latest,
		"finish": finish, "update source": s.UpdateSource(ctx, &model.Source{Type: model.SourceMySQL}),
		"update destination": s.UpdateDestination(ctx, &model.Destination{Type: model.DestinationMySQL}), "update pipeline": s.UpdatePipeline(ctx, &gone),
		"delete source": s.DeleteSource(ctx, "x"), "delete destination": s.DeleteDestination(ctx, "x"), "delete pipeline": s.DeletePipeline(ctx, "x"),
		"status": s.SetPipelineStatus(ctx, "x", model.PipelinePaused), "checkpoint": s.Checkpoint(ctx, nil, &model.RunTableStat{RunID: "x"}),
	} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", name, err)
		}
	}

	keyed := model.NewPipeline("keyed", "", "")
	keyed.SyncKey = "k"
	if err := s.CreatePipeline(ctx, &keyed); err != nil {
		t.Fatal(err)
	}
	again := model.NewPipeline("again", "", "")
	again.SyncKey = "k"
	twice := model.NewPipeline("twice", "", "")
	twice.Tables = []model.PipelineTable{model.NewPipelineTable("", "t"), model.NewPipelineTable("", "t")}
	named := model.NewPipeline("p", "", "")
	for name, tc := range map[string]struct {
		err   error
		field string
	}{
		"source":      {s.CreateSource(ctx, &model.Source{Name: "p-src", Type: model.SourceMySQL}), "name"},
		"destination": {s.CreateDestination(ctx, &model.Destination{Name: "p-dst", Type: model.DestinationMySQL}), "name"},
		"pipeline":    {s.CreatePipeline(ctx, &named), "name"},
		"sync key":    {s.CreatePipeline(ctx, &again), "sync_key"},
		"table":       {s.CreatePipeline(ctx, &twice), "pipeline_id, source_schema, source_table"},
	} {
		c, ok := errors.AsType[*ConflictError](tc.err)
		if !ok || !errors.Is(tc.err, ErrConflict) || c.Field != tc.field {
			t.Errorf("%s: %v, want a conflict on %s", name, tc.err, tc.field)
		}
	}
	if _, err := s.FindPipeline(ctx, "twice"); !errors.Is(err, ErrNotFound) {
		t.Errorf("half of the refused pipeline stayed: %v", err)
	}
	if twice.ID != "" || twice.Tables[0].ID != "" {
		t.Error("the refused pipeline was changed in the caller's hands")
	}
	lost := model.NewPipeline("lost", "nowhere", "")
	if err := s.CreatePipeline(ctx, &lost); !errors.Is(err, ErrInvalid) {
		t.Errorf("unknown source: %v, want ErrInvalid", err)
	}
}

func TestOneDefaultDestination(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	a, b := addDestination(t, s, "a"), addDestination(t, s, "b")
	for _, d := range []model.Destination{a, b, a} {
		d.IsDefault = true
		if err := s.UpdateDestination(t.Context(), &d); err != nil {
			t.Fatal(err)
		}
		got, err := s.DefaultDestination(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		check(t, "default", d, got)
	}
	c := model.Destination{Name: "c", Type: model.DestinationClickHouse, Host: "h", Database: "d", IsDefault: true}
	if err := s.CreateDestination(t.Context(), &c); err != nil {
		t.Fatal(err)
	}
	check(t, "defaults", []string{"c"}, texts(t, s, `SELECT name FROM arus_config_destinations WHERE is_default`))
	if _, err := s.writer.ExecContext(t.Context(), `UPDATE arus_config_destinations SET is_default = 1`); !errors.Is(translate(err), ErrConflict) {
		t.Errorf("two defaults by hand: %v, want ErrConflict", err)
	}
}

func TestPipelineRoundTrip(t *testing.T) {
	t.Parallel()
	s, clk := openWithClock(t, t.TempDir())
	ctx := t.Context()
	first := addPipeline(t, s, "first")
	p := model.NewPipeline("second", first.SourceID, first.DestinationID)
	p.Schedule, p.DependsOn, p.SyncKey, p.MaxRetries, p.TimeoutSeconds = "*/5 * * * *", first.ID, "key", 0, 0
	p.Options = model.PipelineOptions{Parallel: 2, LookbackSeconds: 60, NullWatermark: model.NullSkip}
	for i := range 12 {
		tab := model.NewPipelineTable("sales", fmt.Sprint("t", 11-i))
		tab.TargetSchema, tab.TargetTable, tab.WatermarkColumn, tab.LookbackSeconds, tab.Enabled = "x", "y", "w", i, i%2 == 0
		tab.KeyColumns, tab.TransformConfig = []string{"a", "b"}, json.RawMessage(`[{"type":"rename"}]`)
		p.Tables = append(p.Tables, tab)
	}
	if err := s.CreatePipeline(ctx, &p); err != nil {
		t.Fatal(err)
	}
	byKey, err := s.FindPipelineBySyncKey(ctx, "key")
	if err != nil {
		t.Fatal(err)
	}
	check(t, "by sync key", p, byKey)

	clk.advance(time.Second)
	slices.Reverse(p.Tables)
	p.Tables = p.Tables[:3]
	p.Tables = append(p.Tables, model.NewPipelineTable("", "new"))
	p.Tables[3].KeyColumns = []string{}
	p.Schedule, p.SyncKey, p.DependsOn = "", "", ""
	kept := p.Tables[0].ID
	if err := s.UpdatePipeline(ctx, &p); err != nil {
		t.Fatal(err)
	}
	got, err := s.FindPipeline(ctx, "second")
	if err != nil {
		t.Fatal(err)
	}
	check(t, "after the update", p, got)
	if got.Tables[0].ID != kept || got.Tables[3].Position != 3 {
		t.Errorf("tables = %+v", got.Tables)
	}

	list, total, err := s.ListPipelines(ctx, PipelineFilter{SourceID: first.SourceID, Status: model.PipelineActive})
	if err != nil || total != 2 || len(list) != 2 {
		t.Fatalf("list = %v, %d, %v", list, total, err)
	}
	check(t, "listed", p, list[1])
	if err := s.SetPipelineStatus(ctx, p.ID, model.PipelinePaused); err != nil {
		t.Fatal(err)
	}
	if _, total, _ := s.ListPipelines(ctx, PipelineFilter{Status: model.PipelineActive}); total != 1 {
		t.Errorf("%d active pipelines, want 1", total)
	}
}

// fill gives the pipeline one of everything that belongs to it.
func fill(t *testing.T, s *Store, p model.Pipeline) model.Run {
	t.Helper()
	ctx := t.Context()
	run := model.Run{PipelineID: p.ID}
	if err := s.StartRun(ctx, &run); err != nil {
		t.Fatal(err)
	}
	stat := model.RunTableStat{RunID: run.ID, TableName: "orders"}
	if err := s.Checkpoint(ctx, &model.Watermark{PipelineID: p.ID, SourceTable: "orders", LastRunID: run.ID}, &stat); err != nil {
		t.Fatal(err)
	}
	if err := s.AppendRunLogs(ctx, []model.RunLog{{RunID: run.ID, Message: "m"}}); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		`INSERT INTO arus_config_transform_scripts (id, pipeline_id, name, content) VALUES (?1, ?1, 'n', 'c')`,
		`INSERT INTO arus_config_pipeline_notifications (id, pipeline_id, target_id) VALUES (?1, ?1, 't')`,
		`INSERT INTO arus_config_data_quality_log (id, pipeline_id, run_id, table_name, check_type, status) VALUES (?1, ?1, 'r', 't', 'row_count', 'passed')`,
	} {
		if _, err := s.writer.ExecContext(ctx, q, p.ID); err != nil {
			t.Fatal(err)
		}
	}
	return run
}

// leftovers lists the tables in which the pipeline or its run still appears.
func leftovers(t *testing.T, s *Store, pipelineID, runID string) (left []string) {
	t.Helper()
	for _, table := range texts(t, s, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'arus_%'`) {
		for column, id := range map[string]string{"pipeline_id": pipelineID, "run_id": runID} {
			if _, has := tableInfo(t, s, table)[column]; !has {
				continue
			}
			if len(texts(t, s, `SELECT 'x' FROM `+table+` WHERE `+column+` = ?`, id)) > 0 {
				left = append(left, table)
			}
		}
	}
	slices.Sort(left)
	return left
}

func TestDeleteRules(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"pipeline", "source"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			s := openStore(t, t.TempDir())
			ctx := t.Context()
			p, other := addPipeline(t, s, "p"), addPipeline(t, s, "other")
			waits := model.NewPipeline("waits", other.SourceID, other.DestinationID)
			waits.DependsOn = p.ID
			if err := s.CreatePipeline(ctx, &waits); err != nil {
				t.Fatal(err)
			}
			run, otherRun := fill(t, s, p), fill(t, s, other)
			remove := map[string]func() error{
				"pipeline": func() error { return s.DeletePipeline(ctx, p.ID) },
				"source":   func() error { return s.DeleteSource(ctx, p.SourceID) },
			}[by]
			if err := remove(); !errors.Is(err, ErrRunActive) {
				t.Fatalf("delete while running = %v, want ErrRunActive", err)
			}
			if _, err := s.FinishRun(ctx, run.ID, RunResult{Status: model.RunSuccess}); err != nil {
				t.Fatal(err)
			}
			if len(leftovers(t, s, p.ID, run.ID)) < 7 {
				t.Fatal("the test has lost its subject")
			}
			before := leftovers(t, s, other.ID, otherRun.ID)

			err := s.DeleteDestination(ctx, p.DestinationID)
			if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), `"p"`) {
				t.Errorf("delete of a used destination = %v, want ErrInUse naming the pipeline", err)
			}
			_, err = s.writer.ExecContext(ctx, `DELETE FROM arus_config_destinations WHERE id = ?`, p.DestinationID)
			if !errors.Is(translate(err), ErrInUse) {
				t.Errorf("the same by hand = %v, want ErrInUse", err)
			}

			if err := remove(); err != nil {
				t.Fatal(err)
			}
			check(t, "left behind", []string(nil), leftovers(t, s, p.ID, run.ID))
			check(t, "of the other pipeline", before, leftovers(t, s, other.ID, otherRun.ID))
			if got, err := s.GetPipeline(ctx, waits.ID); err != nil || got.DependsOn != "" {
				t.Errorf("the waiting pipeline: depends_on %q, %v, want none", got.DependsOn, err)
			}
			if err := s.DeleteDestination(ctx, p.DestinationID); err != nil {
				t.Errorf("delete of the free destination: %v", err)
			}
		})
	}
}

func TestRunOutlivesItsUser(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	run := model.Run{PipelineID: "p", UserID: addUser(t, s, "a@b")}
	if err := s.StartRun(t.Context(), &run); err != nil {
		t.Fatal(err)
	}
	if _, err := s.writer.ExecContext(t.Context(), `DELETE FROM arus_config_users`); err != nil {
		t.Fatal(err)
	}
	if got, err := s.GetRun(t.Context(), run.ID); err != nil || got.UserID != "" {
		t.Errorf("run = %+v, %v, want it without a user", got, err)
	}
}
