package app

import (
	"unsafe"

	"github.com/spf13/cobra"
	"golang.org/x/sys/windows"
)

// allowDoubleClick takes away cobra's own answer to a double click, which is
// that this were a program for terminals only.
func allowDoubleClick() { cobra.MousetrapHelpText = "" }

// detachConsole closes the console window that Windows opened for a double
// click: closing it would end the program. In a terminal nothing is done.
func detachConsole() {
	kernel := windows.NewLazySystemDLL("kernel32.dll")
	var processes [2]uint32
	// Alone in its console, the program was not started from a terminal.
	n, _, _ := kernel.NewProc("GetConsoleProcessList").Call(uintptr(unsafe.Pointer(&processes[0])), uintptr(len(processes)))
	if n == 1 {
		_, _, _ = kernel.NewProc("FreeConsole").Call()
	}
}
