package script

import "golang.org/x/sys/unix"

const (
	auditArch    = unix.AUDIT_ARCH_ARM
	foreignCalls = 0x40000000 // none: above every call
)

// newProcess are the calls besides clone that make a process, and the older spellings of refused ones.
var newProcess = []uint32{unix.SYS_FORK, unix.SYS_VFORK, unix.SYS_ACCEPT}
