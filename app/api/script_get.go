package api

// ids are the ids of a pipeline and of one thing that belongs to it.
func (c *call) ids(child string) (parent, id string, err error) {
	if parent, err = c.id("id"); err != nil {
		return "", "", err
	}
	id, err = c.id(child)
	return parent, id, err
}

func scriptGet(c *call) (any, error) {
	pipeline, id, err := c.ids("script_id")
	if err != nil {
		return nil, err
	}
	s, err := c.Control.Script(c.ctx, pipeline, id)
	return scriptView(s), err
}
