package api

import "arus/connectors"

func authRefresh(c *call) (any, error) {
	l, err := c.Control.Refresh(c.ctx, connectors.Secret(c.r.Header.Get("X-Refresh-Token")))
	if err != nil {
		return nil, err
	}
	return tokensView(l), nil
}
