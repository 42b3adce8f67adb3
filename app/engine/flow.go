package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"golang.org/x/sync/errgroup"

	"arus/connectors"
)

// queued is how many batches wait between extract and load: enough that neither
// side idles, few enough that memory stays small.
const queued = 1

// flow moves the rows of one read into one load.
type flow struct {
	copy    *tableCopy
	columns []connectors.Column
	upper   *connectors.Bound

	schema   uint64
	seen     *boundary // rows the last run loaded and this one meets again
	seenEdge *edge     // the stored watermark
	edgeRows *boundary // rows the next run will meet again
	newEdge  *edge
	print    []byte
	fitter   fitter
	letters  []badRow

	read, loaded int64 // read = loaded + letters
	result       connectors.LoadResult
	load         connectors.Load
}

// run extracts and loads at the same time. The load begins with the first row
// to load: a window in which nothing is new costs the destination nothing.
func (f *flow) run(ctx context.Context) error {
	c := f.copy
	f.schema = schemaFingerprint(f.columns)
	f.seen, f.edgeRows = newBoundary(), newBoundary()
	f.newEdge = newEdge(f.columns, c.plan.watermark, f.nextLower())
	f.fitter = fitter{holds: c.job.Holds, policies: c.job.Pipeline.Options.Policies.OrDefault(), columns: f.columns, key: c.plan.key, replaced: map[string]int64{}}
	if c.plan.load == connectors.Merge && c.job.BackfillFrom == "" {
		f.seen = parseBoundary(c.had.Boundary, f.schema)
		f.seenEdge = newEdge(f.columns, c.plan.watermark, &connectors.Bound{Kind: c.plan.watermark.Type.Kind, Text: c.had.Value})
	}
	if c.plan.load == connectors.ReplaceWindow && c.job.BackfillFrom == "" {
		same, err := f.sameWindow(ctx)
		if err != nil || same {
			return err
		}
	}
	if c.plan.load == connectors.Replace {
		if err := f.begin(ctx); err != nil {
			return err
		}
	}
	if err := f.move(ctx); err != nil {
		if f.load != nil {
			err = errors.Join(err, f.load.Abort())
		}
		return err
	}
	if f.load == nil {
		return nil
	}
	c.engine.progress(Event{Table: c.stat.TableName, Phase: PhaseCommit, Rows: f.read, Estimate: c.table.RowEstimate})
	result, err := f.load.Commit(ctx)
	if err != nil {
		return err
	}
	sent := f.read - int64(len(f.letters))
	f.result, f.loaded = result, sent
	if result.Rows > sent || c.plan.load != connectors.Merge && result.Rows != sent {
		return &connectors.Error{
			Kind: connectors.KindConflict, Op: "load", Object: c.stat.Target,
			Err: fmt.Errorf("%d rows were sent and %d arrived", sent, result.Rows), Hint: "run it again; if it persists, report it",
		}
	}
	return nil
}

// fit applies the policies to a batch and keeps the rows they take out.
func (f *flow) fit(batch arrow.RecordBatch) (arrow.RecordBatch, error) {
	batch, bad, err := f.fitter.fit(batch)
	if err != nil {
		return nil, err
	}
	if f.letters = append(f.letters, bad...); len(f.letters) > maxDeadLetters {
		if batch != nil {
			batch.Release()
		}
		return nil, &connectors.Error{
			Kind: connectors.KindType, Op: "load", Object: f.copy.stat.Target,
			Err:  fmt.Errorf("more than %d rows would be dead letters, the last because of %s", maxDeadLetters, bad[len(bad)-1].reason),
			Hint: "set the pipeline's policy for such values to replace, or mend them at the source",
		}
	}
	return batch, nil
}

// move reads on one goroutine and writes on this one.
func (f *flow) move(ctx context.Context) error {
	c := f.copy
	group, ctx := errgroup.WithContext(ctx)
	queue := make(chan arrow.RecordBatch, queued)
	group.Go(func() error {
		defer close(queue)
		req := connectors.ReadRequest{Table: c.table, Columns: f.columns, Window: c.window, Limits: c.job.Limits}
		return c.source.Read(ctx, req, func(batch arrow.RecordBatch) error {
			batch = f.take(batch)
			if batch == nil {
				return nil
			}
			f.read += batch.NumRows()
			c.engine.progress(Event{Table: c.stat.TableName, Phase: PhaseRows, Rows: f.read, Estimate: c.table.RowEstimate})
			select {
			case queue <- batch:
				return nil
			case <-ctx.Done():
				batch.Release()
				return context.Cause(ctx)
			}
		})
	})
	group.Go(func() error {
		defer func() {
			for batch := range queue {
				batch.Release()
			}
		}()
		for batch := range queue {
			if f.load == nil {
				if err := f.begin(ctx); err != nil {
					batch.Release()
					return err
				}
			}
			fitting, err := f.fit(batch)
			if err != nil {
				return err
			}
			if fitting == nil {
				continue
			}
			if err := f.load.Write(ctx, fitting); err != nil {
				return err
			}
		}
		return nil
	})
	return group.Wait()
}

