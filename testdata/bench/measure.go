package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// sample is one measurement. CPU and memory are those of the client processes, without the servers.
type sample struct {
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu_seconds"`
	PeakMB  float64 `json:"peak_mb,omitempty"`
	Growth  []point `json:"memory_growth,omitempty"` // when the peak rose, and to what
	Load    float64 `json:"load_before"`             // the machine's load average of a minute: other people's work shows here
}

type point struct {
	Seconds float64 `json:"s"`
	MB      float64 `json:"mb"`
}

// stage is one process of a pipe.
type stage struct {
	path  string
	args  []string
	env   []string
	stdin string // a file; "" = nothing
}

// pipe runs a chain of processes that are connected by the kernel, as a shell would, and returns when all have ended.
// Where between is given, it stands in this process between the first and the second.
func pipe(ctx context.Context, between func(io.Writer, io.Reader) error, stages ...stage) (sample, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := sample{Load: loadAverage()}
	cmds := make([]*exec.Cmd, len(stages))
	errs := make([]bytes.Buffer, len(stages))
	var held []*os.File // ends of pipes that belong to the processes once those run
	release := func() {
		for _, f := range held {
			_ = f.Close()
		}
		held = nil
	}
	defer release()
	join := func() (r, w *os.File, err error) {
		if r, w, err = os.Pipe(); err == nil {
			held = append(held, r, w)
		}
		return r, w, err
	}
	var convert func() error
	for i, st := range stages {
		cmds[i] = exec.CommandContext(ctx, st.path, st.args...)
		cmds[i].Env = append(os.Environ(), st.env...)
		cmds[i].Stderr = &errs[i]
		if i == 0 {
			continue
		}
		r, w, err := join()
		if err != nil {
			return s, err
		}
		cmds[i-1].Stdout, cmds[i].Stdin = w, r
		if i == 1 && between != nil {
			out, in, err := os.Pipe() // out: the first process's rows; in: what it writes to
			if err != nil {
				return s, err
			}
			cmds[0].Stdout = in
			held = slices.DeleteFunc(held, func(f *os.File) bool { return f == w })
			held = append(held, in)
			convert = func() error {
				err := between(w, out)
				return errors.Join(err, w.Close(), out.Close())
			}
		}
	}
	began := time.Now()
	started := 0
	var failed error
	for _, cmd := range cmds {
		if failed = cmd.Start(); failed != nil {
			cancel()
			break
		}
		started++
	}
	release()
	converted := make(chan error, 1)
	if convert != nil {
		go func() { converted <- convert() }()
	} else {
		converted <- nil
	}
	for i, cmd := range cmds[:started] {
		err := cmd.Wait()
		s.CPU += (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w: %s", filepath.Base(stages[i].path), err, tail(errs[i].Bytes())))
		}
	}
	failed = errors.Join(failed, <-converted)
	s.Seconds = time.Since(began).Seconds()
	return s, failed
}

// child runs one process, watches its memory and returns what it printed.
func child(ctx context.Context, st stage) (s sample, stdout []byte, err error) {
	cmd := exec.CommandContext(ctx, st.path, st.args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Env = append(os.Environ(), st.env...)
	if st.stdin != "" {
		in, err := os.Open(st.stdin)
		if err != nil {
			return s, nil, err
		}
		defer func() { _ = in.Close() }()
		cmd.Stdin = in
	}
	s.Load = loadAverage()
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return s, nil, err
	}
	ended, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		s.Growth = watchMemory(cmd.Process.Pid, began, ended)
	}()
	err = cmd.Wait()
	s.Seconds = time.Since(began).Seconds()
	close(ended)
	<-watched
	s.CPU = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	s.PeakMB = peak(cmd.ProcessState, s.Growth)
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", filepath.Base(st.path), st.args[0], err, tail(append(errs.Bytes(), out.Bytes()...)))
	}
	return s, out.Bytes(), err
}

// lines runs one process and hands over what it prints, line by line.
func lines(ctx context.Context, st stage, each func([]byte) error) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, st.path, st.args...)
	cmd.Env = append(os.Environ(), st.env...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	scan := bufio.NewScanner(out)
	scan.Buffer(make([]byte, 64<<10), 16<<20)
	for err == nil && scan.Scan() {
		err = each(scan.Bytes())
	}
	if err = errors.Join(err, scan.Err()); err != nil {
		cancel()
		_ = cmd.Wait()
		return err
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", filepath.Base(st.path), st.args[0], err, tail(errs.Bytes()))
	}
	return nil
}

// peak is the highest resident memory of an ended process. The system's own figure is exact, but it is never below what
// this program had when it started the other; then the last observation has to do.
func peak(state *os.ProcessState, growth []point) float64 {
	exact := maxResident(state)
	if len(growth) > 0 && exact <= ownPeak()+1 {
		return growth[len(growth)-1].MB
	}
	return exact
}

// watchMemory notes a process's peak until it has ended: each rise by a megabyte, and the last one seen.
func watchMemory(pid int, began time.Time, ended <-chan struct{}) (growth []point) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var last point
	for {
		select {
		case <-ended:
			if len(growth) > 0 && last.MB > growth[len(growth)-1].MB {
				growth = append(growth, last)
			}
			return growth
		case <-tick.C:
		}
		mb, ok := highWater(pid)
		if !ok {
			continue
		}
		if mb = round(mb, 1); mb > last.MB {
			last = point{round(time.Since(began).Seconds(), 3), mb}
		}
		if len(growth) == 0 || last.MB >= growth[len(growth)-1].MB+1 {
			growth = append(growth, last)
		}
	}
}

// highWater is the peak of a running process, where the system tells it.
func highWater(pid int) (mb float64, ok bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, "VmHWM:"); found {
			kb, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			return kb / 1024, err == nil
		}
	}
	return 0, false
}

func ownPeak() float64 {
	mb, _ := highWater(os.Getpid())
	return mb
}

func loadAverage() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), " ")
	load, _ := strconv.ParseFloat(first, 64)
	return load
}

// median is the sample in the middle by time; of an even number the slower of the two, so that no figure is an average
// of runs that never were.
func median(samples []sample) sample {
	if len(samples) == 0 {
		return sample{}
	}
	sorted := slices.Clone(samples)
	slices.SortFunc(sorted, func(a, b sample) int {
		switch {
		case a.Seconds < b.Seconds:
			return -1
		case a.Seconds > b.Seconds:
			return 1
		}
		return 0
	})
	return sorted[len(sorted)/2]
}

func maxPeak(samples []sample) (mb float64) {
	for _, s := range samples {
		mb = max(mb, s.PeakMB)
	}
	return mb
}

// tail is the last few lines of a program's output, on one line.
func tail(text []byte) string {
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	const most = 1000
	joined := bytes.Join(lines[max(0, len(lines)-5):], []byte(" | "))
	return string(joined[max(0, len(joined)-most):])
}

func round(x float64, digits int) float64 {
	f, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'f', digits, 64), 64)
	return f
}
