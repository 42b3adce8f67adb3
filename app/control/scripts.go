package control

import (
	"context"

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

// AddScript gives a pipeline a script.
func (s *Service) AddScript(ctx context.Context, pipeline string, in ScriptInput) (model.Script, error) {
	if err := s.may(ctx, auth.EditScripts); err != nil {
		return model.Script{}, err
	}
	var script model.Script
	err := s.change(ctx, func(tx *store.Store) (Change, error) {
		p, err := tx.FindPipeline(ctx, pipeline)
		if err != nil {
			return Change{}, err
		}
		script.PipelineID = p.ID
		in.apply(&script)
		if err := invalid("the script", script.Validate()); err != nil {
			return Change{}, err
		}
		err = tx.CreateScript(ctx, &script)
		return Change{Action: "script.create", ID: script.ID, Name: script.Name, After: script}, err
	})
	return script, err
}

// UpdateScript changes a script of a pipeline.
func (s *Service) UpdateScript(ctx context.Context, pipelineID, id string, in ScriptInput) (model.Script, error) {
	if err := s.may(ctx, auth.EditScripts); err != nil {
		return model.Script{}, err
	}
	var script model.Script
	err := s.change(ctx, func(tx *store.Store) (Change, error) {
		before, err := tx.GetScript(ctx, pipelineID, id)
		if err != nil {
			return Change{}, err
		}
		script = before
		in.apply(&script)
		if err := invalid("the script", script.Validate()); err != nil {
			return Change{}, err
		}
		err = tx.UpdateScript(ctx, &script)
		return Change{Action: "script.update", ID: script.ID, Name: script.Name, Before: before, After: script}, err
	})
	return script, err
}

// DeleteScript removes a script of a pipeline.
func (s *Service) DeleteScript(ctx context.Context, pipelineID, id string) error {
	if err := s.may(ctx, auth.EditScripts); err != nil {
		return err
	}
	return s.change(ctx, func(tx *store.Store) (Change, error) {
		script, err := tx.GetScript(ctx, pipelineID, id)
		if err != nil {
			return Change{}, err
		}
		return Change{Action: "script.delete", ID: id, Name: script.Name, Before: script}, tx.DeleteScript(ctx, pipelineID, id)
	})
}
