package api

import "encoding/json"

// scriptTestBody is a script and the rows to try it on. Columns gives their types; the others are text.
type scriptTestBody struct {
	Name    string            `json:"name"`
	Content string            `json:"content"`
	Columns map[string]string `json:"columns"`
	Rows    []json.RawMessage `json:"rows"`
}

func scriptTest(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	var body scriptTestBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	if _, err := c.Control.Pipeline(c.ctx, id); err != nil {
		return nil, err
	}
	if body.Name == "" {
		body.Name = "script"
	}
	return c.Control.TestScript(c.ctx, body.Name, body.Content, body.Columns, body.Rows)
}
