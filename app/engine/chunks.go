package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/zeebo/xxh3"
	"golang.org/x/sync/errgroup"

	"arus/app/model"
	"arus/connectors"
)

// DefaultChunkRows is about how many rows a chunk of a large first load has.
// Tables of less than two chunks are loaded in one piece.
const DefaultChunkRows = 500_000

// resumeRefresh is how old an unfinished load may be that a full refresh goes on
// with: who asks for one wants to see what was deleted since.
const resumeRefresh = 24 * time.Hour

// uncounted is the RawRows of a chunk that the destination has and of which
// nobody recorded what was in it: the program was killed between the two.
const uncounted = -1

// chunkedLoad fills a load of a whole table in chunks, several at a time. What a
// chunk brought lasts at the destination and is recorded, so that the next
// attempt, or the next run, does only what is missing. The destination has the
// last word on what is there.
type chunkedLoad struct {
	copy    *tableCopy
	columns []connectors.Column
	upper   *connectors.Bound
	state   model.ChunkedLoad
	ranges  []*connectors.KeyRange
	load    connectors.PartLoad // nil when it was ended

	mu      sync.Mutex
	refused []int // chunks that need care
	letters sync.Mutex
}

func (j *Job) chunkRows() int64 {
	if n := j.Pipeline.Options.ChunkRows; n > 0 {
		return n
	}
	return DefaultChunkRows
}

// guessedRow is the bytes of a row where the source knows how large a table is
// and not how many rows it has, as before its first statistics.
const guessedRow = 200

func (c *tableCopy) aboutRows() int64 {
	if c.table.RowEstimate < 0 && c.table.Bytes > 0 {
		return c.table.Bytes / guessedRow
	}
	return c.table.RowEstimate
}

// chunked loads the table in chunks where both ends can, the table is large and
// its rows can be told apart and bounded by a watermark. done is false where it
// has to be loaded in one piece.
func (c *tableCopy) chunked(ctx context.Context, columns []connectors.Column, upper *connectors.Bound) (out outcome, done bool, err error) {
	chunker, ok := c.source.(connectors.Chunker)
	if !ok || c.transforms != nil && c.transforms.stream || c.plan.load != connectors.Replace || c.plan.watermark == nil || upper == nil || !c.keyIsSolid() {
		return outcome{}, false, nil
	}
	l := &chunkedLoad{copy: c, columns: columns, upper: upper}
	plan := c.planPrint(columns)
	if l.state, err = c.engine.State.ChunkedLoad(ctx, c.job.Pipeline.ID, c.stat.TableName); err != nil {
		return outcome{}, false, fmt.Errorf("read the progress of the chunks: %w", err)
	}
	if had := l.state; had.Token != "" {
		switch {
		case had.Plan != plan:
			c.log(ctx, slog.LevelInfo, "an unfinished load in chunks is dropped: the table, its key or how it is loaded has changed")
			l.state = model.ChunkedLoad{}
		case c.job.FullRefresh && c.engine.Now().Sub(had.CreatedAt) > resumeRefresh:
			c.log(ctx, slog.LevelInfo, "an unfinished load in chunks is dropped: it is older than a day")
			l.state = model.ChunkedLoad{}
		}
	}
	if l.state.Token == "" {
		if c.aboutRows() < 2*c.job.chunkRows() {
			return outcome{}, false, nil
		}
		ranges, err := chunker.Chunks(ctx, c.table, c.plan.source, max(1, c.job.chunkRows()>>c.shrink))
		if err != nil {
			return outcome{}, false, err
		}
		if len(ranges) < 2 {
			return outcome{}, false, nil
		}
		if l.state, err = newChunkedLoad(c.job.Pipeline.ID, c.stat.TableName, plan, upper.Text, ranges); err != nil {
			return outcome{}, false, err
		}
	}
	if err := l.parseRanges(); err != nil {
		return outcome{}, false, err
	}
	l.upper = &connectors.Bound{Kind: upper.Kind, Text: l.state.Upper}
	c.window.Upper = l.upper
	if err := l.begin(ctx, false); err != nil || l.load == nil {
		return outcome{}, false, err
	}
	if l.state.CreatedAt.IsZero() {
		if err := c.engine.State.StartChunkedLoad(ctx, &l.state); err != nil {
			return outcome{}, false, errors.Join(fmt.Errorf("record the chunks: %w", err), l.load.Abort())
		}
		c.log(ctx, slog.LevelInfo, fmt.Sprintf("%s; in %d chunks of about %d rows by key %v, since the table has about %d rows",
			c.describe(columns), len(l.ranges), max(1, c.job.chunkRows()>>c.shrink), c.plan.key, c.aboutRows()))
	} else {
		c.log(ctx, slog.LevelInfo, fmt.Sprintf("%s; going on with a load in chunks: %d of %d were done",
			c.describe(columns), l.done(), len(l.ranges)))
	}
	out, err = l.run(ctx)
	return out, true, err
}

