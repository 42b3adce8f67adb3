//go:build !linux

package script

import (
	"errors"
	"os"
	"os/exec"
)

// isolation says what keeps a script from the machine: nothing here but its own process and the limit of time.
func isolation() (string, error) {
	return "a process of its own with a limit of time; this system does not keep it from files and the network", nil
}

func (l launch) command(string) *exec.Cmd {
	cmd := exec.Command(l.Program, l.Args[1:]...)
	cmd.Dir = l.Dir
	return cmd
}

func kill(p *os.Process) { _ = p.Kill() }

func (l launch) become() error { return errors.New("workers are started directly on this system") }
