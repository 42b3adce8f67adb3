package api

import (
	"time"

	"arus/app/model"
)

// targetItem is a notification target. Its secrets are never given back.
type targetItem struct {
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	Type      model.TargetType  `json:"type"`
	Config    map[string]string `json:"config"`
	Active    bool              `json:"is_active"`
	CreatedAt time.Time         `json:"created_at"`
	UpdatedAt time.Time         `json:"updated_at"`
}

func targetView(t model.NotificationTarget) targetItem {
	return targetItem{t.ID, t.Name, t.Type, t.Config, t.Active, t.CreatedAt, t.UpdatedAt}
}

func targetList(c *call) (any, error) {
	targets, err := c.Control.ListTargets(c.ctx)
	return convert(targets, targetView), err
}
