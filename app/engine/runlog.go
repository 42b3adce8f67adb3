package engine

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"arus/app/model"
)

// runLog writes each line of a run to the program's log at once, and to the
// state file with a short delay: a page that shows a run going on reads it
// there, and a thousand small tables do not wait for as many writes. Warnings
// and errors do not wait. What the state file did not take waits for the next
// line.
type runLog struct {
	engine *Engine
	runID  string

	mu       sync.Mutex
	pending  []model.RunLog
	starts   []model.RunTableStat
	timer    *time.Timer // a write is due
	warnings []string
}

// logDelay is how long a line may wait for company.
const logDelay = 250 * time.Millisecond

// maxWarnings bounds what a report repeats; the log has all.
const maxWarnings = 100

func newRunLog(e *Engine, runID string) *runLog {
	return &runLog{engine: e, runID: runID, warnings: []string{}}
}

// add takes a line of the run; table is empty for lines of the run as a whole.
func (l *runLog) add(ctx context.Context, level slog.Level, table, message string) {
	attrs := []any{"run", l.runID}
	if table != "" {
		attrs = append(attrs, "table", table)
		message = table + ": " + message
	}
	l.engine.Log.Log(ctx, level, message, attrs...) //nolint:sloglint // the line is the run log's, made elsewhere
	l.mu.Lock()
	l.pending = append(l.pending, model.RunLog{RunID: l.runID, Timestamp: l.engine.Now(), Level: logLevel(level), Message: message})
	if level == slog.LevelWarn && len(l.warnings) < maxWarnings {
		l.warnings = append(l.warnings, message)
	}
	l.mu.Unlock()
	l.write(ctx, level >= slog.LevelWarn)
}

// start takes the beginning of a table, which the state file knows at the latest
// when the table's end is recorded.
func (l *runLog) start(ctx context.Context, stat *model.RunTableStat) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	stat.ID = id.String()
	l.mu.Lock()
	l.starts = append(l.starts, *stat)
	l.mu.Unlock()
	l.write(ctx, false)
	return nil
}

// write writes now, or soon.
func (l *runLog) write(ctx context.Context, now bool) {
	ctx = context.WithoutCancel(ctx)
	if !now {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.timer == nil {
			l.timer = time.AfterFunc(logDelay, func() { l.write(ctx, true) })
		}
		return
	}
	ctx, cancel := context.WithTimeout(ctx, finishTimeout)
	defer cancel()
	if err := l.flush(ctx); err != nil {
		l.engine.Log.ErrorContext(ctx, "store the run's log", "run", l.runID, "error", err)
	}
}

// flush writes what waits. After it nothing is under way.
func (l *runLog) flush(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	if len(l.starts) > 0 {
		if err := l.engine.State.StartTables(ctx, l.starts); err != nil {
			return err
		}
		l.starts = nil
	}
	if len(l.pending) == 0 {
		return nil
	}
	if err := l.engine.State.AppendRunLogs(ctx, l.pending); err != nil {
		return err
	}
	l.pending = nil
	return nil
}

func logLevel(level slog.Level) model.LogLevel {
	switch {
	case level >= slog.LevelError:
		return model.LogError
	case level >= slog.LevelWarn:
		return model.LogWarning
	case level >= slog.LevelInfo:
		return model.LogInfo
	}
	return model.LogDebug
}
