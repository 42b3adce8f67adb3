package web

import (
	"errors"
	"fmt"

	"arus/app/control"
	"arus/app/model"
	"arus/views/components"
)

// pipelineBulk does the same to all the pipelines that were ticked. What cannot
// be done to one keeps nobody from the others.
func pipelineBulk(v *visit) error {
	ids := v.r.PostForm["id"]
	back := v.value("back")
	if len(ids) == 0 {
		return v.redirect(back, components.Flash{Kind: "warning", Text: "Nothing was done: tick the pipelines first."})
	}
	action, done := v.value("do"), ""
	var one func(id string) error
	switch action {
	case "run":
		done = "started"
		one = func(id string) error {
			_, err := v.Control.StartRun(v.ctx, control.RunRequest{Pipeline: id, Trigger: model.TriggerManual})
			return err
		}
	case "pause":
		done = "paused"
		one = func(id string) error { _, err := v.Control.PausePipeline(v.ctx, id); return err }
	case "resume":
		done = "resumed"
		one = func(id string) error { _, err := v.Control.ResumePipeline(v.ctx, id); return err }
	default:
		return &control.InvalidError{What: "the request", Faults: []model.FieldError{{Field: "do", Message: "must be run, pause or resume"}}}
	}
	n := 0
	var failed []error
	for _, id := range ids {
		if err := one(id); err != nil {
			failed = append(failed, err)
			continue
		}
		n++
	}
	if len(failed) == 0 {
		return v.done(back, fmt.Sprintf("%s %s.", components.Plural(n, "pipeline"), done))
	}
	if _, ok := v.form(failed[0]); !ok && !control.IsNotFound(failed[0]) {
		return errors.Join(failed...)
	}
	return v.redirect(back, components.Flash{Kind: "warning", Text: fmt.Sprintf("%s %s, %d not: %v", components.Plural(n, "pipeline"), done, len(failed), failed[0])})
}
