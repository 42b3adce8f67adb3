package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"arus/app/control"
	"arus/app/model"
)

func TestSplitHint(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, message, hint string }{
		{"connect to db: refused (start the server (or mend the port))", "connect to db: refused", "start the server (or mend the port)"},
		{"read f(x)", "read f(x)", ""},
		{"(all of it)", "(all of it)", ""},
		{"plain", "plain", ""},
	} {
		if message, hint := splitHint(c.text); message != c.message || hint != c.hint {
			t.Errorf("%q: %q, %q", c.text, message, hint)
		}
	}
}

func TestScheduleWords(t *testing.T) {
	t.Parallel()
	for schedule, want := range map[string]string{
		"": "only when somebody starts it", "*/15 * * * *": "every 15 minutes", "*/7 * * * *": "*/7 * * * *", "0 * * * *": "every hour",
		"30 3 * * *": "every day at 03:30", "0 6 * * 1-5": "every working day at 06:00", "0 6 * * mon,4": "every Monday and Thursday at 06:00",
		"5 4 1 * *": "on day 1 of every month at 04:05", "0 */6 * * *": "every 6 hours at minute 0", "every 1h": "every hour", "every 90s": "every 90 seconds",
		"@daily": "every day at 00:00", "0 3 1 1 *": "on 1 January at 03:00", "0,30 * * * *": "every hour at minutes 0 and 30", "0 8,12,18 * * 1-5": "every working day at 08:00, 12:00 and 18:00", "*/10 8-18 * * mon": "every 10 minutes from 08:00 to 18:59, every Monday", "0 3 1,15 * *": "on day 1 and 15 of every month at 03:00", "15 9-17 * * *": "every hour from 09:15 to 17:15", "0 4 * jan,7 *": "every day in January and July at 04:00", "0 3 1 * 1": "0 3 1 * 1", "* * * * *": "every minute",
	} {
		if got := scheduleWords(schedule); got != want {
			t.Errorf("%q: %q, not %q", schedule, got, want)
		}
	}
}

// contains fails the test when a page lacks a text.
func contains(t *testing.T, where, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%s does not say %q", where, want)
		}
	}
}

func lacks(t *testing.T, where, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if strings.Contains(text, want) {
			t.Errorf("%s says %q", where, want)
		}
	}
}

func TestRunPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill()
	viewer, editor := s.client(model.RoleViewer), s.client(model.RoleEditor)

	_, text := s.get(viewer, "/runs?status=failed")
	contains(t, "the list", text, "crm-nightly", "/runs/"+s.failedRun, "1–2 of 2")
	lacks(t, "the list of failed runs", text, "/runs/"+s.run)
	_, text = s.get(viewer, "/runs?status=cancelled")
	contains(t, "the empty list", text, "No run matches")
	if status, _ := s.get(viewer, "/runs?status=nonsense"); status != http.StatusUnprocessableEntity {
		t.Errorf("a filter that makes no sense: %d", status)
	}

	_, text = s.get(viewer, "/runs/"+s.run)
	contains(t, "the run", text, "orders", "Log", "success")
	lacks(t, "a run that succeeded", text, "/retry", "/cancel", "The run failed")
	_, text = s.get(viewer, "/runs/"+s.failedRun)
	contains(t, "the failed run", text, "error-card", "What to do:", "data-copy")
	lacks(t, "the failed run for a viewer", text, "/retry")
	if status, _ := s.post(viewer, "/runs/"+s.failedRun+"/retry", nil); status != http.StatusForbidden {
		t.Errorf("a viewer retries: %d", status)
	}
	if status, _ := s.get(viewer, "/runs/00000000-0000-0000-0000-000000000000"); status != http.StatusNotFound {
		t.Errorf("a run that is not there: %d", status)
	}

	_, all := s.get(viewer, "/runs/"+s.run+"/log")
	_, bad := s.get(viewer, "/runs/"+s.run+"/log?level=ERROR")
	if !strings.Contains(all, "INFO") || bad != "" {
		t.Errorf("the log: %q, its errors: %q", all, bad)
	}
	_, bad = s.get(viewer, "/runs/"+s.failedRun+"/log?level=ERROR")
	contains(t, "the errors of a run that failed", bad, " ERROR ", "connection refused")
	_, text = s.get(viewer, "/runs/"+s.failedRun+"?level=ERROR&part=log")
	contains(t, "the errors of the log", text, "log-ERROR")
	lacks(t, "the errors of the log", text, "log-INFO")

	before := s.runs(control.RunFilter{Pipeline: s.failed.ID})
	status, text := s.post(editor, "/runs/"+s.failedRun+"/retry", nil)
	if status != http.StatusOK || s.runs(control.RunFilter{Pipeline: s.failed.ID}) == before && !strings.Contains(text, "queued") {
		t.Errorf("retry: %d", status)
	}
}

