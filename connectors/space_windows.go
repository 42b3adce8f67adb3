package connectors

import "golang.org/x/sys/windows"

// FreeSpace is how many bytes this user can still write below a directory.
func FreeSpace(dir string) (int64, error) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, err
	}
	var free uint64
	err = windows.GetDiskFreeSpaceEx(name, &free, nil, nil)
	return int64(free), err // no disk has more than 8 EiB
}
