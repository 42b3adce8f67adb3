package api

import (
	"arus/app/control"
	"arus/app/model"
)

// transformPreviewBody names a table of the pipeline; steps goes before what is stored for it.
type transformPreviewBody struct {
	Table string     `json:"table"`
	Steps model.JSON `json:"steps"`
	Rows  int        `json:"rows"`
}

func transformPreview(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	var body transformPreviewBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	return c.Control.PreviewTransforms(c.ctx, control.PreviewRequest{Pipeline: id, Table: body.Table, Steps: body.Steps, Rows: body.Rows})
}
