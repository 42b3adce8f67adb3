//go:build unix

package connectors

import "golang.org/x/sys/unix"

// FreeSpace is how many bytes this user can still write below a directory.
func FreeSpace(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return int64(s.Bavail) * int64(s.Bsize), nil // the types differ from system to system
}
