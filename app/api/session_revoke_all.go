package api

import "arus/app/auth"

type revokedAnswer struct {
	Revoked int64 `json:"revoked"`
}

// sessionRevokeAll signs oneself out everywhere.
func sessionRevokeAll(c *call) (any, error) {
	own := auth.ActorOf(c.ctx).UserID()
	if own == "" {
		return revokedAnswer{}, nil
	}
	n, err := c.Control.SignOutEverywhere(c.ctx, own)
	return revokedAnswer{n}, err
}
