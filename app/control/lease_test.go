package control

import (
	"testing"

	"arus/app/model"
)

// TestARunWhoseEndWasNotRecordedHoldsNoLease leaves a run recorded as running that nobody runs, as when the state file's
// disk was full at its end: the next run of its pipeline records it as failed and goes on.
func TestARunWhoseEndWasNotRecordedHoldsNoLease(t *testing.T) {
	t.Parallel()
	b := setup(t)
	list, h := b.pipelines(t, 2, false)
	close(h.let)
	var lost []model.Run
	for _, p := range list {
		run := model.Run{PipelineID: p.ID, Status: model.RunRunning, Trigger: model.TriggerManual}
		if err := b.Store.StartRun(t.Context(), &run); err != nil {
			t.Fatal(err)
		}
		lost = append(lost, run)
	}
	report, err := b.Run(b.admin, RunRequest{Pipeline: list[0].ID})
	if err != nil || report.Status != model.RunSuccess {
		t.Fatalf("the next run is %s: %v", report.Status, err)
	}
	for i, want := range []model.RunStatus{model.RunFailed, model.RunRunning} {
		if run, err := b.Store.GetRun(t.Context(), lost[i].ID); err != nil || run.Status != want {
			t.Errorf("the run of pipeline %d is %s, want %s: %v", i, run.Status, want, err)
		}
	}
}
