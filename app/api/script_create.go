package api

import "arus/app/control"

type scriptBody struct {
	Name        *string `json:"name"`
	Description *string `json:"description"`
	Content     *string `json:"content"`
}

func scriptCreate(c *call) (any, error) {
	pipeline, err := c.id("id")
	if err != nil {
		return nil, err
	}
	var body scriptBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	s, err := c.Control.AddScript(c.ctx, pipeline, control.ScriptInput(body))
	return created(scriptView(s)), err
}
