//go:build !unix

package servers

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// Elsewhere no server is started, tests use those whose variables are set and skip the rest.
var errSystem = errors.New("servers are started on Unix systems only")

func confine(*exec.Cmd, string, string, syscall.Signal) error { return errSystem }

func giveTo(string, string) error { return errSystem }

func tryLock(*os.File) bool { return false }

func separate(*exec.Cmd) {}

func mountSmall(string, int64) error { return errSystem }

func unmount(string) error { return errSystem }

func signalGroup(cmd *exec.Cmd, _ syscall.Signal) { _ = cmd.Process.Kill() }
