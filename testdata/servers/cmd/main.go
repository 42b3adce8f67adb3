// The command runs another command with private database servers: see package servers.
package main

import (
	"os"

	"arus/testdata/servers"
)

func main() { os.Exit(servers.Main(os.Args[1:])) }
