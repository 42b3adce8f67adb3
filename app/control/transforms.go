package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"arus/app/auth"
	"arus/app/engine"
	"arus/app/model"
	"arus/app/transform"
	"arus/connectors"
)

// checkTimeout bounds the look at a source's columns for the sake of the
// transforms that are being saved.
const checkTimeout = 10 * time.Second

// maxPreview is how many rows a preview shows.
const maxPreview = 100

// transformFaults says what is wrong with the transforms of a pipeline's tables,
// by themselves and by the columns of the tables that were found.
func (s *Service) transformFaults(ctx context.Context, p model.Pipeline, found []connectors.Table) []model.FieldError {
	var faults []model.FieldError
	for i, t := range p.Tables {
		if len(t.TransformConfig) == 0 {
			continue
		}
		_, wrong := transform.Parse(t.TransformConfig)
		at := slices.IndexFunc(found, func(f connectors.Table) bool { return engine.Matches(t, f) })
		if len(wrong) == 0 && at >= 0 {
			err := engine.CheckTransforms(ctx, found[at], t, s.Now())
			if e, ok := errors.AsType[*transform.Error](err); ok {
				wrong = e.Faults
			} else if err != nil {
				wrong = []model.FieldError{{Field: "transform_config", Message: err.Error()}}
			}
		}
		for _, f := range wrong {
			faults = append(faults, model.FieldError{Field: fmt.Sprintf("tables[%d].%s", i, f.Field), Message: f.Message})
		}
	}
	return faults
}

// forTransforms looks at the source's tables where a choice has transforms to
// check. A source that does not answer now keeps nobody from saving: a run looks
// again.
func (s *Service) forTransforms(ctx context.Context, sourceID string, choices []TableChoice) []connectors.Table {
	if !slices.ContainsFunc(choices, func(c TableChoice) bool { return c.Transform != nil && len(*c.Transform) > 0 }) {
		return nil
	}
	src, err := s.Store.FindSource(ctx, sourceID)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	found, err := s.discover(ctx, src)
	if err != nil {
		s.Log.InfoContext(ctx, "the transforms were not checked against the source's columns", "source", src.Name, "error", err)
		return nil
	}
	return found
}

// PreviewRequest asks what steps would make of the first rows of a table.
type PreviewRequest struct {
	Pipeline string
	Table    string     // its key within the pipeline
	Steps    model.JSON // nil: the stored ones
	Rows     int        // 0 = 10
}

// PreviewTransforms shows the first rows of a table before and after each of its
// steps. Nothing is written.
func (s *Service) PreviewTransforms(ctx context.Context, req PreviewRequest) (transform.Preview, error) {
	if err := s.may(ctx, auth.EditPipelines); err != nil {
		return transform.Preview{}, err
	}
	p, src, _, err := s.whole(ctx, req.Pipeline)
	if err != nil {
		return transform.Preview{}, err
	}
	at := slices.IndexFunc(p.Tables, func(t model.PipelineTable) bool { return t.Key() == req.Table })
	if at < 0 {
		return transform.Preview{}, fault("the preview", "table", "pipeline %q has no table %q", p.Name, req.Table)
	}
	cfg := p.Tables[at]
	if req.Steps != nil {
		cfg.TransformConfig = req.Steps
	}
	steps, faults := transform.Parse(cfg.TransformConfig)
	if len(faults) > 0 {
		return transform.Preview{}, invalid("the preview", faults)
	}
	if req.Rows < 0 || req.Rows > maxPreview {
		return transform.Preview{}, fault("the preview", "rows", "must be from 1 to %d", maxPreview)
	}
	if req.Rows == 0 {
		req.Rows = 10
	}
	source, err := s.storedSource(ctx, src)
	if err != nil {
		return transform.Preview{}, err
	}
	defer func() { _ = source.Close() }()
	t, err := findTable(ctx, source, cfg.SourceSchema, cfg.SourceTable)
	if err != nil {
		return transform.Preview{}, err
	}
	options := transform.Options{Now: s.Now()}
	if scripts := s.scriptsOf(p.ID); scripts != nil {
		options.Scripts = scripts(nil)
	}
	view, err := engine.PreviewTransforms(ctx, source, t, steps, options, req.Rows)
	if e, ok := errors.AsType[*transform.Error](err); ok {
		return view, invalid("the preview", e.Faults)
	}
	return view, err
}
