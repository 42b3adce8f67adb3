package control

import (
	"database/sql"
	"slices"
	"strings"
	"testing"
	"time"

	"arus/app/model"
)

func (b *bundle) settings(t *testing.T, values map[string]string) {
	t.Helper()
	if err := b.ChangeSettings(b.admin, values, nil); err != nil {
		t.Fatal(err)
	}
}

// file opens the file of the source that shop makes.
func (b *bundle) file(t *testing.T) *sql.DB {
	t.Helper()
	src, err := b.Source(b.admin, "shop")
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", src.Database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestSettingsOfNewPipelines(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.shop(t)
	if err := b.DeletePipeline(b.admin, p.ID); err != nil {
		t.Fatal(err)
	}
	b.settings(t, map[string]string{"pipeline_name_prefix": "etl ", "default_schedule": "every 15m", "max_retries": "7", "timezone": "Europe/Berlin"})
	made, _, err := b.ChooseTables(b.admin, p.SourceID, []TableChoice{{Name: "orders"}})
	if err != nil || !strings.HasPrefix(made.Name, "etl ") || made.Schedule != "every 15m" || made.MaxRetries != 7 {
		t.Errorf("%+v %v", made, err)
	}
	list, _, err := b.ListSchedules(b.admin)
	if err != nil || len(list) != 1 || list[0].Timezone != "Europe/Berlin" {
		t.Errorf("%+v %v", list, err)
	}
	b.settings(t, map[string]string{"schedule_paused": "true"})
	if list, err := b.ScheduledPipelines(b.admin); err != nil || len(list) != 0 {
		t.Errorf("paused: %+v %v", list, err)
	}
}

func TestSettingsOfRuns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.shop(t)
	b.settings(t, map[string]string{
		"initial_backoff": "45s", "quality_check_threshold": "12.5", "batch_size": "1000", "batch_bytes": "131072", "auto_alter_schema": "true",
	})
	job, err := b.job(b.admin, RunRequest{Pipeline: p.ID})
	if err != nil {
		t.Fatal(err)
	}
	if job.Backoff != 45*time.Second || job.Threshold != 12.5 || job.Limits.Rows != 1000 || job.Limits.Bytes != 131072 || job.Drift != model.DriftEvolve {
		t.Errorf("%v %v %+v %v", job.Backoff, job.Threshold, job.Limits, job.Drift)
	}
	b.settings(t, map[string]string{"initial_backoff": "0", "auto_alter_schema": "false"})
	if job, err = b.job(b.admin, RunRequest{Pipeline: p.ID}); err != nil || job.Backoff > time.Millisecond || job.Drift == model.DriftEvolve {
		t.Errorf("%v %v %v", job.Backoff, job.Drift, err)
	}
}

func TestNewColumnsAreAddedWhereTheSettingSaysSo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.shop(t)
	db := b.file(t)
	run := func() {
		t.Helper()
		if r, err := b.Run(b.admin, RunRequest{Pipeline: p.ID}); err != nil || r.Status != model.RunSuccess {
			t.Fatalf("%+v %v", r, err)
		}
		b.at = b.at.Add(time.Minute)
	}
	has := func() bool {
		t.Helper()
		rows, err := b.QueryWarehouse(b.admin, "SELECT * FROM orders", 1)
		if err != nil {
			t.Fatal(err)
		}
		return slices.Contains(rows.Columns, "note")
	}
	run()
	if _, err := db.Exec("ALTER TABLE orders ADD COLUMN note TEXT"); err != nil {
		t.Fatal(err)
	}
	if run(); has() {
		t.Error("a column was added though the setting is off")
	}
	b.settings(t, map[string]string{"auto_alter_schema": "true"})
	if run(); !has() {
		t.Error("a column was not added though the setting is on")
	}
}

