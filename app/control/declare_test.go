package control_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"arus/app/control"
	"arus/app/control/controltest"
	"arus/app/model"
	"arus/app/store"
	"arus/connectors"
)

// declared fills a service with one of everything.
func declared(t *testing.T, s *control.Service) {
	t.Helper()
	ctx := controltest.Admin(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.AddSource(ctx, control.SourceInput{
		Name: "Shop A", Connection: connectors.Config{
			Type: "postgresql", Host: "db.example", Port: 5432, Database: "shop", Username: "reader", Password: "s3cret-shop",
			Options: map[string]string{"sslmode": "verify-full", "application_name": "x: y"},
		}, Include: []string{"order*", "- odd"}, Exclude: []string{"*_temp"},
	})
	must(err)
	_, err = s.AddSource(ctx, control.SourceInput{
		Name: "shop-a", Connection: connectors.Config{Type: "mysql", Host: "db2", Port: 3306, Database: "shop", Username: "u", Password: "s3cret-two"}, SyncMethod: model.SyncFullRefresh,
	})
	must(err)
	_, err = s.AddDestination(ctx, control.DestinationInput{Name: "warehouse", Connection: connectors.Config{Type: "embedded"}, IsDefault: true})
	must(err)
	_, err = s.AddDestination(ctx, control.DestinationInput{Name: "dwh", Connection: connectors.Config{Type: "postgresql", Host: "dwh", Port: 5432, Database: "d", Username: "u", Password: "${env:DWH_PASSWORD}"}})
	must(err)
	steps := model.JSON(`[{"type":"map_values","comment":"a\u00e9\u2028<b>","config":{"column":"s","mapping":{"A":12345678901234567890,"B":1.0,"C":1e5,"true":"yes"},"default":null}},{"type":"remove_fields","config":{"fields":["x"]}}]`)
	mode, off := model.ModeFullRefresh, false
	retries := 0
	p, err := s.AddPipeline(ctx, control.PipelineInput{
		Name: "orders", Source: "Shop A", Schedule: "*/5 * * * *", MaxRetries: &retries,
		Choices: []control.TableChoice{{Name: "orders"}, {Schema: "sales", Name: "items", SyncMode: &mode, KeyColumns: &[]string{"a", "b"}}, {Name: "no", Enabled: &off}},
		Options: model.PipelineOptions{Parallel: 3, Timezone: "Europe/Berlin"},
	})
	must(err)
	_, err = s.AddPipeline(ctx, control.PipelineInput{Name: "after", Source: "shop-a", Destination: "dwh", DependsOn: "orders", Choices: []control.TableChoice{{Name: "customers"}}})
	must(err)
	for name, content := range map[string]string{
		"plain":   "def transform(rows):\n    # a comment\n\n    return rows\n",
		"odd":     "\tx = 1 \n\r\n  y: [1]\n\n\n",
		"no end":  "a: b\nc",
		"one":     "x = '#'",
		"unicode": "print('ü\u2028😀')\nx\n",
	} {
		_, err = s.AddScript(ctx, "orders", control.ScriptInput{Name: &name, Content: &content})
		must(err)
	}
	must(s.Store.UpdatePipeline(ctx, func() *model.Pipeline { p.Tables[0].TransformConfig = steps; return &p }()))
	telegram, name := model.TargetTelegram, "ops"
	target, err := s.AddTarget(ctx, control.TargetInput{Name: &name, Type: &telegram, Config: map[string]string{"bot_token": "s3cret-bot", "chat_id": "-100"}})
	must(err)
	_, err = s.AddLink(ctx, p.ID, target.ID, []model.NotifyEvent{model.EventFailure, model.EventRecovery})
	must(err)
	_, err = s.AddUser(ctx, control.UserInput{Email: "ann@example.com", Name: "Ann", Role: model.RoleAdmin, Password: "s3cret correct horse"})
	must(err)
	must(s.ChangeSettings(ctx, map[string]string{"max_retries": "5", "schedule_paused": "true"}, nil))
}

func exported(t *testing.T, s *control.Service) string {
	t.Helper()
	d, err := s.Export(controltest.Admin(t))
	if err != nil {
		t.Fatal(err)
	}
	text, err := d.YAML()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func read(t *testing.T, text string) control.DeclarationFile {
	t.Helper()
	f, err := control.ReadDeclaration(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return f
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// TestExportApplyRoundTrip: an export applied to an empty directory gives the
// same export, byte by byte; applied where it came from, it changes nothing.
func TestExportApplyRoundTrip(t *testing.T) {
	t.Parallel()
	ctx := controltest.Admin(t)
	first := controltest.Open(t, t.TempDir(), time.Now, quiet())
	declared(t, first)
	text := exported(t, first)
	if strings.Contains(text, "s3cret") {
		t.Errorf("the export holds a secret:\n%s", text)
	}
	for _, want := range []string{
		"${env:ARUS_SOURCE_SHOP_A_PASSWORD}", "${env:ARUS_SOURCE_SHOP_A_PASSWORD_2}", "${env:DWH_PASSWORD}", "${env:ARUS_TARGET_OPS_BOT_TOKEN}",
		"    content: |\n", "12345678901234567890", "B: 1.0", "depends_on: orders",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the export lacks %q:\n%s", want, text)
		}
	}
	plan, err := first.PlanDeclaration(ctx, read(t, text), true)
	if err != nil || len(plan.Changes) > 0 {
		t.Errorf("a plan of what there is: %+v, %v", plan.Changes, err)
	}

	second := controltest.Open(t, t.TempDir(), time.Now, quiet())
	plan, err = second.ApplyDeclaration(ctx, read(t, text), false)
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Changes) != 10 || len(plan.Unset) != 4 {
		t.Errorf("%d changes, want 10; %d references without anything behind them, want 4: %v", len(plan.Changes), len(plan.Unset), plan)
	}
	if again := exported(t, second); again != text {
		t.Errorf("the second export differs:\n%s\n-----\n%s", text, again)
	}
	// The first one still has its secrets.
	if _, err := first.ApplyDeclaration(ctx, read(t, text), false); err != nil {
		t.Fatal(err)
	}
	src, err := first.Store.FindSource(ctx, "shop-a")
	if err != nil {
		t.Fatal(err)
	}
	if password, err := first.Ring.Open(src.PasswordEnc); err != nil || password != "s3cret-two" {
		t.Errorf("the password of shop-a is %q, %v", password, err)
	}
}

// TestABadPipelineChangesNothing: of a file with faults nothing is applied, and
// all faults are said with their places.
func TestABadPipelineChangesNothing(t *testing.T) {
	t.Parallel()
	ctx := controltest.Admin(t)
	s := controltest.Open(t, t.TempDir(), time.Now, quiet())
	declared(t, s)
	before := exported(t, s)
	bad := strings.Replace(before, `schedule: "*/5 * * * *"`, "schedule: every blue moon", 1)
	bad = strings.Replace(bad, "host: db2", "host: db9\n    password: clear", 1)
	bad = strings.Replace(bad, `    password: "${env:ARUS_SOURCE_SHOP_A_PASSWORD_2}"`+"\n", "", 1)
	bad = strings.Replace(bad, "destination: dwh", "destination: nowhere", 1)
	bad = strings.Replace(bad, `max_retries: "5"`, "max_retries: 99", 1)
	_, err := s.ApplyDeclaration(ctx, read(t, bad), false)
	invalid, ok := errors.AsType[*control.InvalidError](err)
	if !ok {
		t.Fatalf("apply = %v", err)
	}
	for _, want := range []string{"pipelines[1].schedule", "sources[1].password", "pipelines[0].destination", "settings.max_retries", "line "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s: %v", want, invalid.Faults)
		}
	}
	if after := exported(t, s); after != before {
		t.Errorf("something changed:\n%s", after)
	}
	// One bad pipeline alone, beside a change that is good: nothing of that either, and no word of it in the audit log.
	_, lines, err := s.Store.ListAudit(ctx, store.AuditFilter{})
	if err != nil {
		t.Fatal(err)
	}
	one := strings.Replace(strings.Replace(before, `max_retries: "5"`, `max_retries: "6"`, 1), "destination: dwh", "destination: nowhere", 1)
	if _, err := s.ApplyDeclaration(ctx, read(t, one), false); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("apply = %v", err)
	}
	if after := exported(t, s); after != before {
		t.Errorf("something changed beside a bad pipeline:\n%s", after)
	}
	if _, now, err := s.Store.ListAudit(ctx, store.AuditFilter{}); err != nil || now != lines {
		t.Errorf("%d lines in the audit log, %d before, %v", now, lines, err)
	}
	if good, err := s.ApplyDeclaration(ctx, read(t, strings.Replace(before, `max_retries: "5"`, `max_retries: "6"`, 1)), false); err != nil || len(good.Changes) != 1 {
		t.Errorf("the same without it: %+v, %v", good.Changes, err)
	}
	for text, want := range map[string]string{
		"version: 2":             "version",
		"version: 1\nversion: 1": "already defined",
		"version: 1\nsources:\n  - name: x\n    colour: red\n    type: dbase": "sources[0].colour",
		"version: 1\npipelines: 5": "must be a list",
		"[":                        "no YAML",
		"":                         "one document",
	} {
		if _, err := control.ReadDeclaration(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q = %v, want %s", text, err, want)
		}
	}
}