// keyIsSolid says whether the key's columns are never null, so that stretches of
// the key have every row.
func (c *tableCopy) keyIsSolid() bool {
	for _, name := range c.plan.source {
		if col, ok := c.table.Column(name); !ok || col.Nullable {
			return false
		}
	}
	return len(c.plan.source) > 0
}

// planPrint is the same for loads that can be finished by one another.
func (c *tableCopy) planPrint(columns []connectors.Column) string {
	text := fmt.Sprintf("%x\n%x\n%q\n%q\n%s\n%s\n%t\n%d\n%q", schemaFingerprint(columns), schemaFingerprint(c.shape.load), c.plan.key, c.plan.target, c.plan.watermark.Name,
		c.plan.watermark.Type, c.window.Nulls, c.lookBackSeconds(), c.job.Pipeline.Options.Policies)
	if c.plan.raw != nil {
		text += c.plan.raw.Table.String()
	}
	if c.transforms != nil {
		text += string(c.config.TransformConfig)
	}
	return fmt.Sprintf("%016x", xxh3.HashString(text))
}

// keyStretch is the stored form of a range: the values' texts, by key column.
type keyStretch struct {
	From []string `json:"from,omitempty"`
	To   []string `json:"to,omitempty"`
}

func newChunkedLoad(pipeline, table, plan, upper string, ranges []connectors.KeyRange) (model.ChunkedLoad, error) {
	var token [8]byte
	_, _ = rand.Read(token[:]) // never fails
	l := model.ChunkedLoad{PipelineID: pipeline, SourceTable: table, Token: hex.EncodeToString(token[:]), Plan: plan, Upper: upper}
	for i, r := range ranges {
		data, err := json.Marshal(keyStretch{From: boundTexts(r.From), To: boundTexts(r.To)})
		if err != nil {
			return l, fmt.Errorf("record chunk %d: %w", i, err)
		}
		l.Chunks = append(l.Chunks, model.Chunk{Position: i, Range: data})
	}
	return l, nil
}

func boundTexts(bounds []connectors.Bound) []string {
	var texts []string
	for _, b := range bounds {
		texts = append(texts, b.Text)
	}
	return texts
}

func (l *chunkedLoad) parseRanges() error {
	c := l.copy
	bounds := func(texts []string) ([]connectors.Bound, error) {
		if len(texts) == 0 {
			return nil, nil
		}
		if len(texts) != len(c.plan.source) {
			return nil, fmt.Errorf("%d values for a key of %d columns", len(texts), len(c.plan.source))
		}
		var bounds []connectors.Bound
		for i, name := range c.plan.source {
			col, _ := c.table.Column(name)
			bounds = append(bounds, connectors.Bound{Kind: col.Type.Kind, Text: texts[i]})
		}
		return bounds, nil
	}
	for _, chunk := range l.state.Chunks {
		var s keyStretch
		err := json.Unmarshal(chunk.Range, &s)
		r := &connectors.KeyRange{Columns: c.plan.source}
		if err == nil {
			r.From, err = bounds(s.From)
		}
		if err == nil {
			r.To, err = bounds(s.To)
		}
		if err != nil {
			return fmt.Errorf("read chunk %d of %s: %w", chunk.Position, c.stat.TableName, err)
		}
		l.ranges = append(l.ranges, r)
	}
	return nil
}

// begin begins the load under its token. A destination that has no parts leaves
// l.load nil.
func (l *chunkedLoad) begin(ctx context.Context, careful bool) error {
	req := l.copy.request()
	req.Resume, req.Careful = l.state.Token, careful
	load, err := l.copy.destination.Begin(ctx, req)
	if err != nil {
		return err
	}
	parts, ok := load.(connectors.PartLoad)
	if !ok {
		return load.Abort()
	}
	l.load = parts
	return nil
}

