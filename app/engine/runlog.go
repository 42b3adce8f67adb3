package engine

import (
	"context"
	"log/slog"
	"sync"

	"arus/app/model"
)

// runLog writes each line of a run to the program's log and to the state file
// at once: a page that shows a run going on reads it there. What the state file
// did not take waits for the next line.
type runLog struct {
	engine *Engine
	runID  string

	mu       sync.Mutex
	pending  []model.RunLog
	warnings []string
}

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
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	if err := l.flush(ctx); err != nil {
		l.engine.Log.ErrorContext(ctx, "store the run's log", "run", l.runID, "error", err)
	}
}

func (l *runLog) flush(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
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
