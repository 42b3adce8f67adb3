package app

import (
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"arus/app/engine"
)

// progress shows a run on standard error: bars on a terminal, else one line
// for each table that is done. With --quiet nothing; stop ends it.
func (env *environment) progress() (show func(engine.Event), stop func()) {
	switch {
	case env.flags.quiet || env.flags.verbose:
		return nil, func() {}
	case isTerminal(env.Err):
		return newBars(env.Err)
	}
	return env.lines, func() {}
}

func (env *environment) lines(ev engine.Event) {
	if ev.Phase == engine.PhaseDone {
		_, _ = fmt.Fprintf(env.Err, "%s: %s, %s rows read, %s loaded in %s\n", ev.Table, ev.Report.Status,
			count(ev.Report.RowsRead), count(ev.Report.RowsLoaded), millis(ev.Report.DurationMS))
	}
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// bars draws one bar a table.
type bars struct {
	pool *mpb.Progress
	mu   sync.Mutex
	open map[string]*mpb.Bar
}

func newBars(w io.Writer) (func(engine.Event), func()) {
	b := &bars{pool: mpb.New(mpb.WithOutput(w), mpb.WithWidth(40)), open: map[string]*mpb.Bar{}}
	return b.show, b.stop
}

func (b *bars) show(ev engine.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	bar, ok := b.open[ev.Table]
	if !ok {
		bar = b.pool.AddBar(max(ev.Estimate, 0),
			mpb.PrependDecorators(decor.Name(ev.Table, decor.WCSyncSpaceR)),
			mpb.AppendDecorators(decor.CurrentNoUnit("%d rows", decor.WCSyncSpace), decor.AverageSpeed(0, " %.0f/s", decor.WCSyncSpace)))
		b.open[ev.Table] = bar
	}
	if ev.Rows > ev.Estimate {
		bar.SetTotal(ev.Rows+1, false)
	}
	bar.SetCurrent(ev.Rows)
	if ev.Phase == engine.PhaseDone {
		bar.SetTotal(ev.Rows, true)
		if ev.Rows == 0 {
			bar.Abort(false)
		}
	}
}

// stop leaves the bars as they are and waits until the last is drawn.
func (b *bars) stop() {
	b.mu.Lock()
	for _, bar := range b.open {
		if !bar.Completed() {
			bar.Abort(false)
		}
	}
	b.mu.Unlock()
	b.pool.Wait()
}
