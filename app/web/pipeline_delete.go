package web

import (
	"arus/app/model"
	"arus/views/components"
)

// pipelineDeletePage asks whether a pipeline is to be deleted.
func pipelineDeletePage(v *visit) error {
	p, err := v.Control.Pipeline(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	return v.confirm(pipelinePage(p, "Delete"), deleteConfirm(p, components.Form{}))
}

func deleteConfirm(p model.Pipeline, f components.Form) components.Confirm {
	return components.Confirm{
		Title: "Delete " + p.Name + "?", Text: "The pipeline goes with its runs, logs, watermarks, scripts and notification links.",
		Consequences: []string{"What it loaded stays at the destination.", "A new pipeline for the same tables reads them from the beginning."},
		Action:       "/pipelines/" + p.ID + "/delete", Submit: "Delete the pipeline", Back: "/pipelines/" + p.ID, Danger: true, Type: p.Name, Form: f,
	}
}

// pipelineDelete deletes a pipeline.
func pipelineDelete(v *visit) error {
	p, err := v.Control.Pipeline(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	if v.value("confirm") != p.Name {
		f := components.Form{Values: v.r.PostForm, Faults: map[string]string{"confirm": "must be the pipeline's name"}}
		return v.confirm(pipelinePage(p, "Delete"), deleteConfirm(p, f))
	}
	if err := v.Control.DeletePipeline(v.ctx, p.ID); err != nil {
		return err
	}
	return v.done("/pipelines", p.Name+" is deleted.")
}
