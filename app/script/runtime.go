package script

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"arus/connectors"
)

// Program is one script as stored.
type Program struct {
	Name   string
	Source string
}

// Limits bound a worker. Zero fields are replaced by the defaults.
type Limits struct {
	Batch  time.Duration // for one batch, or for starting
	Memory uint64        // bytes of address space
	File   uint64        // bytes of one file in the worker's directory
}

// DefaultLimits fit batches of batchRows ordinary rows many times over.
var DefaultLimits = Limits{Batch: 30 * time.Second, Memory: 1 << 30, File: 64 << 20}

func (l Limits) orDefault() Limits {
	if l.Batch <= 0 {
		l.Batch = DefaultLimits.Batch
	}
	if l.Memory == 0 {
		l.Memory = DefaultLimits.Memory
	}
	if l.File == 0 {
		l.File = DefaultLimits.File
	}
	return l
}

// Runtime starts workers. Its methods may be called from several goroutines.
type Runtime struct {
	cache    string
	limits   Limits
	isolated bool

	mu       sync.Mutex
	program  string
	read     []string
	describe string
}

// Isolation says how far scripts are kept from the machine.
type Isolation string

// Strict refuses to run a script that the system cannot isolate, where the system is one that can; Open runs it as an
// ordinary process with limits, which a person has to ask for.
const (
	Strict Isolation = "strict"
	Open   Isolation = "open"
)

// New makes a runtime that unpacks its interpreter into a cache directory. Nothing is started or written before the first
// script.
func New(cache string, limits Limits, isolation Isolation) *Runtime {
	return &Runtime{cache: cache, limits: limits.orDefault(), isolated: isolation != Open}
}

// Describe names the interpreter and what isolates a script, for people; it may unpack the interpreter.
func (r *Runtime) Describe(ctx context.Context) (string, error) {
	if err := r.find(ctx); err != nil {
		return "", err
	}
	if !r.isolated {
		return r.describe + "; not isolated, as configured", nil
	}
	how, err := isolation()
	if err != nil {
		return "", r.refused(err)
	}
	return r.describe + "; " + how, nil
}

func (r *Runtime) refused(err error) error {
	return &connectors.Error{
		Kind: connectors.KindUnsupported, Op: "isolate", Object: "Python scripts", Err: err,
		Hint: "use built-in steps, or, where everybody who may write scripts may also use this machine, set ARUS_SCRIPT_ISOLATION=open",
	}
}

// find finds the interpreter once; a failure is tried again next time.
func (r *Runtime) find(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.program != "" {
		return nil
	}
	program, read, describe, err := interpreter(ctx, r.cache)
	if err != nil {
		return err
	}
	r.program, r.describe = program, describe
	// The interpreter needs the C library and its loader; scripts may want the time zones.
	r.read = append(read, "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo")
	return nil
}

// launch prepares a worker's directory and the launcher's orders.
func (r *Runtime) launch(ctx context.Context, source string) (l launch, spec string, err error) {
	if err := r.find(ctx); err != nil {
		return launch{}, "", err
	}
	if r.isolated {
		if _, err := isolation(); err != nil {
			return launch{}, "", r.refused(err)
		}
	}
	if err := os.MkdirAll(r.cache, 0o700); err != nil {
		return launch{}, "", fmt.Errorf("make the scripts' cache: %w", err)
	}
	dir, err := os.MkdirTemp(r.cache, "script-")
	if err != nil {
		return launch{}, "", fmt.Errorf("make a script's directory: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return launch{}, "", err
	}
	l = launch{
		Program: r.program, Args: []string{r.program, "-I", "-S", "-B", "-X", "utf8", "-c", source},
		Dir: dir, Read: r.read, File: r.limits.File, Open: !r.isolated,
	}
	text, err := json.Marshal(l)
	return l, string(text), err
}
