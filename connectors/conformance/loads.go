package conformance

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"arus/connectors"
)

var modes = []connectors.LoadMode{connectors.Replace, connectors.Merge, connectors.ReplaceWindow}

// in prepares a request of a mode: windows are replaced in tables without a key.
func (h *Harness) in(mode connectors.LoadMode, name string) connectors.LoadRequest {
	req := h.request(name, idText(), []string{"id"}, mode)
	if mode == connectors.ReplaceWindow {
		req.Key = nil
		req.Window = &connectors.Window{Column: "id", Lower: &connectors.Bound{Kind: connectors.Int64, Text: "5"}, Upper: &connectors.Bound{Kind: connectors.Int64, Text: "14"}}
	}
	return req
}

func loadingTwiceGivesTheSameTable(t *testing.T, h *Harness) {
	d, s := h.destination(t), h.source(t)
	for _, mode := range modes {
		for _, raw := range []bool{false, true} {
			name := fmt.Sprintf("t%d_%v", mode, raw)
			first := h.in(connectors.Replace, name)
			if mode == connectors.ReplaceWindow {
				first.Key = nil
			}
			load(t, d, first, counted(20, "old"))
			req := h.in(mode, name)
			if raw {
				req.Raw = &connectors.RawTarget{Table: connectors.TableRef{Schema: h.Schema, Name: name + "_raw"}}
			}
			rows := counted(15, "new")[5:]
			want := counted(20, "old")
			if mode == connectors.Replace {
				want = rows
			} else {
				copy(want[5:], rows)
			}
			for range 2 {
				req.RunID = first.RunID[:35] + "0"
				load(t, d, req, rows)
				if diff := cmp.Diff(want, h.read(t, s, req)); diff != "" {
					t.Errorf("%s, raw %v (-want +got):\n%s", mode, raw, diff)
				}
			}
		}
	}
}

func abortLeavesTheTarget(t *testing.T, h *Harness) {
	d, s := h.destination(t), h.source(t)
	for _, mode := range modes {
		name := fmt.Sprintf("t%d", mode)
		absent := h.in(mode, name)
		l, err := d.Begin(t.Context(), absent)
		if err != nil {
			t.Fatal(err)
		}
		write(t, l, absent.Columns, counted(5, "lost"))
		if err := l.Abort(); err != nil {
			t.Errorf("%s: abort: %v", mode, err)
		}
		if left := h.tables(t, s, h.Schema); len(left) > int(mode)-1 {
			t.Errorf("%s: an aborted load leaves %d tables", mode, len(left))
		}
		first := h.in(connectors.Replace, name)
		first.Key = absent.Key
		load(t, d, first, counted(20, "old"))
		for _, wrote := range []int{0, 30} {
			l, err := d.Begin(t.Context(), h.in(mode, name))
			if err != nil {
				t.Fatal(err)
			}
			write(t, l, absent.Columns, counted(wrote, "new"))
			if err := l.Abort(); err != nil {
				t.Errorf("%s: abort: %v", mode, err)
			}
			if diff := cmp.Diff(counted(20, "old"), h.read(t, s, first)); diff != "" {
				t.Errorf("%s: an aborted load of %d rows changed the target (-want +got):\n%s", mode, wrote, diff)
			}
		}
		if left := h.tables(t, s, h.Schema); len(left) != int(mode) {
			t.Errorf("%s: %d tables, want %d: aborted loads leave something behind", mode, len(left), mode)
		}
	}
}

func aSecondLoadConflicts(t *testing.T, h *Harness) {
	d, other := h.destination(t), h.destination(t)
	req := h.in(connectors.Replace, "t")
	l, err := d.Begin(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	second := req
	second.LockWait = 50 * time.Millisecond
	started := time.Now()
	if _, err := other.Begin(t.Context(), second); connectors.KindOf(err) != connectors.KindConflict || !mentions(err, "t") {
		t.Errorf("a second load of the target begins with %v, want a conflict", err)
	}
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("the conflict took %s to show, with a wait of %s", took, second.LockWait)
	}
	elsewhere := second
	elsewhere.Target.Name = "t2"
	load(t, other, elsewhere, counted(3, "another target"))
	if err := l.Abort(); err != nil {
		t.Fatal(err)
	}
	load(t, other, second, counted(3, "after"))
}

