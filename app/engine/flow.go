package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"golang.org/x/sync/errgroup"

	"arus/connectors"
)

// queued is how many batches wait between extract and load: enough that neither
// side idles, few enough that memory stays small.
const queued = 1

// flow moves the rows of one read into one load. A table has one, or one for
// each chunk and each attempt.
type flow struct {
	copy    *tableCopy
	columns []connectors.Column
	upper   *connectors.Bound
	ranges  []*connectors.KeyRange // read one after the other; a nil one is the whole table
	limits  connectors.Limits
	open    func(context.Context, *flow) (connectors.Load, error)
	careful bool
	part    bool // the load is a part of a chunked one: its letters are kept before its commit

	lettersTurn *sync.Mutex // of parts: one at a time writes dead letters

	schema      uint64
	seen        *boundary // rows the last run loaded and this one meets again
	seenEdge    *edge     // the stored watermark
	edgeRows    *boundary // rows the next run will meet again
	newEdge     *edge
	print       []byte
	fitter      fitter
	letters     []badRow
	letterBytes int

	read, loaded int64 // read = loaded + filtered + letters
	filtered     int64
	deleted      int64 // of them: rows that the source marks as deleted, added when all were read
	result       connectors.LoadResult
	voids        bool // a required column of a row to load has no value
	load         connectors.Load
}

// newFlow is the flow of the table's window into one load of its own.
func (c *tableCopy) newFlow(columns []connectors.Column, upper *connectors.Bound) *flow {
	f := &flow{copy: c, columns: columns, upper: upper, ranges: []*connectors.KeyRange{nil}, limits: c.limits(columns), open: beginLoad}
	f.schema = schemaFingerprint(columns)
	f.seen, f.edgeRows = newBoundary(), newBoundary()
	f.newEdge = c.newEdge(columns, f.nextLower())
	f.fitter = fitter{holds: c.destination.Holds(), policies: c.job.Pipeline.Options.Policies.OrDefault(), columns: c.shape.load, key: c.plan.key, replaced: map[string]int64{}}
	if c.plan.load == connectors.Merge && !c.backfill {
		f.seen = parseBoundary(c.had.Boundary, f.schema)
		f.seenEdge = c.newEdge(columns, &connectors.Bound{Kind: c.plan.watermark.Type.Kind, Text: c.had.Value})
	}
	return f
}

