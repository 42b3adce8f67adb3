//go:build !nopython && ((linux && (amd64 || arm64)) || darwin || (windows && amd64))

package script

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/kluctl/go-embed-python/python"

	"arus/connectors"
)

// embedded is the version of the interpreter in this binary; its directory in the cache carries the name.
const embedded = "3.14.6"

// modules are compiled once when the interpreter is unpacked, so that no worker has to.
const modules = "import array, collections, datetime, decimal, functools, hashlib, io, itertools, json, linecache, math, operator, random, re, statistics, string, struct, textwrap, traceback, unicodedata, uuid, zoneinfo"

// interpreter gives the Python of this binary, unpacked in the cache directory at the first call on this machine.
func interpreter(ctx context.Context, cache string) (program string, read []string, describe string, err error) {
	home := filepath.Join(cache, "python-"+embedded+"-"+runtime.GOOS+"-"+runtime.GOARCH)
	program = filepath.Join(home, "bin", "python3")
	if runtime.GOOS == "windows" {
		program = filepath.Join(home, "python.exe")
	}
	if _, err := os.Stat(program); errors.Is(err, os.ErrNotExist) {
		if err := unpack(ctx, cache, home, program); err != nil {
			return "", nil, "", &connectors.Error{
				Kind: connectors.KindInvalid, Op: "unpack Python into", Object: cache, Err: err,
				Hint: "the data directory needs about 120 MB of space and must allow programs to run (no noexec mount)",
			}
		}
	} else if err != nil {
		return "", nil, "", err
	}
	return program, []string{home}, "Python " + embedded + " of this program", nil
}

// unpack fills a directory beside home and renames it, so that home is whole or absent whatever happens meanwhile.
func unpack(ctx context.Context, cache, home, program string) error {
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(cache, "unpack-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	fresh := filepath.Join(dir, "python")
	if _, err := python.NewEmbeddedPythonWithTmpDir(fresh, false); err != nil {
		return err
	}
	inside, err := filepath.Rel(home, program)
	if err != nil {
		return err
	}
	warm := exec.CommandContext(ctx, filepath.Join(fresh, inside), "-I", "-S", "-c", modules)
	warm.Env = []string{}
	if out, err := warm.CombinedOutput(); err != nil {
		return fmt.Errorf("start it: %w: %s", err, out)
	}
	if err := os.Rename(fresh, home); err != nil {
		if _, there := os.Stat(program); there == nil {
			return nil // another process was faster
		}
		return err
	}
	return nil
}
