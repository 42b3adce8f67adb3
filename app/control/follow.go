package control

import (
	"context"

	"arus/app/auth"
	"arus/app/engine"
	"arus/app/model"
)

// followTables takes tables that are new at the source into a pipeline that follows it, before a run of all its tables. The
// source not answering is no reason against the run, which finds that out by itself.
func (s *Service) followTables(ctx context.Context, x *execution) {
	if !x.pipeline.Options.FollowTables || len(x.job.Only) > 0 || x.job.Letters != nil || x.job.Rebuild || x.job.Skip != "" {
		return
	}
	settings, err := s.settings(ctx)
	if err != nil || !settings.AutoDiscoverTables {
		return
	}
	ctx = auth.WithActor(ctx, auth.Schedule())
	taken, err := s.takeNewTables(ctx, x.pipeline.ID)
	if err != nil {
		s.Log.WarnContext(ctx, "look for new tables before a run", "pipeline", x.pipeline.Name, "error", err)
		return
	}
	if taken > 0 {
		p, err := s.Store.GetPipeline(ctx, x.pipeline.ID)
		if err != nil {
			s.Log.WarnContext(ctx, "read the new tables of a pipeline", "pipeline", x.pipeline.Name, "error", err)
			return
		}
		s.Log.InfoContext(ctx, "took new tables of the source into a pipeline", "pipeline", p.Name, "tables", taken)
		x.job.Pipeline = p
	}
}

// takeNewTables adds the tables that the source has and the pipeline does not know, and gives how many.
func (s *Service) takeNewTables(ctx context.Context, pipelineID string) (int, error) {
	list, err := s.DiscoverPipeline(ctx, pipelineID, false)
	if err != nil {
		return 0, err
	}
	p, err := s.Store.GetPipeline(ctx, pipelineID)
	if err != nil {
		return 0, err
	}
	added := 0
	for _, t := range list {
		if !knows(p, t) {
			added++
		}
	}
	if added == 0 {
		return 0, nil
	}
	_, err = s.DiscoverPipeline(ctx, pipelineID, true)
	return added, err
}

// knows says whether the pipeline has the table, be it switched off.
func knows(p model.Pipeline, t DiscoveredTable) bool {
	for _, cfg := range p.Tables {
		if engine.Matches(cfg, t.Table) {
			return true
		}
	}
	return false
}
