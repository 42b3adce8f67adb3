//go:build unix

package servers

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// confine makes cmd a server's process: a small environment, a group of its own, so that a Ctrl-C reaches the tests but
// not their servers, and when this command runs as root the unprivileged account, which PostgreSQL insists on. Where
// the system can, it gets the signal end when this command dies.
func confine(cmd *exec.Cmd, account, dir string, end syscall.Signal) error {
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr, end)
	uid, gid, switches, err := lookupAccount(account)
	if switches {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	return err
}

// giveTo makes the account that will run a server the owner of its file or folder.
func giveTo(account, path string) error {
	uid, gid, switches, err := lookupAccount(account)
	if !switches {
		return err
	}
	return os.Chown(path, uid, gid)
}

func lookupAccount(account string) (uid, gid int, switches bool, err error) {
	if account == "" || os.Geteuid() != 0 {
		return 0, 0, false, nil
	}
	u, err := user.Lookup(account)
	if err != nil {
		return 0, 0, false, fmt.Errorf("as root a server runs as its own account: %w", err)
	}
	if uid, err = strconv.Atoi(u.Uid); err != nil {
		return 0, 0, false, err
	}
	if gid, err = strconv.Atoi(u.Gid); err != nil {
		return 0, 0, false, err
	}
	return uid, gid, true, nil
}

// tryLock takes the lock unless another process, or a process that inherited it, holds it.
func tryLock(file *os.File) bool {
	return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}

// separate puts cmd and all that it starts in a group of its own.
func separate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr, syscall.SIGTERM)
}

// signalGroup reaches everything in the group of a command that was separated.
func signalGroup(cmd *exec.Cmd, signal syscall.Signal) {
	_ = syscall.Kill(-cmd.Process.Pid, signal) // fails only when all have ended
}
