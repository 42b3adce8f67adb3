package app

import (
	"os"
	"os/user"
)

// giveDir makes a directory; Windows' services run as the system.
func giveDir(dir string, _ *user.User) error { return os.MkdirAll(dir, 0o700) }
