//go:build unix

package app

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
)

// giveDir makes a directory that belongs to an account.
func giveDir(dir string, account *user.User) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	uid, err := strconv.Atoi(account.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(account.Gid)
	if err != nil {
		return err
	}
	if err := os.Chown(dir, uid, gid); err != nil {
		return fmt.Errorf("give the data directory to %s: %w", account.Username, err)
	}
	return nil
}
