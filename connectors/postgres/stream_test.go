package postgres

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// manyPairs are n rows whose ids step from one on.
func manyPairs(first, step, n int, text string) arrow.RecordBatch {
	rows := make([]pair, n)
	for i := range rows {
		rows[i] = pair{int32(first + i*step), text}
	}
	return pairs(rows...)
}

// TestUpsertsWhileRowsCome loads so many rows that some are upserted before others are sent.
func TestUpsertsWhileRowsCome(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := t.Context()
	batches := func() []arrow.RecordBatch {
		return []arrow.RecordBatch{
			manyPairs(1, 2, streamRows, "odd"),      // of which half are there
			manyPairs(5, 0, 3, "again"),             // equal keys, one behind the other and with an earlier batch
			manyPairs(2, 4, streamRows, "even"),     //
			manyPairs(1, 1, 10, "late"),             // rows that earlier upserts brought
			manyPairs(7, 0, 2*streamRows, "beaten"), // equal keys in an upsert of their own
			manyPairs(7, 1, 2, "last"),
		}
	}
	begin := func() connectors.Load {
		t.Helper()
		load, err := f.dest.Begin(ctx, pairRequest(connectors.Merge))
		if err != nil {
			t.Fatal(err)
		}
		return load
	}
	first, err := f.dest.Begin(ctx, pairRequest(connectors.Replace))
	if err == nil {
		err = first.Write(ctx, manyPairs(1, 1, streamRows, "old"))
	}
	if err == nil {
		_, err = first.Commit(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	state := func() string {
		return fmt.Sprint(f.text("SELECT count(*), sum(hashtext(id || v)) FROM analytics.t"))
	}
	before := state()
	write := func(load connectors.Load, n int) (err error) {
		for i, b := range batches() {
			if i >= n || err != nil {
				b.Release()
				continue
			}
			flow, end := context.WithCancel(ctx) // what a flow writes under is over before it commits
			err = load.Write(flow, b)
			end()
			if state() != before {
				t.Fatal("rows are seen before they are committed")
			}
		}
		return err
	}

	for n := 1; n <= len(batches()); n++ {
		load := begin()
		if err := write(load, n); err != nil {
			t.Fatal(err)
		}
		if err := load.Abort(); err != nil || state() != before {
			t.Fatalf("after %d batches and an abort: %v, changed %v", n, err, state() != before)
		}
	}

	load := begin()
	if err := write(load, 1); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	if err := load.Write(over, manyPairs(1, 1, 1, "x")); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled write: %v", err)
	}
	if err := load.Abort(); err != nil || state() != before {
		t.Fatalf("after a cancel: %v, changed %v", err, state() != before)
	}

	load = begin()
	if err := write(load, len(batches())); err != nil {
		t.Fatal(err)
	}
	result, err := load.Commit(ctx)
	if want := int64(4*streamRows + 15); err != nil || result.Rows != want {
		t.Fatalf("%d rows arrived, want %d: %v", result.Rows, want, err)
	}
	want := map[int]string{}
	for i := range streamRows {
		want[1+i] = "old"
	}
	for i := range streamRows {
		want[1+2*i] = "odd"
	}
	for i := range streamRows {
		want[2+4*i] = "even"
	}
	for i := 1; i <= 10; i++ {
		want[i] = "late"
	}
	want[7], want[8] = "last", "last"
	got := f.text("SELECT id || '|' || v FROM analytics.t")
	for _, line := range got {
		var id int
		var v string
		if _, err := fmt.Sscanf(line, "%d|%s", &id, &v); err != nil || want[id] != v {
			t.Fatalf("row %s, want %q: %v", line, want[id], err)
		}
		delete(want, id)
	}
	if len(want) > 0 {
		t.Errorf("%d rows are missing", len(want))
	}
}

// TestARefusalWhileRowsCome is told by a later call, as what it is, and leaves the target as it was.
func TestARefusalWhileRowsCome(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := t.Context()
	f.mustLoad(pairRequest(connectors.Replace), pair{1, "a"})
	f.exec("ALTER TABLE analytics.t ADD CHECK (v <> 'bad')")
	load, err := f.dest.Begin(ctx, pairRequest(connectors.Merge))
	if err != nil {
		t.Fatal(err)
	}
	if err := load.Write(ctx, manyPairs(1, 1, streamRows, "bad")); err != nil {
		t.Fatalf("the upsert is not under way yet: %v", err)
	}
	err = load.Write(ctx, manyPairs(1, 1, 1, "good"))
	wantKind(t, err, connectors.KindConstraint, "analytics.t")
	if _, again := load.Commit(ctx); again == nil {
		t.Error("it could be committed")
	}
	f.wantRows("1|a")
	f.mustLoad(pairRequest(connectors.Merge), pair{2, "b"})
	f.wantRows("1|a", "2|b")
}
