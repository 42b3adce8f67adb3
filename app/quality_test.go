package app

import (
	"encoding/json"
	"testing"

	"arus/app/model"
)

func TestQualityOnRealServers(t *testing.T) {
	t.Parallel()
	eachShop(t, func(t *testing.T, s *shop) {
		s.edit(t, "--checksum")
		s.from.exec(t, "UPDATE orders SET n = 11, updated_at = '2026-03-02 00:00:00' WHERE id < 3")
		run := s.run(t)
		var list struct{ Checks []model.QualityCheck }
		if err := json.Unmarshal([]byte(mustArus(t, s.dir, "quality", "list", s.pipeline, "--json")), &list); err != nil {
			t.Fatal(err)
		}
		found := map[string]model.QualityCheck{}
		for _, q := range list.Checks {
			if q.RunID == run.RunID {
				found[string(q.Type)] = q
			} else if q.Type == model.CheckRowCount && q.RowsLoaded != 5 {
				t.Errorf("the first load is counted as %+v", q)
			}
			if q.Status != model.CheckPassed {
				t.Errorf("check %+v", q)
			}
		}
		if len(list.Checks) != 5 || found["row_count"].RowsLoaded != 2 || found["null_check"].RequiredColumns != "id" || found["checksum"].RowsLoaded < 2 {
			t.Errorf("%d checks, of the second run %+v", len(list.Checks), found)
		}
	})
}