func (f *flow) begin(ctx context.Context) error {
	c := f.copy
	load, err := c.destination.Begin(ctx, connectors.LoadRequest{
		Target: c.job.Names.Target(c.table, c.config), Columns: f.columns, Key: c.plan.key, Mode: c.plan.load,
		Window: c.window, RunID: c.run.ID, SyncedAt: c.run.StartedAt, Raw: c.plan.raw,
	})
	if err != nil {
		return err
	}
	f.load = load
	if l, ok := load.(connectors.Limiter); ok {
		f.fitter.lengths = l.MaxLengths()
	}
	return nil
}

// nextLower is where the next read will begin.
func (f *flow) nextLower() *connectors.Bound {
	if f.upper == nil {
		return nil
	}
	b := lookBack(*f.upper, f.copy.lookBackSeconds())
	return &b
}

// take drops the rows that were loaded before and are unchanged, and remembers
// those that the next read will meet. It returns nil when no row is left.
func (f *flow) take(batch arrow.RecordBatch) arrow.RecordBatch {
	if f.newEdge == nil && f.seenEdge == nil {
		return batch
	}
	rows := int(batch.NumRows())
	var keep []int // nil: all rows so far are kept
	for i := range rows {
		known := f.seen.rows > 0 && f.seenEdge != nil && f.seenEdge.at(batch, i, -1)
		ahead := f.newEdge != nil && !f.edgeRows.full() && f.newEdge.at(batch, i, 1)
		dropped := false
		if known || ahead {
			var h uint64
			h, f.print = rowPrint(f.print, batch, f.columns, i)
			if known {
				dropped = f.seen.has(h)
			}
			if ahead {
				f.edgeRows.add(h)
			}
		}
		if dropped && keep == nil {
			keep = make([]int, 0, rows)
			for k := range i {
				keep = append(keep, k)
			}
		}
		if !dropped && keep != nil {
			keep = append(keep, i)
		}
	}
	if keep == nil {
		return batch
	}
	defer batch.Release()
	if len(keep) == 0 {
		return nil
	}
	return selectRows(batch, keep)
}

// selectRows makes a batch of the given rows, by slicing runs of neighbours.
func selectRows(batch arrow.RecordBatch, keep []int) arrow.RecordBatch {
	columns := make([]arrow.Array, batch.NumCols())
	for c := range columns {
		arr := batch.Column(c)
		var parts []arrow.Array
		for i := 0; i < len(keep); {
			j := i + 1
			for j < len(keep) && keep[j] == keep[j-1]+1 {
				j++
			}
			parts = append(parts, array.NewSlice(arr, int64(keep[i]), int64(keep[j-1]+1)))
			i = j
		}
		joined, err := array.Concatenate(parts, memory.DefaultAllocator)
		if err != nil {
			panic("engine: slices of one array do not join: " + err.Error())
		}
		columns[c] = joined
		for _, p := range parts {
			p.Release()
		}
	}
	out := array.NewRecordBatch(batch.Schema(), columns, int64(len(keep)))
	for _, col := range columns {
		col.Release()
	}
	return out
}

// sameWindow reads a keyless table's window and compares its rows with the
// fingerprints of the last run: when they are the same rows, nothing is loaded.
// Without a key a changed row cannot be told from a new one, so any difference
// means that the whole window is replaced.
func (f *flow) sameWindow(ctx context.Context) (bool, error) {
	c := f.copy
	seen := parseBoundary(c.had.Boundary, f.schema)
	if seen.rows == 0 || f.upper.Text != c.had.Value {
		return false, nil
	}
	found := newBoundary()
	different := errors.New("different")
	err := c.source.Read(ctx, connectors.ReadRequest{Table: c.table, Columns: f.columns, Window: c.window, Limits: c.job.Limits},
		func(batch arrow.RecordBatch) error {
			defer batch.Release()
			for i := range int(batch.NumRows()) {
				var h uint64
				h, f.print = rowPrint(f.print, batch, f.columns, i)
				if found.add(h); found.prints[h] > seen.prints[h] {
					return different
				}
			}
			return nil
		})
	if errors.Is(err, different) {
		return false, nil
	}
	return err == nil && found.rows == seen.rows, err
}
