package api

import (
	"arus/app/control"
	"arus/connectors"
)

type restoreBody struct {
	Passphrase string `json:"passphrase"`
	WithoutKey bool   `json:"without_key"`
	Pause      bool   `json:"pause"`
}

// backupRestore puts a backup in the place of what is, once the answer is sent.
func backupRestore(c *call) (any, error) {
	var body restoreBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	r, err := c.Control.RestoreBackup(c.ctx, control.RestoreRequest{
		File: c.r.PathValue("file"), Passphrase: connectors.Secret(body.Passphrase), WithoutKey: body.WithoutKey, Pause: body.Pause,
	})
	if err != nil {
		return nil, err
	}
	return accepted(r), nil
}
