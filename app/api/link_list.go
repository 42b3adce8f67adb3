package api

import (
	"time"

	"arus/app/model"
)

type linkItem struct {
	ID         string              `json:"id"`
	PipelineID string              `json:"pipeline_id"`
	TargetID   string              `json:"target_id"`
	TargetName string              `json:"target_name"`
	TargetType model.TargetType    `json:"target_type"`
	EventTypes []model.NotifyEvent `json:"event_types"`
	CreatedAt  time.Time           `json:"created_at"`
}

func linkView(l model.NotificationLink) linkItem {
	return linkItem{l.ID, l.PipelineID, l.TargetID, l.TargetName, l.TargetType, list(l.Events), l.CreatedAt}
}

func linkList(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	links, err := c.Control.ListLinks(c.ctx, id)
	return convert(links, linkView), err
}
