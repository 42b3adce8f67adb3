package control

import (
	"context"
	"time"

	"arus/app/model"
)

// CheckpointQuiet records the figures of tables without news with their phases.
func (s runState) CheckpointQuiet(ctx context.Context, pipelineID string, at time.Time, stats []model.RunTableStat) error {
	for i := range stats {
		s.phases.fill(&stats[i])
	}
	return s.state.CheckpointQuiet(ctx, pipelineID, at, stats)
}