// run extracts and loads at the same time. The load begins with the first row
// to load: a window in which nothing is new costs the destination nothing.
func (f *flow) run(ctx context.Context) error {
	c := f.copy
	if c.plan.load == connectors.ReplaceWindow && !c.backfill {
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
	err := f.move(ctx)
	f.filtered += f.deleted
	if err == nil && f.load != nil {
		err = f.beforeCommit(ctx)
	}
	if err != nil {
		if f.load != nil {
			err = errors.Join(err, f.load.Abort())
		}
		return err
	}
	if f.load == nil {
		return nil
	}
	c.report(PhaseCommit)
	f.keepRaw()
	result, err := c.commit(ctx, f.load)
	if err != nil {
		return refused(err)
	}
	sent := f.read - f.filtered - int64(len(f.letters))
	f.result, f.loaded = result, sent
	if !f.part && (result.Rows > sent || c.plan.load != connectors.Merge && result.Rows != sent) {
		return c.miscounted(sent, result.Rows)
	}
	return nil
}

// commit makes a load last and visible.
func (c *tableCopy) commit(ctx context.Context, load connectors.Load) (connectors.LoadResult, error) {
	turn := c.turn(c.destination)
	turn.take(ctx)
	defer turn.give()
	return load.Commit(ctx)
}

// beforeCommit refuses a load of which too many rows are dead letters. Those of
// a part are kept before it lasts, since it may be committed by another run than
// the one that ends the load.
func (f *flow) beforeCommit(ctx context.Context) error {
	if f.part {
		f.lettersTurn.Lock()
		defer f.lettersTurn.Unlock()
		return f.copy.keepDeadLetters(ctx, f.letters)
	}
	return f.copy.tolerance.check(int64(len(f.letters)), f.read)
}

// proven says that the server itself has told of each row that it is in the target, and that none lacks a value. Only where
// the key is the source's own does it come once.
func (f *flow) proven() bool {
	c := f.copy
	return c.plan.load == connectors.Merge && !f.careful && f.loaded > 0 && f.result.Upserted == f.loaded && !f.voids && slices.Equal(c.plan.source, c.table.PrimaryKey)
}

func (c *tableCopy) miscounted(sent, arrived int64) error {
	return &connectors.Error{
		Kind: connectors.KindConflict, Op: "load", Object: c.stat.Target,
		Err: fmt.Errorf("%d rows were sent and %d arrived", sent, arrived), Hint: "run it again; if it persists, report it",
	}
}

// move reads on one goroutine and writes on this one.
func (f *flow) move(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	queue := make(chan arrow.RecordBatch, queued)
	group.Go(func() error {
		defer close(queue)
		for _, r := range f.ranges {
			if err := f.extract(ctx, r, queue); err != nil {
				return err
			}
		}
		return nil
	})
	if f.copy.transforms != nil {
		parcels := f.stage(ctx, group, queue)
		group.Go(func() error {
			defer func() {
				for p := range parcels {
					if p.batch != nil {
						p.batch.Release()
					}
					p.release()
				}
			}()
			for p := range parcels {
				if err := f.deliver(ctx, p); err != nil {
					return err
				}
			}
			return nil
		})
		return group.Wait()
	}
	group.Go(func() error {
		defer func() {
			for batch := range queue {
				batch.Release()
			}
		}()
		for batch := range queue {
			if batch = f.withoutDeleted(batch); batch == nil {
				continue
			}
			if err := f.deliver(ctx, parcel{batch: batch}); err != nil {
				return err
			}
		}
		return nil
	})
	return group.Wait()
}

// deliver gives a parcel to the load, which begins with the first one. The
// parcel is released.
func (f *flow) deliver(ctx context.Context, p parcel) error {
	defer p.release()
	if f.load == nil {
		if err := f.begin(ctx); err != nil {
			if p.batch != nil {
				p.batch.Release()
			}
			return err
		}
	}
	f.filtered += p.filtered
	if err := f.keepLetters(p.failed); err != nil || p.batch == nil {
		if p.batch != nil {
			p.batch.Release()
		}
		return err
	}
	turn := f.copy.turn(f.copy.destination)
	turn.take(ctx)
	defer turn.give()
	return f.write(ctx, p)
}

// extract reads one range of the window into the queue.
func (f *flow) extract(ctx context.Context, r *connectors.KeyRange, queue chan<- arrow.RecordBatch) error {
	c := f.copy
	req := connectors.ReadRequest{Table: c.table, Columns: f.columns, Window: c.window, Range: r, Exact: c.sampled, Limits: f.limits}
	turn, own := c.turn(c.source), c.ownTurn()
	turn.take(ctx)
	defer turn.give()
	return c.source.Read(ctx, req, func(batch arrow.RecordBatch) error {
		size := batchBytes(batch)
		if turn.pace == nil { // else this is a part of it
			own.take(ctx)
			defer own.give()
		}
		batch = f.take(batch)
		if batch == nil {
			return nil
		}
		f.read += batch.NumRows()
		c.advance(ctx, batch.NumRows(), size)
		own.give()
		turn.give()
		defer turn.take(ctx)
		select {
		case queue <- batch:
			return nil
		case <-ctx.Done():
			batch.Release()
			return context.Cause(ctx)
		}
	})
}

// batchBytes is about what a batch takes in memory.
func batchBytes(batch arrow.RecordBatch) int64 {
	var n int64
	for _, col := range batch.Columns() {
		for _, b := range col.Data().Buffers() {
			if b != nil {
				n += int64(b.Len())
			}
		}
	}
	return n
}

func (f *flow) begin(ctx context.Context) error {
	load, err := f.open(ctx, f)
	if err != nil {
		return err
	}
	f.load = load
	if l, ok := load.(connectors.Limiter); ok {
		f.fitter.lengths = l.MaxLengths()
	}
	return nil
}

// beginLoad begins the table's load in one piece.
func beginLoad(ctx context.Context, f *flow) (connectors.Load, error) {
	req := f.copy.request()
	req.Careful = f.careful
	return f.copy.destination.Begin(ctx, req)
}

// request is the table's load by its plan.
func (c *tableCopy) request() connectors.LoadRequest {
	return connectors.LoadRequest{
		Target: c.job.Names.Target(c.table, c.config), Columns: c.shape.load, Key: c.plan.key, Mode: c.plan.load,
		Window: c.loadWindow(), RunID: c.run.ID, SyncedAt: c.run.StartedAt, Raw: c.plan.raw, Again: c.tries.total > 0,
	}
}

// loadWindow is the read's window less its further columns, by its name in the
// target.
func (c *tableCopy) loadWindow() *connectors.Window {
	if c.window == nil || len(c.window.Or) == 0 && c.transforms == nil {
		return c.window
	}
	w := *c.window
	w.Or, w.OrUpper, w.Column = nil, nil, c.madeName(w.Column)
	return &w
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
	soft := -1
	if f.copy.removes() {
		soft = findColumn(f.columns, f.copy.config.SoftDeleteColumn)
	}
	var keep []int // nil: all rows so far are kept
	for i := range rows {
		known := f.seen.rows > 0 && f.seenEdge != nil && f.seenEdge.at(batch, i, -1)
		ahead := f.newEdge != nil && !f.edgeRows.full() && f.newEdge.at(batch, i, 1)
		dropped := false
		if known || ahead {
			var h uint64
			h, f.print = rowPrint(f.print, batch, f.columns, i)
			if soft >= 0 && f.copy.due.deletes(batch.Column(soft), i) {
				h = ^h // the row is the same before and after its time has come
			}
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
	return connectors.SelectRows(batch, keep)
}

// edges are the fingerprints that the next run will meet, as they are stored.
func (f *flow) edges(ctx context.Context) []byte {
	own := f.copy.ownTurn()
	own.take(ctx)
	defer own.give()
	return f.edgeRows.encode(f.schema)
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
	turn := c.turn(c.source)
	turn.take(ctx)
	defer turn.give()
	err := c.source.Read(ctx, connectors.ReadRequest{Table: c.table, Columns: f.columns, Window: c.window, Exact: c.sampled, Limits: f.limits},
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
