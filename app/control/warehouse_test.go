package control_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"arus/app/control/controltest"
	"arus/connectors/warehouse/schema"
)

// lines is a log that says when there is a new line.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.text.Write(p)
	select {
	case l.more <- struct{}{}:
	default:
	}
	return n, err
}

// await waits for a line with all the words.
func (l *lines) await(t *testing.T, words ...string) {
	t.Helper()
	for {
		l.mu.Lock()
		text := l.text.String()
		l.mu.Unlock()
		for line := range strings.SplitSeq(text, "\n") {
			found := true
			for _, w := range words {
				found = found && strings.Contains(line, w)
			}
			if found {
				return
			}
		}
		select {
		case <-l.more:
		case <-time.After(20 * time.Second):
			t.Fatalf("no line with %q:\n%s", words, text)
		}
	}
}

// TestTheWarehouseIsTended ticks the clock on and sees each job done when it is
// due, with its log line; and no warehouse made by looking for one.
func TestTheWarehouseIsTended(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	at := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	now := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return at
	}
	log := &lines{more: make(chan struct{}, 1)}
	dir := t.TempDir()
	s := controltest.Open(t, dir, now, slog.New(slog.NewTextHandler(log, nil)))
	ctx, cancel := context.WithCancel(controltest.Admin(t))
	ticks, over := make(chan time.Time), make(chan struct{})
	go func() {
		defer close(over)
		s.TendWarehouse(ctx, ticks)
	}()
	tick := func(after time.Duration) {
		mu.Lock()
		at = at.Add(after)
		mu.Unlock()
		ticks <- at
	}
	tick(0)
	tick(0)
	if _, err := os.Stat(filepath.Join(dir, "warehouse")); !os.IsNotExist(err) {
		t.Errorf("looking made a warehouse: %v", err)
	}
	trips := &schema.Table{Name: "trips", IsFactTable: true, Config: schema.DefaultConfig(), PrimaryKeyColumns: []int{1}, Columns: []schema.Column{{Name: "ts", Type: "Uint32"}, {Name: "id", Type: "Int64"}}}
	trips.Config.RecordRetentionInDays = 5
	if _, err := s.AddWarehouseTable(ctx, trips); err != nil {
		t.Fatal(err)
	}
	put := func(id string, daysAgo int64) {
		t.Helper()
		when := strconv.FormatInt(now().Unix()-daysAgo*86400, 10)
		if sum, err := s.UpsertRows(ctx, "trips", []string{"ts", "id"}, [][]*string{{&when, &id}}); err != nil || len(sum.Rejected) > 0 {
			t.Fatalf("%+v %v", sum, err)
		}
	}
	put("1", 3)
	tick(0)
	log.await(t, "warehouse job done", "table=trips", "job=archiving", "rows=1")
	tick(0) // the tick before has been dealt with
	put("2", 4)
	tick(2 * time.Hour)
	log.await(t, "job=backfill", "rows=1")
	tick(4 * 24 * time.Hour)
	log.await(t, "job=retention", "rows=2")
	cancel()
	<-over
}
