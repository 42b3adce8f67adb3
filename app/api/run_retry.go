package api

func runRetry(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	wait := c.flag("wait")
	if err := c.err(); err != nil {
		return nil, err
	}
	started, err := c.Control.RetryRun(c.ctx, id)
	return c.started(started, err, wait)
}