func readersSeeOldOrNew(t *testing.T, h *Harness) {
	const rows, loads = 3000, 6
	d, s := h.destination(t), h.source(t)
	req := h.in(connectors.Replace, "t")
	load(t, d, req, counted(rows, "0"))
	table := h.find(t, s, req.Target)
	done := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		for n, ended := 0, false; !ended || n < 3; n++ {
			select {
			case <-done:
				ended = true
			default:
			}
			seen, err := ReadAll(t.Context(), s, connectors.ReadRequest{Table: table, Columns: req.Columns, Limits: connectors.Limits{Rows: 100}})
			if err != nil {
				if h.Gap && connectors.KindOf(err) == connectors.KindNotFound {
					continue
				}
				t.Errorf("a reader during the swap: %v", err)
				return
			}
			versions := map[any]int{}
			for _, r := range seen {
				versions[r[1]]++
			}
			if len(seen) != rows || len(versions) != 1 {
				t.Errorf("a reader saw %d rows of versions %v", len(seen), versions)
				return
			}
		}
	})
	for i := range loads {
		req.RunID = h.request("", nil, nil, 0).RunID
		load(t, d, req, counted(rows, fmt.Sprint(i+1)))
	}
	close(done)
	wait.Wait()
}

func cancelEndsALoad(t *testing.T, h *Harness) {
	d, s := h.destination(t), h.source(t)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, mode := range modes {
		name := fmt.Sprintf("t%d", mode)
		req := h.in(mode, name)
		first := h.in(connectors.Replace, name)
		first.Key = req.Key
		load(t, d, first, counted(20, "old"))
		promptly := func(what string, err error, started time.Time) {
			t.Helper()
			if took := time.Since(started); !errors.Is(err, context.Canceled) || took > 5*time.Second {
				t.Errorf("%s: %s with a cancelled context gives %v after %s, want context.Canceled", mode, what, err, took)
			}
		}
		started := time.Now()
		l, err := d.Begin(cancelled, req)
		promptly("Begin", err, started)
		if err == nil {
			_ = l.Abort()
		}
		if l, err = d.Begin(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		batch, err := Batch(req.Columns, counted(10_000, "new"))
		if err != nil {
			t.Fatal(err)
		}
		batch.Retain() // for a second write, of which nothing may remain
		if err := l.Write(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		started = time.Now()
		promptly("Write", l.Write(cancelled, batch), started)
		if err := l.Abort(); err != nil {
			t.Errorf("%s: abort after a cancelled Write: %v", mode, err)
		}
		if l, err = d.Begin(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		write(t, l, req.Columns, counted(50, "new"))
		started = time.Now()
		_, err = l.Commit(cancelled)
		promptly("Commit", err, started)
		if err := l.Abort(); err != nil {
			t.Errorf("%s: abort after a cancelled Commit: %v", mode, err)
		}
		if diff := cmp.Diff(counted(20, "old"), h.read(t, s, first)); diff != "" {
			t.Errorf("%s: a cancelled load changed the target (-want +got):\n%.1000s", mode, diff)
		}
		load(t, d, first, counted(3, "after")) // nothing holds the target
	}
}

func nullsInAKeyAreRefused(t *testing.T, h *Harness) {
	d, s := h.destination(t), h.source(t)
	for _, mode := range []connectors.LoadMode{connectors.Replace, connectors.Merge} {
		req := h.in(mode, fmt.Sprintf("t%d", mode))
		l, err := d.Begin(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		batch, err := Batch(req.Columns, [][]any{{"1", "a"}, {nil, "b"}})
		if err != nil {
			t.Fatal(err)
		}
		if err = l.Write(t.Context(), batch); err == nil {
			_, err = l.Commit(t.Context())
		}
		if !mentions(err, "id") || connectors.KindOf(err) == "" {
			t.Errorf("%s: a NULL in the key gives %v (kind %q)", mode, err, connectors.KindOf(err))
		}
		_ = l.Abort()
		if left := h.tables(t, s, h.Schema); len(left) != 0 {
			t.Errorf("%s: the failed load leaves %d tables", mode, len(left))
		}
	}
}
