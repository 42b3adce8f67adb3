package api

import "arus/app/control"

func scriptUpdate(c *call) (any, error) {
	pipeline, id, err := c.ids("script_id")
	if err != nil {
		return nil, err
	}
	var body scriptBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	s, err := c.Control.UpdateScript(c.ctx, pipeline, id, control.ScriptInput(body))
	return scriptView(s), err
}
