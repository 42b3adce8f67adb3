package api

// deletedAnswer says that something is gone.
type deletedAnswer struct {
	Deleted bool `json:"deleted"`
}

func sourceDelete(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	return deletedAnswer{true}, c.Control.DeleteSource(c.ctx, id)
}