// run fills what is missing and makes the whole visible.
func (l *chunkedLoad) run(ctx context.Context) (outcome, error) {
	c := l.copy
	for _, chunk := range l.state.Chunks {
		if chunk.Done {
			c.rows.Add(chunk.Counts.Read)
			c.tolerance.rows += chunk.Counts.DeadLetters
		}
	}
	c.chunkCount.Store(int64(len(l.ranges)))
	c.chunksDone.Store(int64(l.done()))
	err := l.fill(ctx)
	var sum model.RunCounts
	whole := true // every chunk's rows are known
	base := ""
	edges := newBoundary()
	schema := schemaFingerprint(l.columns)
	for _, chunk := range l.state.Chunks {
		sum.Read += chunk.Counts.Read
		sum.Loaded += chunk.Counts.Loaded
		sum.DeadLetters += chunk.Counts.DeadLetters
		if chunk.RunID != "" && (base == "" || chunk.RunID < base) {
			base = chunk.RunID // ids of runs follow their time
		}
		whole = whole && chunk.RawRows != uncounted
		edges.join(parseBoundary(chunk.Boundary, schema))
	}
	if err == nil {
		err = c.tolerance.check(sum.DeadLetters, sum.Read)
	}
	c.stat.RowsExtracted, c.stat.RowsFailed = c.kept.read, c.kept.dead
	if err != nil {
		return outcome{}, l.stop(ctx, err)
	}
	c.report(PhaseCommit)
	result, err := c.commit(ctx, l.load)
	if err != nil {
		return outcome{}, err
	}
	if whole && result.Rows != sum.Loaded {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
		defer cancel()
		return outcome{}, errors.Join(c.miscounted(sum.Loaded, result.Rows), c.engine.State.EndChunkedLoad(end, c.job.Pipeline.ID, c.stat.TableName))
	}
	return outcome{counted: c.kept, total: result.Rows, upper: l.upper, boundary: edges.encode(schema), base: base}, nil
}

// fill loads every missing chunk, those whose rows the destination refuses once
// more with care.
func (l *chunkedLoad) fill(ctx context.Context) error {
	all := make([]int, len(l.ranges))
	for i := range all {
		all[i] = i
	}
	if err := l.work(ctx, all, false); err != nil || len(l.refused) == 0 {
		return err
	}
	slices.Sort(l.refused)
	l.copy.log(ctx, slog.LevelWarn, fmt.Sprintf("%d chunks are loaded again with the bad rows set aside", len(l.refused)))
	load := l.load
	l.load = nil
	if err := load.Suspend(); err != nil {
		return err
	}
	if err := l.begin(ctx, true); err != nil {
		return err
	}
	return l.work(ctx, l.refused, true)
}

// work loads chunks: one at a time on the table's own slot, and further ones
// whenever the run has a slot to spare.
func (l *chunkedLoad) work(ctx context.Context, chunks []int, careful bool) error {
	c := l.copy
	group, ctx := errgroup.WithContext(ctx)
	var mu sync.Mutex
	at := 0
	empty := make(chan struct{})
	next := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		if at >= len(chunks) {
			return 0, false
		}
		at++
		if at == len(chunks) {
			close(empty)
		}
		return chunks[at-1], true
	}
	group.Go(func() error {
		for {
			i, ok := next()
			if !ok {
				return nil
			}
			if err := l.chunk(ctx, i, careful); err != nil {
				return err
			}
		}
	})
	for range min(c.job.parallel(), len(chunks)) - 1 {
		group.Go(func() error {
			for {
				select {
				case c.slots <- struct{}{}:
				case <-empty:
					return nil
				case <-ctx.Done():
					return nil
				}
				i, ok := next()
				var err error
				if ok {
					err = l.chunk(ctx, i, careful)
				}
				<-c.slots
				if !ok || err != nil {
					return err
				}
			}
		})
	}
	return group.Wait()
}

