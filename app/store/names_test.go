package store

import (
	"slices"
	"testing"

	"arus/app/model"
)

// TestPipelinesAlikeAreFoundByTheNamesOfTheirTables saves pipelines and asks which others could fill the same tables: the
// answer names those alone, so that saving one does not look at all of them.
func TestPipelinesAlikeAreFoundByTheNamesOfTheirTables(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	add := func(name string, tables ...model.PipelineTable) model.Pipeline {
		p := addPipeline(t, s, name)
		p.Tables = tables
		if err := s.UpdatePipeline(t.Context(), &p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	table := func(schema, name, target string, load model.LoadMode) model.PipelineTable {
		pt := model.NewPipelineTable(schema, name)
		pt.TargetTable, pt.LoadMode = target, load
		return pt
	}
	plain := add("plain", table(model.UnsetSchema, "Orders", "", model.LoadDirect))
	odd := add("odd", table(model.UnsetSchema, "x", "orders", model.LoadDirect))
	long := add("long", table("sales", "a_very_long_name_of_a_table", "", model.LoadDirect))
	raw := add("raw", table(model.UnsetSchema, "events", "", model.LoadRaw))
	alike := func(p model.Pipeline, names ...string) []string {
		t.Helper()
		list, err := s.Alike(t.Context(), p.DestinationID, p.ID, names)
		if err != nil {
			t.Fatal(err)
		}
		found := []string{}
		for _, q := range list {
			if len(q.Tables) == 0 {
				t.Errorf("%s comes without its tables", q.Name)
			}
			found = append(found, q.Name)
		}
		return found
	}
	src, err := s.GetSource(t.Context(), raw.SourceID)
	if err != nil {
		t.Fatal(err)
	}
	check := func(got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, append([]string{}, want...)) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	other := model.Pipeline{DestinationID: plain.DestinationID}
	if odd.DestinationID == plain.DestinationID {
		check(alike(other, "orders"), "odd", "plain")
		check(alike(plain, "orders"), "odd")
	} else {
		check(alike(other, "orders"), "plain")
	}
	check(alike(model.Pipeline{DestinationID: long.DestinationID}, "sales_a_very_long_name_of_a_table"), "long")
	check(alike(model.Pipeline{DestinationID: raw.DestinationID}, model.Slug(src.Name)+"_events_raw"), "raw")
	check(alike(other, "nothing"))
	src.Name = "another name"
	if err := s.UpdateSource(t.Context(), &src); err != nil {
		t.Fatal(err)
	}
	check(alike(model.Pipeline{DestinationID: raw.DestinationID}, "another_name_events_raw"), "raw")
	// A table of an earlier version has no key, so it could be any.
	if _, err := s.writer.ExecContext(t.Context(), `UPDATE arus_config_pipeline_tables SET target_key = NULL WHERE pipeline_id = ?`, long.ID); err != nil {
		t.Fatal(err)
	}
	check(alike(model.Pipeline{DestinationID: long.DestinationID}, "nothing"), "long")
}
