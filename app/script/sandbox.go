package script

import (
	"encoding/json"
	"fmt"
	"io"
)

// launchArg is the first argument with which the program starts itself as the launcher of a worker.
const launchArg = "__script-worker"

// launch is what the launcher does before it becomes the interpreter.
type launch struct {
	Program string   `json:"program"`
	Args    []string `json:"args"` // with the program's name in front
	Dir     string   `json:"dir"`  // the worker's own directory: the only one it may write to
	Read    []string `json:"read"` // files and directories it may read and run
	File    uint64   `json:"file"`
	Open    bool     `json:"open"` // limits only, no isolation
}

// Launched makes this process a script's worker when the arguments (without the program's name) ask for it; otherwise it
// returns false at once. Call it before anything else: it does not return when the worker starts.
func Launched(args []string, stderr io.Writer) (code int, ok bool) {
	if len(args) != 2 || args[0] != launchArg {
		return 0, false
	}
	var l launch
	err := json.Unmarshal([]byte(args[1]), &l)
	if err == nil {
		err = l.become()
	}
	_, _ = fmt.Fprintln(stderr, launchFailed+err.Error())
	return exitLaunch, true
}

// exitLaunch and launchFailed tell a launcher that failed from a script that did.
const (
	exitLaunch   = 119
	launchFailed = "the script's worker cannot be started: "
)
