package api

import (
	"time"

	"arus/app/model"
)

type scriptItem struct {
	ID          string    `json:"id"`
	PipelineID  string    `json:"pipeline_id"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	Content     string    `json:"content"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

type scriptPage struct {
	Scripts []scriptItem `json:"scripts"`
	Total   int          `json:"total"`
	Limit   int          `json:"limit"`
	Offset  int          `json:"offset"`
}

func scriptView(s model.Script) scriptItem {
	return scriptItem{s.ID, s.PipelineID, s.Name, s.Description, s.Content, s.CreatedAt, s.UpdatedAt}
}

func scriptList(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	page := c.page(50, 200)
	if err := c.err(); err != nil {
		return nil, err
	}
	scripts, total, err := c.Control.ListScripts(c.ctx, id, page)
	return scriptPage{convert(scripts, scriptView), total, page.Limit, page.Offset}, err
}
