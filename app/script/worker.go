package script

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"arus/connectors"
	"arus/embed/python"
)

// The frames' types; the worker's source says what each holds.
const (
	frameScript  = 'I' // JSON: name, source, columns
	frameColumns = 'C' // JSON: the columns that go out
	frameSurvey  = 'S' // a batch, to see what comes out
	frameBatch   = 'B'
	frameReady   = 'R'
	frameFound   = 'V'
	frameOut     = 'O'
	frameError   = 'E'
)

// worker is one process with one script in it. Its methods are called by one goroutine.
type worker struct {
	name    string
	limits  Limits
	dir     string
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	printed sync.WaitGroup
	last    *tail
	dead    error // why it cannot be used any more
	ended   bool
}

// start starts a worker and gives it the script; log receives what it prints.
func (r *Runtime) start(ctx context.Context, p Program, setup any, log func(string)) (*worker, json.RawMessage, error) {
	l, spec, err := r.launch(ctx, python.Worker)
	if err != nil {
		return nil, nil, err
	}
	w := &worker{name: p.Name, limits: r.limits, dir: l.Dir, cmd: l.command(spec), last: &tail{}}
	if err := w.run(log); err != nil {
		_ = os.RemoveAll(l.Dir)
		return nil, nil, &connectors.Error{Kind: connectors.KindInvalid, Op: "start the worker of script", Object: p.Name, Err: err}
	}
	body, err := json.Marshal(setup)
	if err != nil {
		return nil, nil, errors.Join(err, w.close())
	}
	ready, err := w.ask(ctx, frameScript, body, frameReady)
	if err != nil {
		return nil, nil, errors.Join(err, w.close())
	}
	return w, ready, nil
}

// run starts the process with pipes for frames and for what it prints.
func (w *worker) run(log func(string)) error {
	w.cmd.Env = []string{}
	if len(w.cmd.Dir) == 0 {
		w.cmd.Dir = w.dir
	}
	var err error
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	printed, err := w.cmd.StderrPipe()
	if err != nil {
		return err
	}
	w.out = bufio.NewReaderSize(out, 256<<10)
	if err := w.cmd.Start(); err != nil {
		return err
	}
	w.printed.Go(func() { w.listen(printed, log) })
	return nil
}

// Bounds of what a script may print in one run.
const (
	printedLines = 1000
	printedLine  = 2000
)

// listen passes printed lines on, up to the bounds, and reads on so that the worker never waits for it.
func (w *worker) listen(printed io.Reader, log func(string)) {
	lines := bufio.NewReaderSize(printed, printedLine)
	for n := 0; ; {
		line, part, err := lines.ReadLine()
		if len(line) > 0 && !part || len(line) == printedLine {
			text := strings.ToValidUTF8(string(line), "\uFFFD")
			w.last.add(text)
			if n++; log != nil && n <= printedLines {
				log(text)
			} else if log != nil && n == printedLines+1 {
				log(fmt.Sprintf("the script printed more than %d lines; the rest is left out", printedLines))
			}
		}
		for part && err == nil { // the rest of an overlong line
			_, part, err = lines.ReadLine()
		}
		if err != nil {
			return
		}
	}
}

// ask sends a frame and waits for its answer, within the limit of time. Whatever goes wrong with the process ends it.
func (w *worker) ask(ctx context.Context, kind byte, body []byte, want byte) ([]byte, error) {
	if w.dead != nil {
		return nil, w.dead
	}
	ctx, cancel := context.WithTimeoutCause(ctx, w.limits.Batch, errSlow)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { kill(w.cmd.Process) })
	got, answer, err := w.exchange(kind, body)
	if !stop() || err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		w.dead = w.died(err)
		return nil, w.dead
	}
	if got == frameError {
		var said struct {
			Message      string
			Line, Column int
		}
		if err := json.Unmarshal(answer, &said); err != nil {
			return nil, fmt.Errorf("script %s: read its error: %w", w.name, err)
		}
		if said.Line > 0 {
			said.Message = fmt.Sprintf("line %d, column %d: %s", said.Line, said.Column, said.Message)
		}
		return nil, w.fault(errors.New(said.Message), "mend the script")
	}
	if got != want {
		kill(w.cmd.Process)
		w.dead = w.fault(fmt.Errorf("its worker answered with %q", got), "the script must not write to the worker's own descriptors")
		return nil, w.dead
	}
	return answer, nil
}

var errSlow = errors.New("too slow")

func (w *worker) fault(err error, hint string) error {
	return &connectors.Error{Kind: connectors.KindInvalid, Op: "run script", Object: w.name, Err: err, Hint: hint}
}

// longestAnswer bounds a frame that a worker sends: a script may make its rows larger, not without end.
const longestAnswer = 256 << 20

func (w *worker) exchange(kind byte, body []byte) (got byte, answer []byte, err error) {
	head := binary.LittleEndian.AppendUint32(make([]byte, 0, 5), uint32(len(body)+1))
	if _, err := w.in.Write(append(head, kind)); err != nil {
		return 0, nil, err
	}
	if _, err := w.in.Write(body); err != nil {
		return 0, nil, err
	}
	var size [5]byte
	if _, err := io.ReadFull(w.out, size[:]); err != nil {
		return 0, nil, err
	}
	n := binary.LittleEndian.Uint32(size[:])
	if n < 1 || n > longestAnswer {
		kill(w.cmd.Process)
		return 0, nil, fmt.Errorf("an answer of %d bytes", n)
	}
	answer = make([]byte, n-1)
	_, err = io.ReadFull(w.out, answer)
	return size[4], answer, err
}

// died says why a worker ended in the middle of a batch.
func (w *worker) died(err error) error {
	switch {
	case errors.Is(err, errSlow):
		return w.fault(fmt.Errorf("it took longer than %s for one batch and was stopped", w.limits.Batch), "look for a loop without an end, or do less per row")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	_ = w.in.Close()
	how := w.end(100 * time.Millisecond)
	said := w.last.String()
	if strings.Contains(said, launchFailed) {
		return w.fault(errors.New(strings.TrimPrefix(said, launchFailed)), "arus doctor says what this system permits")
	}
	text := fmt.Sprintf("its worker ended in the middle of a batch (%v)", err)
	if how != nil {
		text = fmt.Sprintf("its worker ended in the middle of a batch: %v", how)
	}
	if said != "" {
		text += "; it last said: " + said
	}
	return w.fault(errors.New(text), fmt.Sprintf("a script must not end its process, and gets %d MB of memory", w.limits.Memory>>20))
}

// close ends the process and removes its directory.
func (w *worker) close() error {
	_ = w.in.Close()
	_ = w.end(time.Second) // how it ended was told to who asked it
	if err := os.RemoveAll(w.dir); err != nil {
		return fmt.Errorf("remove the directory of script %s: %w", w.name, err)
	}
	return nil
}

// end waits a moment for the process to end by itself, then ends it and whatever it started. The process is reaped last, so
// that its number still names its group. It returns how the process ended.
func (w *worker) end(patience time.Duration) error {
	if w.ended {
		return nil
	}
	w.ended = true
	silent := make(chan struct{})
	go func() {
		w.printed.Wait()
		close(silent)
	}()
	select {
	case <-silent:
	case <-time.After(patience):
	}
	kill(w.cmd.Process)
	<-silent
	return w.cmd.Wait()
}

// tail keeps the last lines that a worker printed.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lines = append(t.lines, line); len(t.lines) > 5 {
		t.lines = t.lines[1:]
	}
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "; ")
}
