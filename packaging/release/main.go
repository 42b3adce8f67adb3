// Command release makes what is released beside the programs themselves: icons,
// man pages, completions, archives, checksums, and docs/cli.md. Taskfile.yml
// says in which order.
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "icons":
		return writeIcons(args[1])
	case len(args) == 2 && args[0] == "commands":
		return writeCommands(args[1])
	case len(args) == 3 && args[0] == "manual":
		return writeManual(args[1], args[2])
	case len(args) == 3 && args[0] == "archives":
		return writeArchives(args[1], args[2])
	case len(args) == 2 && args[0] == "sums":
		return writeSums(args[1])
	}
	return fmt.Errorf("usage: release icons DIR | commands FILE | manual DIR VERSION | archives DIST VERSION | sums DIST")
}
