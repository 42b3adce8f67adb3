package api

import "arus/app/control"

func pipelineFullRefresh(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	return c.start(control.RunRequest{Pipeline: id, FullRefresh: true})
}