// chunk loads one chunk, unless the destination has it.
func (l *chunkedLoad) chunk(ctx context.Context, i int, careful bool) error {
	c := l.copy
	if err := context.Cause(ctx); err != nil {
		return err
	}
	part, done, err := l.load.Part(ctx, fmt.Sprintf("c%05d", i))
	if err != nil {
		return err
	}
	if done {
		if l.isDone(i) {
			return nil
		}
		return l.finish(ctx, model.Chunk{Position: i, Range: l.state.Chunks[i].Range, RawRows: uncounted}, false)
	}
	if err := l.undo(ctx, i); err != nil {
		return errors.Join(err, part.Abort())
	}
	f := c.newFlow(l.columns, l.upper)
	f.part, f.careful = true, careful
	f.open = func(context.Context, *flow) (connectors.Load, error) { return part, nil }
	f.ranges = l.split(i, c.shrink)
	f.lettersTurn = &l.letters
	if err := f.run(ctx); err != nil {
		c.rows.Add(-f.read)
		c.tolerance.take(len(f.letters))
		if !careful && isRefusal(err) {
			l.mu.Lock()
			l.refused = append(l.refused, i)
			l.mu.Unlock()
			c.log(ctx, slog.LevelWarn, fmt.Sprintf("the destination refuses rows of chunk %d: %s", i+1, err))
			return nil
		}
		return err
	}
	c.addReplaced(f)
	return l.finish(ctx, model.Chunk{
		Position: i, Range: l.state.Chunks[i].Range, RawRows: f.result.RawRows, Boundary: f.edges(ctx),
		Counts: model.RunCounts{Read: f.read, Loaded: f.loaded, Filtered: f.filtered, DeadLetters: int64(len(f.letters))},
	}, true)
}

// finish records a chunk that lasts at the destination, even when the run has
// just been cancelled.
func (l *chunkedLoad) finish(ctx context.Context, chunk model.Chunk, byUs bool) error {
	c := l.copy
	chunk.Done, chunk.RunID = true, c.run.ID
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	if err := c.engine.State.CheckpointChunk(end, l.state.Token, chunk); err != nil {
		return fmt.Errorf("record chunk %d: %w", chunk.Position+1, err)
	}
	l.mu.Lock()
	l.state.Chunks[chunk.Position] = chunk
	c.gained = true
	if byUs {
		c.kept.read += chunk.Counts.Read
		c.kept.loaded += chunk.Counts.Loaded
		c.kept.raw += chunk.RawRows
		c.kept.filtered += chunk.Counts.Filtered
		c.kept.dead += chunk.Counts.DeadLetters
	}
	l.mu.Unlock()
	done := l.done()
	c.chunksDone.Store(int64(done))
	c.report(PhaseRows)
	c.log(ctx, slog.LevelInfo, fmt.Sprintf("chunk %d loaded %d rows; %d of %d chunks are done, %s",
		chunk.Position+1, chunk.Counts.Loaded, done, len(l.ranges), c.speed()))
	return nil
}

// undo forgets a chunk that was recorded but is not at the destination any more:
// before it is loaded again, which may bring other rows.
func (l *chunkedLoad) undo(ctx context.Context, i int) error {
	if !l.isDone(i) {
		return nil
	}
	c := l.copy
	if err := c.engine.State.CheckpointChunk(ctx, l.state.Token, model.Chunk{Position: i, Range: l.state.Chunks[i].Range, RunID: c.run.ID}); err != nil {
		return fmt.Errorf("record that chunk %d is missing: %w", i+1, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	chunk := &l.state.Chunks[i]
	c.rows.Add(-chunk.Counts.Read)
	c.tolerance.take(int(chunk.Counts.DeadLetters))
	if chunk.RunID == c.run.ID && chunk.RawRows != uncounted {
		c.kept.read -= chunk.Counts.Read
		c.kept.loaded -= chunk.Counts.Loaded
		c.kept.raw -= chunk.RawRows
		c.kept.filtered -= chunk.Counts.Filtered
		c.kept.dead -= chunk.Counts.DeadLetters
	}
	*chunk = model.Chunk{Position: i, Range: chunk.Range}
	return nil
}

func (l *chunkedLoad) isDone(i int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.Chunks[i].Done
}

func (l *chunkedLoad) done() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, chunk := range l.state.Chunks {
		if chunk.Done {
			n++
		}
	}
	return n
}

// stop ends the load after a failure: what is done waits for the next attempt,
// except where too much of it was bad, or its columns turn out to be others.
func (l *chunkedLoad) stop(ctx context.Context, err error) error {
	c := l.copy
	if l.load == nil {
		return err
	}
	if _, ok := errors.AsType[intolerable](err); ok || errors.Is(err, connectors.ErrMisfit) {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
		defer cancel()
		c.kept = counted{}
		return errors.Join(err, l.load.Abort(), c.engine.State.EndChunkedLoad(end, c.job.Pipeline.ID, c.stat.TableName))
	}
	c.log(ctx, slog.LevelInfo, fmt.Sprintf("%d of %d chunks are kept for the next attempt", l.done(), len(l.ranges)))
	return errors.Join(err, l.load.Suspend())
}
