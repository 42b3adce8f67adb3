package web

// pipelinePause keeps a pipeline's schedule for later.
func pipelinePause(v *visit) error {
	p, err := v.Control.PausePipeline(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	return v.done("/pipelines/"+p.ID, p.Name+" is paused: its schedule starts nothing until it is resumed.")
}

// pipelineResume takes the schedule up again.
func pipelineResume(v *visit) error {
	p, err := v.Control.ResumePipeline(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	return v.done("/pipelines/"+p.ID, p.Name+" runs by its schedule again.")
}