// runs counts runs.
func (s *site) runs(f control.RunFilter) int {
	s.t.Helper()
	f.Limit = 1
	_, total, err := s.service.ListRuns(s.admin, f)
	s.must(err)
	return total
}

func TestPipelinePages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill()
	viewer, editor := s.client(model.RoleViewer), s.client(model.RoleEditor)
	_, text := s.get(viewer, "/pipelines?q=SHOP")
	contains(t, "the list", text, "shop-to-warehouse", "shop-archive", "every 15 minutes", "paused")
	lacks(t, "the list for a viewer", text, "crm-nightly</a>", "/pipelines/bulk", "/pipelines/new")
	_, text = s.get(viewer, "/pipelines?status=failing")
	contains(t, "what fails", text, "crm-nightly", "1–1 of 1")
	_, text = s.get(viewer, "/pipelines?status=paused")
	contains(t, "what is paused", text, "shop-archive", "1–1 of 1")

	_, text = s.get(viewer, "/pipelines/"+s.pipeline.ID)
	contains(t, "the pipeline", text, "shop-to-warehouse", "sqlite", "Recent runs", "/runs/"+s.run)
	lacks(t, "the pipeline for a viewer", text, "/run\"", "/delete")
	_, text = s.get(viewer, "/pipelines/"+s.pipeline.ID+"/runs?status=success")
	contains(t, "its runs", text, "1–7 of 7")

	_, text = s.get(viewer, "/pipelines/"+s.pipeline.ID+"/quality?status=passed")
	contains(t, "its checks", text, "row count", "passed")
	_, text = s.get(viewer, "/pipelines/"+s.pipeline.ID+"/schema-changes")
	contains(t, "its schema changes", text, "Schema changes")
	if status, text := s.get(editor, "/pipelines/"+s.pipeline.ID+"/dead-letters"); status != http.StatusOK {
		t.Errorf("its dead letters: %d %s", status, text)
	}
	marks, err := s.service.Watermarks(s.admin, s.pipeline.ID)
	s.must(err)
	_, text = s.get(editor, "/pipelines/"+s.pipeline.ID+"/watermarks")
	contains(t, "its watermarks", text, marks[0].SourceTable, marks[0].Value)
	_, text = s.get(editor, "/pipelines/"+s.pipeline.ID+"/watermarks/reset?table="+marks[0].SourceTable)
	contains(t, "the preview of a reset", text, "otherwise go on from "+marks[0].Column)
	_, text = s.post(editor, "/pipelines/"+s.pipeline.ID+"/watermarks/reset", url.Values{"table": {marks[0].SourceTable}})
	contains(t, "the reset", text, "reads from the beginning")
	left, err := s.service.Watermarks(s.admin, s.pipeline.ID)
	if s.must(err); len(left) >= len(marks) && left[0].Value == marks[0].Value {
		t.Errorf("the watermark stays: %+v", left)
	}

	_, text = s.post(editor, "/pipelines/bulk", url.Values{"do": {"pause"}, "id": {s.pipeline.ID, s.failed.ID}, "back": {"/pipelines?status=paused"}})
	contains(t, "after pausing", text, "2 pipelines paused", "1–3 of 3")
	_, text = s.post(editor, "/pipelines/"+s.pipeline.ID+"/resume", nil)
	contains(t, "after resuming", text, "runs by its schedule again")
	status, text := s.post(editor, "/pipelines/"+s.pipeline.ID+"/backfill", url.Values{"backfill_from": {"last week"}})
	if contains(t, "a wrong date", text, "is no date"); status != http.StatusUnprocessableEntity {
		t.Errorf("a wrong date: %d", status)
	}

	status, text = s.post(editor, "/pipelines/new", url.Values{"name": {""}, "source_id": {s.source.ID}, "tables": {"customers"}, "target_schema": {"other"}, "load_mode": {"direct"}, "sync_mode": {"incremental"}})
	if contains(t, "a pipeline without a name", text, "is-invalid"); status != http.StatusUnprocessableEntity {
		t.Errorf("a pipeline without a name: %d", status)
	}
	_, text = s.post(editor, "/pipelines/new", url.Values{"name": {"one-table"}, "source_id": {s.source.ID}, "tables": {"customers"}, "target_schema": {"other"}, "load_mode": {"direct"}, "sync_mode": {"incremental"}})
	contains(t, "the new pipeline", text, "one-table", "1 table")

	p, err := s.service.Pipeline(s.admin, "one-table")
	s.must(err)
	_, text = s.post(editor, "/pipelines/"+p.ID+"/clone", url.Values{"name": {"one-table"}, "target_schema": {"third"}})
	contains(t, "a clone of the same name", text, "alert-danger")
	_, text = s.post(editor, "/pipelines/"+p.ID+"/clone", url.Values{"name": {"two-table"}, "target_schema": {"third"}})
	contains(t, "the clone", text, "two-table", "paused")
	_, text = s.post(editor, "/pipelines/"+p.ID+"/run", nil)
	contains(t, "the started run", text, "Run of one-table")
	s.idle()
	if n := s.runs(control.RunFilter{Pipeline: p.ID, Status: model.RunSuccess}); n != 1 {
		t.Errorf("%d runs succeeded", n)
	}
	if status, _ := s.post(editor, "/pipelines/"+p.ID+"/delete", url.Values{"confirm": {"two-table"}}); status != http.StatusUnprocessableEntity {
		t.Errorf("deleted without its name: %d", status)
	}
	_, text = s.post(editor, "/pipelines/"+p.ID+"/delete", url.Values{"confirm": {"one-table"}})
	contains(t, "after deleting", text, "one-table is deleted")
}