// TestPruneRemovesWhatIsNotNamed, and without it nothing goes.
func TestPruneRemovesWhatIsNotNamed(t *testing.T) {
	t.Parallel()
	ctx := controltest.Admin(t)
	s := controltest.Open(t, t.TempDir(), time.Now, quiet())
	declared(t, s)
	d, err := s.Export(ctx)
	if err != nil {
		t.Fatal(err)
	}
	d.Pipelines, d.Sources = d.Pipelines[1:], d.Sources[:1]
	d.Pipelines[0].Scripts, d.Pipelines[0].Tables, d.Users = nil, d.Pipelines[0].Tables[1:], nil
	text, err := d.YAML()
	if err != nil {
		t.Fatal(err)
	}
	f := read(t, string(text))
	plan, err := s.ApplyDeclaration(ctx, f, false)
	if err != nil || len(plan.Changes) != 1 || plan.Changes[0].Action != control.ConfigUpdate {
		t.Errorf("without prune: %v, %v", plan.Changes, err)
	}
	if plan, err = s.PlanDeclaration(ctx, f, true); err != nil || len(plan.Changes) != 3 {
		t.Errorf("plan with prune: %v, %v", plan.Changes, err)
	}
	if plan, err = s.ApplyDeclaration(ctx, f, true); err != nil || len(plan.Changes) != 3 {
		t.Errorf("with prune: %v, %v", plan.Changes, err)
	}
	now, err := s.Export(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(now.Users) != 1 || len(now.Sources) != 1 || len(now.Pipelines) != 1 || len(now.Pipelines[0].Scripts) != 0 {
		t.Errorf("left: %+v", now)
	}
}

// TestAPasswordStaysWithItsServer: whoever moves a source in a file does not
// get its password sent there.
func TestAPasswordStaysWithItsServer(t *testing.T) {
	t.Parallel()
	ctx := controltest.Admin(t)
	s := controltest.Open(t, t.TempDir(), time.Now, quiet())
	declared(t, s)
	text := strings.Replace(exported(t, s), "host: db.example", "host: evil.example", 1)
	if _, err := s.ApplyDeclaration(ctx, read(t, text), false); err != nil {
		t.Fatal(err)
	}
	src, err := s.Store.FindSource(ctx, "Shop A")
	if err != nil {
		t.Fatal(err)
	}
	if password, err := s.Ring.Open(src.PasswordEnc); err != nil || password != "${env:ARUS_SOURCE_SHOP_A_PASSWORD}" {
		t.Errorf("the password is %q, %v", password, err)
	}
}

func TestDeclarationSchemaIsJSON(t *testing.T) {
	t.Parallel()
	text, err := control.DeclarationSchema()
	if err != nil || !json.Valid(text) || !bytes.Contains(text, []byte(`"full_refresh"`)) {
		t.Errorf("the schema is %s, %v", text, err)
	}
}

func FuzzDeclarationYAML(f *testing.F) {
	for _, s := range []string{"a\nb", " a\n", "\ta\nb\n", "a\n\n", "#\n: -\n", "- x\n---\n...\nz", "yes", "1e5", "0x1f", "a: b", "é\r\n", "|\n>\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ToValidUTF8(text, "?")
		d := control.Declaration{Version: 1, Pipelines: []control.DeclaredPipeline{{
			Name: text, Tables: []control.DeclaredTable{{SourceTable: text}}, Scripts: []control.DeclaredScript{{Name: "x", Content: text}, {Name: "y", Content: "z"}},
		}}}
		out, err := d.YAML()
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		back, err := control.ReadDeclaration(bytes.NewReader(out))
		if err != nil || back.Pipelines[0].Scripts[0].Content != text || back.Pipelines[0].Name != text {
			t.Fatalf("%q came back as %+v, %v\n%s", text, back.Declaration, err, out)
		}
	})
}
