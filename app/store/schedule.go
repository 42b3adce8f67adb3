package store

import (
	"context"

	"arus/app/model"
)

const scheduleColumns = `pipeline_id, spec, next_at, last_at, pending_at, since`

func scanSchedule(row scanner) (model.ScheduleState, error) {
	var st model.ScheduleState
	err := row.Scan(&st.PipelineID, &st.Spec, timeScanner{&st.NextAt}, timeScanner{&st.LastAt}, timeScanner{&st.PendingAt}, timeScanner{&st.Since})
	return st, err
}

// ScheduleStates returns what is remembered of every schedule, by pipeline.
func (s *Store) ScheduleStates(ctx context.Context) (map[string]model.ScheduleState, error) {
	list, err := collect(ctx, s.reader, scanSchedule, `SELECT `+scheduleColumns+` FROM arus_state_schedules`)
	states := make(map[string]model.ScheduleState, len(list))
	for _, st := range list {
		states[st.PipelineID] = st
	}
	return states, fail(err, "read the schedules")
}

// PendingSchedules returns the pipelines that are owed a run.
func (s *Store) PendingSchedules(ctx context.Context) ([]model.ScheduleState, error) {
	list, err := collect(ctx, s.reader, scanSchedule, `SELECT `+scheduleColumns+` FROM arus_state_schedules WHERE pending_at IS NOT NULL ORDER BY pending_at, pipeline_id`)
	return list, fail(err, "read the schedules")
}

// SaveSchedules keeps states and forgets those of the pipelines in gone, all or nothing. States of pipelines that do not
// exist are left out. A run that is owed stays owed, and becomes so, where due says it; nothing but SettleSchedule and
// ForgetPending ends that.
func (s *Store) SaveSchedules(ctx context.Context, states []model.ScheduleState, gone []string) error {
	return fail(s.write(ctx, func(tx *transaction) error {
		for _, id := range gone {
			if _, err := tx.ExecContext(ctx, `DELETE FROM arus_state_schedules WHERE pipeline_id = ?`, id); err != nil {
				return err
			}
		}
		for _, st := range states {
			_, err := tx.ExecContext(ctx, `INSERT INTO arus_state_schedules (`+scheduleColumns+`)
				SELECT id, ?2, ?3, ?4, ?5, ?6 FROM arus_config_pipelines WHERE id = ?1
				ON CONFLICT (pipeline_id) DO UPDATE SET spec = excluded.spec, next_at = excluded.next_at, last_at = excluded.last_at,
					pending_at = coalesce(excluded.pending_at, pending_at), since = excluded.since`,
				st.PipelineID, st.Spec, stamp(st.NextAt), stamp(st.LastAt), stamp(st.PendingAt), stamp(st.Since))
			if err != nil {
				return err
			}
		}
		return nil
	}), "save the schedules")
}

// ForgetPending says that the pipelines are owed no run any more.
func (s *Store) ForgetPending(ctx context.Context, pipelineIDs []string) error {
	_, err := s.writer.ExecContext(ctx, `UPDATE arus_state_schedules SET pending_at = NULL WHERE pipeline_id IN (SELECT value FROM json_each(?))`, listJSON(pipelineIDs))
	return fail(err, "save the schedules")
}

// SettleSchedule tells the schedules of a run that ended: it was what its pipeline was owed before it began, and its success
// owes one to the pipelines that run after it.
func (s *Store) SettleSchedule(ctx context.Context, run model.Run) error {
	if run.Work != model.WorkCopy {
		return nil
	}
	return fail(s.write(ctx, func(tx *transaction) error {
		if run.Status != model.RunCancelled {
			_, err := tx.ExecContext(ctx, `UPDATE arus_state_schedules SET pending_at = NULL WHERE pipeline_id = ? AND pending_at <= ?`,
				run.PipelineID, stamp(run.StartedAt))
			if err != nil {
				return err
			}
		}
		if run.Status != model.RunSuccess {
			return nil
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO arus_state_schedules (pipeline_id, pending_at)
			SELECT id, ?2 FROM arus_config_pipelines WHERE depends_on = ?1 AND coalesce(status, 'active') = 'active' AND json_extract(options, '$.run_after_upstream')
			ON CONFLICT (pipeline_id) DO UPDATE SET pending_at = excluded.pending_at`, run.PipelineID, stamp(run.FinishedAt))
		return err
	}), "settle the schedule of pipeline %s", run.PipelineID)
}
