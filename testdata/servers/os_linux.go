package servers

import (
	"fmt"
	"syscall"
)

func dieWithParent(attr *syscall.SysProcAttr, signal syscall.Signal) { attr.Pdeathsig = signal }

func mountSmall(path string, bytes int64) error {
	return syscall.Mount("tmpfs", path, "tmpfs", 0, fmt.Sprintf("size=%d,mode=700", bytes))
}

func unmount(path string) error { return syscall.Unmount(path, 0) }
