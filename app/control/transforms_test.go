package control

import (
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"arus/app/model"
	"arus/app/script"
	"arus/connectors"
)

// shop makes a SQLite file with orders and a pipeline of them into the built-in
// warehouse.
func (b *bundle) shop(t *testing.T) model.Pipeline {
	t.Helper()
	dir := t.TempDir()
	db, err := sql.Open("sqlite", filepath.Join(dir, "shop.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		"CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, price DECIMAL(10,2), updated_at TIMESTAMP)",
		"INSERT INTO orders VALUES (1, ' Ann ', 10.50, '2026-01-01 00:00:00'), (2, 'Bob', 0, '2026-01-02 00:00:00'), (3, NULL, NULL, '2026-01-03 00:00:00')",
	} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	cfg, err := b.Registry.ParseURL("sqlite://" + filepath.ToSlash(filepath.Join(dir, "shop.db")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.AddDestination(b.admin, DestinationInput{Name: "out", Connection: connectors.Config{Type: "embedded"}, IsDefault: true}); err != nil {
		t.Fatal(err)
	}
	src, err := b.AddSource(b.admin, SourceInput{Name: "shop", Connection: cfg})
	if err != nil {
		t.Fatal(err)
	}
	p, err := b.AddPipeline(b.admin, PipelineInput{Name: "p", Source: src.ID})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (b *bundle) setSteps(p model.Pipeline, steps string) error {
	raw := model.JSON(steps)
	_, err := b.UpdatePipeline(b.admin, p.ID, PipelineUpdate{Choices: &[]TableChoice{{Name: "orders", Transform: &raw}}})
	return err
}

// TestTransformsAreCheckedWhenTheyAreSaved: against their own form, and against
// the columns that the source has.
func TestTransformsAreCheckedWhenTheyAreSaved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.shop(t)
	for steps, want := range map[string]string{
		`[{"type":"filtre"}]`:                                    "tables[0].transform_config[0].type: \"filtre\" is not one of",
		`[{"type":"filter","config":{"condition":"a >"}}]`:       "tables[0].transform_config[0].config.condition: at column 4: a value is expected here",
		`[{"type":"filter","config":{"condition":"prize > 1"}}]`: "tables[0].transform_config[0].config.condition: at column 1: there is no column named prize here; did you mean price?",
		`[{"type":"trim","config":{"columns":["customer"]}},{"type":"lower","config":{"columns":["id"]}}]`: "tables[0].transform_config[1].config.columns: column id is int64, not text",
		`[{"type":"remove_fields","config":{"fields":["id"]}}]`:                                            "tables[0].transform_config[0]: remove_fields loses the key column id",
		`[{"type":"remove_fields","config":{"fields":["updated_at"]}}]`:                                    "tables[0].transform_config[0]: remove_fields loses the watermark column updated_at",
	} {
		err := b.setSteps(p, steps)
		if _, ok := errors.AsType[*InvalidError](err); !ok || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v", steps, err)
		}
	}
	if err := b.setSteps(p, `[{"type":"rename","config":{"mapping":{"id":"order_id"}}},{"type":"script","config":{"script_name":"later"}}]`); err != nil {
		t.Error(err)
	}
}

// TestPreviewShowsEveryStep reads real rows and writes nothing.
func TestPreviewShowsEveryStep(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.shop(t)
	steps := model.JSON(`[{"type":"trim","config":{"columns":["customer"]}},{"type":"compute","config":{"expression":"per_euro = 100 / price"}},{"type":"filter","config":{"condition":"customer is not None"}}]`)
	view, err := b.PreviewTransforms(b.admin, PreviewRequest{Pipeline: "p", Table: "orders", Steps: steps})
	if err != nil {
		t.Fatal(err)
	}
	if len(view.Rows) != 3 || len(view.Steps) != 3 || len(view.Steps[1].Failed) != 1 || view.Steps[1].Failed[0].Reason != "division by zero" || len(view.Steps[2].Dropped) != 1 || len(view.Steps[2].Rows) != 1 {
		t.Errorf("%+v", view)
	}
	if got := string(view.Steps[2].Rows[0].Data); !strings.Contains(got, `"customer":"Ann"`) {
		t.Errorf("the row is %s", got)
	}
	for steps, want := range map[string]string{`[{"type":"filter","config":{"condition":"prize"}}]`: "did you mean price?", `[{"type":"script","config":{"script_name":"x"}}]`: "scripts are not available here"} {
		if _, err := b.PreviewTransforms(b.admin, PreviewRequest{Pipeline: p.ID, Table: "orders", Steps: model.JSON(steps)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", steps, err)
		}
	}
}

// TestAScriptRunsInAPipeline takes a stored script into a run, and its rows into
// the target.
func TestAScriptRunsInAPipeline(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.Python = script.New(t.TempDir(), script.Limits{}, script.Open)
	if _, err := b.Python.Describe(t.Context()); err != nil {
		t.Skip("no Python here: ", err)
	}
	p := b.shop(t)
	name, content := "double", "def transform(row):\n    if row['id'] == 2: return None\n    print('row', row['id'])\n    row['twice'] = row['id'] * 2\n    return row\n"
	if _, err := b.AddScript(b.admin, p.ID, ScriptInput{Name: &name, Content: &content}); err != nil {
		t.Fatal(err)
	}
	if err := b.setSteps(p, `[{"type":"script","config":{"script_name":"double"}},{"type":"rename","config":{"mapping":{"twice":"double_id"}}}]`); err != nil {
		t.Fatal(err)
	}
	r, err := b.Run(b.admin, RunRequest{Pipeline: p.ID, Trigger: model.TriggerManual})
	if err != nil || r.Status != model.RunSuccess || r.RowsRead != 3 || r.RowsLoaded != 2 || r.RowsFiltered != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	logs, err := b.RunLogs(b.admin, r.RunID, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, l := range logs {
		text += l.Message + "\n"
	}
	if !strings.Contains(text, "row 1") || !strings.Contains(text, "transformed in 2 steps") {
		t.Errorf("the log is\n%s", text)
	}
}
