package control

import (
	"context"
	"strings"
	"testing"

	"arus/app/auth"
	"arus/app/model"
)

// again is the service after a stop or a crash: another one on the same state.
func (b *bundle) again(t *testing.T) *Service {
	t.Helper()
	s := New(b.Parts)
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := s.Rescue(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestAQueuedRunOutlivesTheProgram stops the program, and then lets it vanish, while runs wait.
func TestAQueuedRunOutlivesTheProgram(t *testing.T) {
	t.Parallel()
	for _, stopped := range []bool{true, false} {
		b := setup(t)
		user := b.user(t, "ann@example.com", model.RoleEditor)
		list, h := b.pipelines(t, 5, false)
		if err := b.ChangeSettings(b.admin, map[string]string{"max_concurrent_runs": "1"}, nil); err != nil {
			t.Fatal(err)
		}
		first := b.startRun(t, list[0])
		<-h.opened
		ann := auth.WithActor(t.Context(), auth.Actor{Kind: auth.ActorUser, ID: user.ID, Role: model.RoleEditor})
		waiting, err := b.StartRun(ann, RunRequest{Pipeline: list[1].ID, FullRefresh: true})
		if err != nil || waiting.Status != model.RunQueued {
			t.Fatalf("%v %v", waiting.Status, err)
		}
		cancelled, inactive, gone := b.startRun(t, list[2]), b.startRun(t, list[3]), b.startRun(t, list[4])
		if err := b.CancelRun(b.admin, cancelled.RunID); err != nil {
			t.Fatal(err)
		}
		if kept, err := b.Store.Enqueued(t.Context()); err != nil || len(kept) != 3 || kept[0].RunID != waiting.RunID {
			t.Fatalf("%+v %v", kept, err)
		}
		if stopped {
			if err := b.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := end(t, waiting); err == nil || !strings.Contains(err.Error(), "stopping") {
				t.Errorf("whoever waited for it is told %v", err)
			}
		} else { // what its process holds in memory is gone; its run goes on no longer
			if err := b.CancelRun(b.admin, first.RunID); err != nil {
				t.Fatal(err)
			}
			b.runs.mu.Lock()
			b.runs.stopping, b.runs.waiting = true, nil
			b.runs.mu.Unlock()
			if _, err := end(t, first); err != nil {
				t.Fatal(err)
			}
		}
		close(h.let)
		if err := b.Store.SetPipelineStatus(t.Context(), list[3].ID, model.PipelineInactive); err != nil {
			t.Fatal(err)
		}
		if err := b.Store.DeletePipeline(t.Context(), list[4].ID); err != nil {
			t.Fatal(err)
		}
		s := b.again(t)
		if err := s.ResumeQueue(b.admin); err != nil {
			t.Fatal(err)
		}
		x, _ := s.runs.find(t.Context(), waiting.RunID)
		if x != nil { // it may be over already
			<-x.done
		}
		run, err := s.GetRun(b.admin, waiting.RunID)
		if err != nil || run.Status != model.RunSuccess || run.Trigger != model.TriggerFullRefresh || run.UserID != user.ID {
			t.Errorf("the run that waited: %+v %v", run, err)
		}
		if run, err := s.GetRun(b.admin, inactive.RunID); err != nil || run.Status != model.RunSkipped || !strings.Contains(run.ErrorMessage, "inactive") {
			t.Errorf("the run of a pipeline that is inactive now: %+v %v", run, err)
		}
		for _, id := range []string{cancelled.RunID, gone.RunID} {
			if _, err := s.GetRun(b.admin, id); !IsNotFound(err) {
				t.Errorf("a run that was cancelled, or whose pipeline is gone: %v", err)
			}
		}
		if kept, err := s.Store.Enqueued(t.Context()); err != nil || len(kept) != 0 {
			t.Errorf("%+v %v", kept, err)
		}
	}
}
