package engine

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// speakEvery is how often a read that goes on says in the log how far it is.
const speakEvery = 30 * time.Second

func (c *tableCopy) startMeter() {
	now := c.engine.Now().UnixMicro()
	c.started.Store(now)
	c.spoke.Store(now)
	c.rows.Store(0)
	c.bytes.Store(0)
	c.chunksDone.Store(0)
	c.chunkCount.Store(0)
}

// advance counts rows that were read and tells whoever watches.
func (c *tableCopy) advance(ctx context.Context, rows, bytes int64) {
	c.rows.Add(rows)
	c.bytes.Add(bytes)
	c.report(PhaseRows)
	now, last := c.engine.Now().UnixMicro(), c.spoke.Load()
	if now-last < speakEvery.Microseconds() || !c.spoke.CompareAndSwap(last, now) {
		return
	}
	text := fmt.Sprintf("read %d rows", c.rows.Load())
	if c.table.RowEstimate > 0 {
		text += fmt.Sprintf(" of about %d", c.table.RowEstimate)
	}
	if n := c.chunkCount.Load(); n > 0 {
		text += fmt.Sprintf(", %d of %d chunks are done", c.chunksDone.Load(), n)
	}
	c.log(ctx, slog.LevelInfo, text+", "+c.speed())
}

// speed is the rows a second of this attempt.
func (c *tableCopy) speed() string {
	took := max(1, c.engine.Now().UnixMicro()-c.started.Load())
	return fmt.Sprintf("%d rows/s", c.rows.Load()*1_000_000/took)
}

func (c *tableCopy) event(phase Phase) Event {
	return Event{
		Table: c.stat.TableName, Phase: phase, Rows: c.rows.Load(), Bytes: c.bytes.Load(), Estimate: c.table.RowEstimate,
		Attempt: c.tries.total + 1, Chunk: int(c.chunksDone.Load()), Chunks: int(c.chunkCount.Load()),
	}
}

func (c *tableCopy) report(phase Phase) { c.engine.progress(c.event(phase)) }