func TestNoticingSchemaChangesCanBeSwitchedOff(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.shop(t)
	db := b.file(t)
	recorded := func() int {
		t.Helper()
		if r, err := b.Run(b.admin, RunRequest{Pipeline: p.ID}); err != nil || r.Status != model.RunSuccess {
			t.Fatalf("%+v %v", r, err)
		}
		b.at = b.at.Add(time.Minute)
		_, n, err := b.ListSchemaChanges(b.admin, ChangeFilter{Pipeline: p.ID})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	recorded()
	b.settings(t, map[string]string{"schema_drift_detection": "false"})
	if _, err := db.Exec("ALTER TABLE orders ADD COLUMN note TEXT"); err != nil {
		t.Fatal(err)
	}
	if n := recorded(); n != 0 {
		t.Errorf("%d changes were recorded though the setting is off", n)
	}
	b.settings(t, map[string]string{"schema_drift_detection": "true"})
	if n := recorded(); n != 1 {
		t.Errorf("%d changes were recorded though the setting is on", n)
	}
	b.settings(t, map[string]string{"schema_drift_detection": "false"})
	if _, err := db.Exec("ALTER TABLE orders ADD COLUMN colour TEXT"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.UpdatePipeline(b.admin, p.ID, PipelineUpdate{Options: &model.PipelineOptions{Drift: model.DriftEvolve}}); err != nil {
		t.Fatal(err)
	}
	if n := recorded(); n != 2 {
		t.Errorf("a pipeline that evolves recorded %d changes", n)
	}
}

func TestNewTablesAreTakenInWhereThePipelineFollowsThem(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.shop(t)
	db := b.file(t)
	run := func() []string {
		t.Helper()
		r, err := b.Run(b.admin, RunRequest{Pipeline: p.ID, Trigger: model.TriggerScheduled})
		if err != nil || r.Status != model.RunSuccess {
			t.Fatalf("%+v %v", r, err)
		}
		b.at = b.at.Add(time.Minute)
		tables := []string{}
		for _, table := range r.Tables {
			tables = append(tables, table.Table)
		}
		slices.Sort(tables)
		return tables
	}
	create := func(name string) {
		t.Helper()
		if _, err := db.Exec("CREATE TABLE " + name + " (id INTEGER PRIMARY KEY); INSERT INTO " + name + " VALUES (1)"); err != nil {
			t.Fatal(err)
		}
	}
	create("customers")
	if got := run(); !slices.Equal(got, []string{"orders"}) {
		t.Errorf("a pipeline that does not follow new tables copied %v", got)
	}
	if _, err := b.UpdatePipeline(b.admin, p.ID, PipelineUpdate{Options: &model.PipelineOptions{FollowTables: true}}); err != nil {
		t.Fatal(err)
	}
	b.settings(t, map[string]string{"auto_discover_tables": "false"})
	if got := run(); !slices.Equal(got, []string{"orders"}) {
		t.Errorf("with the setting off, the run copied %v", got)
	}
	b.settings(t, map[string]string{"auto_discover_tables": "true"})
	if got := run(); !slices.Equal(got, []string{"customers", "orders"}) {
		t.Errorf("with the setting on, the run copied %v", got)
	}
	// A table that somebody switched off stays so, and what the source's filter leaves out is left out.
	choices := []TableChoice{{Name: "orders"}, {Name: "customers", Enabled: new(false)}}
	if _, err := b.UpdatePipeline(b.admin, p.ID, PipelineUpdate{Choices: &choices}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.UpdateSource(b.admin, "shop", SourceUpdate{Exclude: &[]string{"temp_*"}}); err != nil {
		t.Fatal(err)
	}
	create("temp_x")
	if got := run(); !slices.Equal(got, []string{"orders"}) {
		t.Errorf("the run copied %v", got)
	}
}

// letters runs a pipeline one of whose rows becomes a dead letter.
func (b *bundle) letters(t *testing.T) model.Pipeline {
	t.Helper()
	p := b.shop(t)
	if err := b.setSteps(p, `[{"type":"type_cast","config":{"columns":{"customer":"int"}}}]`); err != nil {
		t.Fatal(err)
	}
	r, err := b.Run(b.admin, RunRequest{Pipeline: p.ID})
	if err != nil || r.DeadLetters == 0 {
		t.Fatalf("no dead letter: %+v %v", r, err)
	}
	return p
}

func TestDeadLettersAreKeptAsLongAsTheSettingSays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.letters(t)
	count := func() int {
		t.Helper()
		_, n, err := b.ListLetters(b.admin, LetterFilter{Pipeline: p.ID})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	had := count()
	b.settings(t, map[string]string{"retention_dead_letters_days": "0", "retention_runs_days": "0"})
	began := b.at
	b.at = b.at.AddDate(10, 0, 0)
	if n, err := b.Retain(b.admin); err != nil || n.Letters != 0 || count() != had {
		t.Errorf("kept for ever: %+v %v", n, err)
	}
	b.at = began
	// The run that says that there are letters outlives the other runs until they are gone, also while their destination is
	// not there.
	b.settings(t, map[string]string{"retention_dead_letters_days": "200", "retention_runs_days": "10"})
	if _, err := b.Run(b.admin, RunRequest{Pipeline: p.ID, Tables: []string{"orders"}}); err != nil {
		t.Fatal(err)
	}
	b.at = b.at.AddDate(0, 0, 100)
	if n, err := b.Retain(b.admin); err != nil || n.Letters != 0 || count() != had {
		t.Errorf("%+v %v: %d letters of %d", n, err, count(), had)
	}
	b.at = b.at.AddDate(0, 0, 150)
	conn := b.Registry["embedded"]
	open := conn.OpenSource
	conn.OpenSource = nil
	b.Registry["embedded"] = conn
	if n, err := b.Retain(b.admin); err != nil || n.Letters != 0 {
		t.Errorf("with the destination away: %+v %v", n, err)
	}
	conn.OpenSource = open
	b.Registry["embedded"] = conn
	if n, err := b.Retain(b.admin); err != nil || n.Letters != int64(had) || count() != 0 {
		t.Errorf("%+v %v: %d letters of %d", n, err, count(), had)
	}
}

func TestASessionLastsAsLongAsTheSettingSays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user(t, "ann@example.com", model.RoleViewer)
	b.settings(t, map[string]string{"session_life": "2h"})
	token, session, err := b.SignIn(t.Context(), Credentials{Email: "ann@example.com", Password: password})
	if err != nil || !session.ExpiresAt.Equal(b.at.Add(2*time.Hour)) {
		t.Fatalf("%v %v", session.ExpiresAt, err)
	}
	b.at = b.at.Add(2*time.Hour - time.Second)
	if _, err := b.AuthenticateSession(t.Context(), token, "1"); err != nil {
		t.Errorf("a second before its end: %v", err)
	}
	b.at = b.at.Add(time.Second)
	if _, err := b.AuthenticateSession(t.Context(), token, "1"); err == nil {
		t.Error("at its end it is still there")
	}
}

// TestUsesAreWrittenTogether: of many requests one write, and what is shown is up to date.
func TestUsesAreWrittenTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	token, _, err := b.AddToken(b.admin, TokenInput{Name: "script"})
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if _, err := b.AuthenticateBearer(t.Context(), token, "10.0.0.7"); err != nil {
			t.Fatal(err)
		}
	}
	if stored, err := b.Store.FindToken(t.Context(), "script"); err != nil || !stored.LastUsedAt.IsZero() {
		t.Errorf("a use was written at once: %v %v", stored.LastUsedAt, err)
	}
	list, _, err := b.ListTokens(b.admin, Page{})
	if err != nil || !list[0].LastUsedAt.Equal(b.at) || list[0].LastUsedFrom != "10.0.0.7" {
		t.Errorf("%+v %v", list, err)
	}
	b.at = b.at.Add(2 * time.Minute)
	if _, err := b.AuthenticateBearer(t.Context(), token, "10.0.0.8"); err != nil {
		t.Fatal(err)
	}
	b.at = b.at.Add(saveTouchesEvery)
	if _, err := b.AuthenticateBearer(t.Context(), token, "10.0.0.8"); err != nil {
		t.Fatal(err)
	}
	if stored, err := b.Store.FindToken(t.Context(), "script"); err != nil || stored.LastUsedFrom != "10.0.0.8" {
		t.Errorf("uses are never written by themselves: %+v %v", stored, err)
	}
}
