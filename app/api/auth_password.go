package api

import "arus/connectors"

type passwordBody struct {
	Old string `json:"old_password"`
	New string `json:"password"`
}

// authPassword changes one's own password and ends one's other sessions.
func authPassword(c *call) (any, error) {
	var body passwordBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	return updatedAnswer{true}, c.Control.ChangePassword(c.ctx, connectors.Secret(body.Old), connectors.Secret(body.New))
}
