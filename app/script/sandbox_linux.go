package script

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"unsafe"

	"golang.org/x/sys/unix"
)

// isolation says what the kernel grants; an error says what is missing.
func isolation() (string, error) {
	abi, err := landlockABI()
	if err != nil {
		return "", fmt.Errorf("the kernel cannot keep a script from this machine's files (Landlock, in Linux 5.13 and later): %w", err)
	}
	return fmt.Sprintf("no files, no network, no other processes (Landlock %d, seccomp)", abi), nil
}

// command starts the launcher, which is this program.
func (l launch) command(spec string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", launchArg, spec) //nolint:noctx // the worker ends it, group and all
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
	return cmd
}

// kill ends the worker and whatever it may have started.
func kill(p *os.Process) {
	_ = unix.Kill(-p.Pid, unix.SIGKILL)
	_ = p.Kill()
}

// become gives up everything that a script does not need, then runs the interpreter in this process.
func (l launch) become() error {
	debug.SetGCPercent(-1) // nothing of this runtime is needed any more
	runtime.LockOSThread() // what follows binds this thread, and the thread becomes the process
	for _, limit := range []struct {
		which int
		value uint64
	}{{unix.RLIMIT_CORE, 0}, {unix.RLIMIT_NOFILE, 64}, {unix.RLIMIT_FSIZE, l.File}} {
		if err := unix.Setrlimit(limit.which, &unix.Rlimit{Cur: limit.value, Max: limit.value}); err != nil {
			return fmt.Errorf("set limit %d: %w", limit.which, err)
		}
	}
	if err := unix.Chdir(l.Dir); err != nil {
		return fmt.Errorf("enter %s: %w", l.Dir, err)
	}
	if err := dropPrivileges(); err != nil {
		return err
	}
	if !l.Open {
		if err := l.restrictFiles(); err != nil {
			return fmt.Errorf("keep the script from files: %w", err)
		}
		if err := restrictCalls(); err != nil {
			return fmt.Errorf("keep the script from the network and from other processes: %w", err)
		}
	}
	return unix.Exec(l.Program, l.Args, []string{})
}

// dropPrivileges keeps root's powers, and any that a file could give, from the script.
func dropPrivileges() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up new privileges: %w", err)
	}
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("give up capability %d: %w", c, err)
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("give up capabilities: %w", err)
	}
	return nil
}

func landlockABI() (int, error) {
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0, errno
	}
	return int(abi), nil
}

// landlockAttr is struct landlock_ruleset_attr; older kernels take a shorter one.
type landlockAttr struct{ files, net, scoped uint64 }

const (
	landlockRead  = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR | unix.LANDLOCK_ACCESS_FS_EXECUTE
	landlockFile  = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	landlockWrite = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_TRUNCATE
)

// restrictFiles lets the thread read l.Read, write l.Dir, and nothing else.
func (l launch) restrictFiles() error {
	abi, err := landlockABI()
	if err != nil {
		return err
	}
	// Every access right up to the kernel's version: 13 in the first, one each (refer, truncate) in the next two, ioctl in the fifth.
	files := uint64(1)<<13 - 1
	attr, size := landlockAttr{}, uintptr(8)
	if abi >= 2 {
		files |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if abi >= 3 {
		files |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if abi >= 4 {
		attr.net, size = 3, 16 // bind and connect TCP
	}
	if abi >= 5 {
		files |= 1 << 15 // ioctl on devices
	}
	if abi >= 6 {
		attr.scoped, size = 3, 24 // abstract sockets and signals
	}
	attr.files = files
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if errno != 0 {
		return errno
	}
	ruleset := int(fd)
	defer func() { _ = unix.Close(ruleset) }()
	for _, path := range l.Read {
		if err := allow(ruleset, path, landlockRead&files); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	for path, access := range map[string]uint64{l.Dir: landlockWrite, "/dev/null": landlockFile, "/dev/urandom": landlockFile} {
		if err := allow(ruleset, path, access&files); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(ruleset), 0, 0); errno != 0 {
		return errno
	}
	return nil
}

func allow(ruleset int, path string, access uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		access &= landlockFile
	}
	// struct landlock_path_beneath_attr is packed: 12 bytes.
	var attr [12]byte
	*(*uint64)(unsafe.Pointer(&attr[0])) = access
	*(*int32)(unsafe.Pointer(&attr[8])) = int32(fd)
	const pathBeneath = 1
	if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), pathBeneath, uintptr(unsafe.Pointer(&attr[0])), 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}
