package api

import "arus/app/model"

type linkBody struct {
	PipelineID string              `json:"pipeline_id"`
	TargetID   string              `json:"target_id"`
	EventTypes []model.NotifyEvent `json:"event_types"`
	Events     []model.NotifyEvent `json:"events"`
}

func (b linkBody) events() []model.NotifyEvent {
	if len(b.EventTypes) == 0 {
		return b.Events
	}
	return b.EventTypes
}

func linkCreate(c *call) (any, error) {
	var body linkBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	l, err := c.Control.AddLink(c.ctx, body.PipelineID, body.TargetID, body.events())
	return created(linkView(l)), err
}
