package control

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"arus/app/model"
	"arus/app/store"
)

// pair stores a source and a destination, which nothing connects to.
func (b *bundle) pair(t *testing.T, source string) (model.Source, model.Destination) {
	t.Helper()
	src := model.Source{Name: source, Type: model.SourcePostgreSQL, Host: "h", Port: 1, Database: "d", Username: "u"}
	src.SetDefaults()
	if err := b.Store.CreateSource(t.Context(), &src); err != nil {
		t.Fatal(err)
	}
	dst, err := b.Store.FindDestination(t.Context(), "dst")
	if IsNotFound(err) {
		dst = model.Destination{Name: "dst", Type: model.DestinationPostgreSQL, Host: "h", Port: 1, Database: "d", Username: "u"}
		dst.SetDefaults()
		err = b.Store.CreateDestination(t.Context(), &dst)
	}
	if err != nil {
		t.Fatal(err)
	}
	return src, dst
}

// add stores a pipeline of one table of its own name.
func (b *bundle) add(t *testing.T, name, dependsOn string, options model.PipelineOptions) model.Pipeline {
	t.Helper()
	src, dst := b.pair(t, name+"-source")
	p, err := b.AddPipeline(b.admin, PipelineInput{
		Name: name, Source: src.ID, Destination: dst.ID, Choices: []TableChoice{{Name: name}}, DependsOn: dependsOn, Options: options,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ran records a run from now on that ended a second later.
func (b *bundle) ran(t *testing.T, p model.Pipeline, work model.RunWork, status model.RunStatus) model.Run {
	t.Helper()
	run := model.Run{PipelineID: p.ID, Work: work}
	if err := b.Store.StartRun(t.Context(), &run); err != nil {
		t.Fatal(err)
	}
	b.at = b.at.Add(time.Second)
	run, err := b.Store.FinishRun(t.Context(), run.ID, store.RunResult{Status: status})
	if err != nil {
		t.Fatal(err)
	}
	b.at = b.at.Add(time.Minute)
	return run
}

func TestSkippedUnlessTheUpstreamSucceeded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.add(t, "first", "", model.PipelineOptions{})
	second := b.add(t, "second", "first", model.PipelineOptions{RunAfterUpstream: true})
	why := func(force bool) string {
		t.Helper()
		job, err := b.job(b.admin, RunRequest{Pipeline: "second", Force: force})
		if err != nil {
			t.Fatal(err)
		}
		return job.Skip
	}
	report, err := b.Run(b.admin, RunRequest{Pipeline: "second"})
	if err != nil || report.Status != model.RunSkipped || !strings.Contains(report.Error, `"first"`) {
		t.Fatalf("the run is %s: %s, %v", report.Status, report.Error, err)
	}
	run, err := b.GetRun(b.admin, report.RunID)
	if err != nil || run.Status != model.RunSkipped || run.ErrorMessage != report.Error || run.FinishedAt.IsZero() {
		t.Errorf("recorded as %+v, %v", run, err)
	}
	logs, err := b.RunLogs(b.admin, report.RunID, 0, 10)
	if err != nil || len(logs) != 1 || logs[0].Level != model.LogWarning || !strings.Contains(logs[0].Message, "skipped") {
		t.Errorf("log %+v, %v", logs, err)
	}
	if why(true) != "" {
		t.Error("a forced run is skipped")
	}
	b.ran(t, first, model.WorkCopy, model.RunFailed)
	b.ran(t, first, model.WorkRebuild, model.RunSuccess)
	if why(false) == "" {
		t.Error("a failed run and a rebuild count as the upstream's success")
	}
	b.ran(t, first, model.WorkCopy, model.RunSuccess)
	if why(false) != "" {
		t.Errorf("skipped after the upstream succeeded: %s", why(false))
	}
	b.ran(t, second, model.WorkCopy, model.RunFailed)
	if why(false) != "" {
		t.Errorf("skipped after a failure of its own: %s", why(false))
	}
	b.ran(t, second, model.WorkCopy, model.RunSuccess)
	b.ran(t, second, model.WorkLetters, model.RunSuccess)
	if !strings.Contains(why(false), "since") {
		t.Errorf("not skipped though the upstream did nothing since: %q", why(false))
	}
	b.ran(t, first, model.WorkCopy, model.RunSuccess)
	if why(false) != "" {
		t.Errorf("skipped after the upstream succeeded again: %s", why(false))
	}
}

func TestCyclesAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.add(t, "a", "", model.PipelineOptions{})
	b.add(t, "b", "a", model.PipelineOptions{})
	b.add(t, "c", "b", model.PipelineOptions{})
	for _, upstream := range []string{"a", "b", "c"} {
		_, err := b.UpdatePipeline(b.admin, "a", PipelineUpdate{DependsOn: &upstream})
		bad, ok := errors.AsType[*InvalidError](err)
		if !ok || !slices.ContainsFunc(bad.Faults, func(f model.FieldError) bool { return f.Field == "depends_on" }) {
			t.Errorf("a after %s: %v", upstream, err)
		}
		if upstream == "c" && !strings.Contains(err.Error(), "a after c after b after a") {
			t.Errorf("the circle is not named: %v", err)
		}
	}
}

func TestEqualSlugsShareNoRawTable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i, name := range []string{"My-Shop", "my shop"} {
		src, dst := b.pair(t, name)
		raw := model.LoadRaw
		schema := "analytics_" + string(rune('a'+i))
		_, err := b.AddPipeline(b.admin, PipelineInput{
			Name: name, Source: src.ID, Destination: dst.ID, LoadMode: raw, TargetSchema: schema, Choices: []TableChoice{{Name: "orders", LoadMode: &raw}},
		})
		switch {
		case i == 0 && err != nil:
			t.Fatal(err)
		case i == 1 && (err == nil || !strings.Contains(err.Error(), "staging.my_shop_orders_raw") || !strings.Contains(err.Error(), `"My-Shop"`)):
			t.Errorf("the second pipeline: %v", err)
		}
	}
}

