package api

import (
	"arus/app/control"
	"arus/app/model"
)

type notificationPage struct {
	Notifications []model.Notification `json:"notifications"`
	Total         int                  `json:"total"`
	Limit         int                  `json:"limit"`
	Offset        int                  `json:"offset"`
}

func notificationList(c *call) (any, error) {
	page := c.page(50, 200)
	if err := c.err(); err != nil {
		return nil, err
	}
	list, total, err := c.Control.ListNotifications(c.ctx, control.NotificationFilter{
		TargetID: c.param("target_id"), PipelineID: c.param("pipeline_id"), Status: model.Delivery(c.param("status")), Page: page,
	})
	return notificationPage{list, total, page.Limit, page.Offset}, err
}
