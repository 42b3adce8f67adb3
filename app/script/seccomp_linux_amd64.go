package script

import "golang.org/x/sys/unix"

const (
	auditArch    = unix.AUDIT_ARCH_X86_64
	foreignCalls = 0x40000000 // the x32 calls
)

// newProcess are the calls besides clone that make a process, and the older spellings of refused ones.
var newProcess = []uint32{unix.SYS_FORK, unix.SYS_VFORK, unix.SYS_ACCEPT, unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_MODIFY_LDT}
