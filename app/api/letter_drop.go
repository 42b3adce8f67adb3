package api

type droppedAnswer struct {
	Dropped int64 `json:"dropped"`
}

func letterDrop(c *call) (any, error) {
	filter, err := c.lettersFilter()
	if err != nil {
		return nil, err
	}
	n, err := c.Control.DropLetters(c.ctx, filter)
	return droppedAnswer{n}, err
}
