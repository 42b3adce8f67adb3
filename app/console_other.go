//go:build !windows

package app

// allowDoubleClick and detachConsole matter on Windows alone.
func allowDoubleClick() {}

func detachConsole() {}
