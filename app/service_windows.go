package app

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
)

// giveDir makes a directory for the system, which services run as, and the
// administrators: what lies in ProgramData is otherwise open to everybody.
func giveDir(dir string, _ *user.User) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	out, err := exec.Command("icacls", dir, "/inheritance:r", "/grant:r", "*S-1-5-18:(OI)(CI)F", "*S-1-5-32-544:(OI)(CI)F").CombinedOutput() //nolint:noctx // a moment's work
	if err != nil {
		return fmt.Errorf("keep others out of the data directory: %w: %s", err, out)
	}
	return nil
}