// idle waits until nothing runs.
func (s *site) idle() {
	s.t.Helper()
	events, _, err := s.service.Listen(s.admin, 0)
	s.must(err)
	limit := time.After(time.Minute)
	for len(s.service.Busy()) > 0 {
		select {
		case <-events:
		case <-time.After(50 * time.Millisecond): // the last event comes before the run is off the list
		case <-limit:
			s.t.Fatal("a run does not end")
		}
	}
}

func TestPipelineChanges(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill()
	viewer, editor := s.client(model.RoleViewer), s.client(model.RoleEditor)
	at := "/pipelines/" + s.pipeline.ID
	_, text := s.get(viewer, at+"/tables")
	contains(t, "the tables", text, "orders", "to analytics.orders", "incremental")
	lacks(t, "the tables for a viewer", text, "Change the tables")
	keys := []string{s.pipeline.Tables[0].Key(), s.pipeline.Tables[1].Key()}
	_, text = s.post(editor, at+"/tables", url.Values{"table": keys, "sync_mode": {"full_refresh"}, "enabled": {"false"}})
	contains(t, "after the change", text, "2 tables changed", "disabled", "full refresh")
	p, err := s.service.Pipeline(s.admin, s.pipeline.ID)
	s.must(err)
	for i, table := range p.Tables {
		if changed := i < 2; (table.SyncMode == model.ModeFullRefresh) != changed || table.Enabled == changed || table.TargetTable != s.pipeline.Tables[i].TargetTable {
			t.Errorf("table %d: %+v", i, table)
		}
	}
	if status, text := s.post(editor, at+"/tables", url.Values{"enabled": {"true"}}); status != http.StatusUnprocessableEntity || !strings.Contains(text, "No table is ticked") {
		t.Errorf("nothing ticked: %d", status)
	}
	if status, _ := s.post(viewer, at+"/tables", url.Values{"table": keys, "enabled": {"true"}}); status != http.StatusForbidden {
		t.Errorf("a viewer changes tables: %d", status)
	}

	form := settingValues(p)
	form.Set("schedule", "61 * * * *")
	status, text := s.post(editor, at+"/settings", form)
	if contains(t, "a wrong schedule", text, "is-invalid", "is not a number from 0 to 59"); status != http.StatusUnprocessableEntity {
		t.Errorf("a wrong schedule: %d", status)
	}
	form.Set("schedule", "30 3 * * *")
	form.Set("options.timezone", "Europe/Berlin")
	form.Set("options.policies.date", "fail")
	form.Set("depends_on", s.failed.ID)
	_, text = s.post(editor, at+"/settings", form)
	contains(t, "the settings", text, "The settings are saved", "every day at 03:30")
	if _, next, _ := strings.Cut(text, `id="next"`); strings.Count(next, "<li>") < 5 {
		n := strings.Count(next, "<li>")
		t.Errorf("%d next runs", n)
	}
	after, err := s.service.Pipeline(s.admin, s.pipeline.ID)
	s.must(err)
	if after.Schedule != "30 3 * * *" || after.Options.Timezone != "Europe/Berlin" || after.Options.Policies.Date != model.PolicyFail || after.DependsOn != s.failed.ID || len(after.Tables) != len(p.Tables) {
		t.Errorf("the pipeline: %+v", after)
	}
	_, text = s.get(viewer, at+"/settings?part=next&schedule=every+5m")
	contains(t, "the next runs", text, "every 5 minutes", "<li>")
}
