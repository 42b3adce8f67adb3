package api

type rebuildBody struct {
	Tables []string `json:"tables"`
}

// pipelineRebuild makes targets anew from their raw rows and answers when that
// is over.
func pipelineRebuild(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	var body rebuildBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	report, err := c.Control.Rebuild(c.ctx, id, body.Tables)
	if err != nil {
		return nil, err
	}
	run, err := c.Control.GetRun(c.ctx, report.RunID)
	return outcome(report, run), err
}
