//go:build nopython || !((linux && (amd64 || arm64)) || darwin || (windows && amd64))

package script

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"

	"arus/connectors"
)

// interpreter gives the machine's python3: this binary carries none.
func interpreter(ctx context.Context, _ string) (program string, read []string, describe string, err error) {
	failed := func(err error) error {
		return &connectors.Error{
			Kind: connectors.KindNotFound, Op: "start", Object: "python3", Err: err,
			Hint: "this build of Arus carries no Python: install Python 3.9 or later, or use a build that has it",
		}
	}
	found, err := exec.LookPath("python3")
	if err != nil {
		return "", nil, "", failed(err)
	}
	ask := exec.CommandContext(ctx, found, "-I", "-S", "-c",
		"import sys, sysconfig, json; p = sysconfig.get_paths(); print(json.dumps([sys.executable, sys.version.split()[0], p['stdlib'], p['platstdlib'], (sysconfig.get_config_var('LIBDIR') or '/usr/lib'), sys.version_info >= (3, 9)]))")
	ask.Env = []string{}
	out, err := ask.Output()
	if err != nil {
		return "", nil, "", failed(err)
	}
	var told [6]any
	if err := json.Unmarshal(out, &told); err != nil {
		return "", nil, "", failed(fmt.Errorf("it says %q", out))
	}
	if told[5] != true {
		return "", nil, "", failed(fmt.Errorf("version %v is too old", told[1]))
	}
	program = fmt.Sprint(told[0])
	read = []string{program, fmt.Sprint(told[2]), fmt.Sprint(told[3]), fmt.Sprint(told[4])}
	if real, err := exec.LookPath(program); err == nil {
		read = append(read, real)
	}
	return program, read, fmt.Sprintf("the machine's Python %v at %s", told[1], program), nil
}
