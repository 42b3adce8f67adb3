package api

import "path/filepath"

type backupAnswer struct {
	File string `json:"file"`
}

// backupCreate copies the state file into the backups folder of the data directory.
func backupCreate(c *call) (any, error) {
	file, err := c.Control.Backup(c.ctx)
	return created(backupAnswer{filepath.Base(file)}), err
}
