//go:build unix && !linux

package servers

import (
	"errors"
	"syscall"
)

func dieWithParent(*syscall.SysProcAttr, syscall.Signal) {}

func mountSmall(string, int64) error { return errors.ErrUnsupported }

func unmount(string) error { return errors.ErrUnsupported }
