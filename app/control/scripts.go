package control

import (
	"context"
	"errors"

	"arus/app/auth"
	"arus/app/model"
	"arus/app/store"
)

// ScriptInput is what to make or change of a script; nil leaves a field as it is.
type ScriptInput struct {
	Name        *string
	Description *string
	Content     *string
}

func (in ScriptInput) apply(script *model.Script) {
	set(&script.Name, in.Name)
	set(&script.Description, in.Description)
	set(&script.Content, in.Content)
}

// ListScripts gives one page of a pipeline's scripts and how many there are.
func (s *Service) ListScripts(ctx context.Context, pipeline string, page Page) ([]model.Script, int, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, 0, err
	}
	p, err := s.Store.FindPipeline(ctx, pipeline)
	if err != nil {
		return nil, 0, err
	}
	return s.Store.ListScripts(ctx, p.ID, page)
}

// Script gives a script of a pipeline.
func (s *Service) Script(ctx context.Context, pipelineID, id string) (model.Script, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return model.Script{}, err
	}
	return s.Store.GetScript(ctx, pipelineID, id)
}

// FindScript gives a script by the pipeline's name or id and its own name.
func (s *Service) FindScript(ctx context.Context, pipeline, name string) (model.Script, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return model.Script{}, err
	}
	p, err := s.Store.FindPipeline(ctx, pipeline)
	if err != nil {
		return model.Script{}, err
	}
	return s.Store.FindScript(ctx, p.ID, name)
}

// SetScript gives a pipeline a script, or the script of that name its new text.
func (s *Service) SetScript(ctx context.Context, pipeline string, in ScriptInput) (model.Script, error) {
	known, err := s.FindScript(ctx, pipeline, *in.Name)
	switch {
	case err == nil:
		return s.UpdateScript(ctx, known.PipelineID, known.ID, in)
	case errors.Is(err, store.ErrNotFound):
		return s.AddScript(ctx, pipeline, in)
	}
	return model.Script{}, err
}

// AddScript gives a pipeline a script.
func (s *Service) AddScript(ctx context.Context, pipeline string, in ScriptInput) (model.Script, error) {
	if err := s.may(ctx, auth.EditScripts); err != nil {
		return model.Script{}, err
	}
	if in.Content != nil {
		if err := s.checkScript(ctx, in); err != nil {
			return model.Script{}, err
		}
	}
	var made model.Script
	err := s.change(ctx, func(tx *store.Store) (Change, error) {
		p, err := tx.FindPipeline(ctx, pipeline)
		if err != nil {
			return Change{}, err
		}
		made.PipelineID = p.ID
		in.apply(&made)
		if err := invalid("the script", made.Validate()); err != nil {
			return Change{}, err
		}
		err = tx.CreateScript(ctx, &made)
		return Change{Action: "script.create", ID: made.ID, Name: made.Name, After: made}, err
	})
	return made, err
}

// UpdateScript changes a script of a pipeline.
func (s *Service) UpdateScript(ctx context.Context, pipelineID, id string, in ScriptInput) (model.Script, error) {
	if err := s.may(ctx, auth.EditScripts); err != nil {
		return model.Script{}, err
	}
	if in.Content != nil {
		if err := s.checkScript(ctx, in); err != nil {
			return model.Script{}, err
		}
	}
	var made model.Script
	err := s.change(ctx, func(tx *store.Store) (Change, error) {
		before, err := tx.GetScript(ctx, pipelineID, id)
		if err != nil {
			return Change{}, err
		}
		made = before
		in.apply(&made)
		if err := invalid("the script", made.Validate()); err != nil {
			return Change{}, err
		}
		err = tx.UpdateScript(ctx, &made)
		return Change{Action: "script.update", ID: made.ID, Name: made.Name, Before: before, After: made}, err
	})
	return made, err
}

// DeleteScript removes a script of a pipeline.
func (s *Service) DeleteScript(ctx context.Context, pipelineID, id string) error {
	if err := s.may(ctx, auth.EditScripts); err != nil {
		return err
	}
	return s.change(ctx, func(tx *store.Store) (Change, error) {
		gone, err := tx.GetScript(ctx, pipelineID, id)
		if err != nil {
			return Change{}, err
		}
		return Change{Action: "script.delete", ID: id, Name: gone.Name, Before: gone}, tx.DeleteScript(ctx, pipelineID, id)
	})
}