func TestARetryDoesOnlyWhatFailed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	src, dst := b.pair(t, "src")
	p, err := b.AddPipeline(b.admin, PipelineInput{Name: "p", Source: src.ID, Destination: dst.ID, Choices: []TableChoice{{Name: "x"}, {Name: "y"}, {Name: "z"}}})
	if err != nil {
		t.Fatal(err)
	}
	run := model.Run{PipelineID: p.ID}
	if err := b.Store.StartRun(t.Context(), &run); err != nil {
		t.Fatal(err)
	}
	for table, status := range map[string]model.RunStatus{"x": model.RunSuccess, "y": model.RunFailed, "z": model.RunSuccess} {
		if err := b.Store.SaveTableStat(t.Context(), &model.RunTableStat{RunID: run.ID, TableName: table, Status: status}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Store.FinishRun(t.Context(), run.ID, store.RunResult{Status: model.RunFailed}); err != nil {
		t.Fatal(err)
	}
	job, err := b.job(b.admin, RunRequest{Pipeline: "p", RetryOf: run.ID})
	if err != nil || !slices.Equal(job.Only, []string{"y"}) {
		t.Errorf("tables %v, %v, want y alone", job.Only, err)
	}
	other := b.add(t, "other", "", model.PipelineOptions{})
	if _, err := b.job(b.admin, RunRequest{Pipeline: other.ID, RetryOf: run.ID}); err == nil {
		t.Error("a run of another pipeline is retried")
	}
	if _, err := b.job(b.admin, RunRequest{Pipeline: "p", Reconcile: true}); err == nil || !strings.Contains(err.Error(), "deletes") {
		t.Errorf("keys are compared where no table follows deletions: %v", err)
	}
}
