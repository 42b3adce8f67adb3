package engine

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"

	"arus/connectors"
)

// leastRows is the least that a read is cut down to.
const leastRows = 1000

// limits bounds the batches of the table, the more often a read was too long
// the tighter.
func (c *tableCopy) limits(columns []connectors.Column) connectors.Limits {
	l := c.job.limits(columns)
	if c.transforms != nil { // more batches are in flight
		l.Bytes /= 2
	}
	l.Rows, l.Bytes = max(1, l.Rows>>c.shrink), max(minBatch, l.Bytes>>c.shrink)
	if c.engine.Pace != nil {
		l.Breathe = c.engine.Pace.Breathe
	}
	return l
}

// smallerReads are the stretches that the table is read in after the server
// ended a read for taking too long, half as long each time it happens.
func (c *tableCopy) smallerReads(ctx context.Context) ([]*connectors.KeyRange, error) {
	chunker, ok := c.source.(connectors.Chunker)
	if c.shrink == 0 || !ok || !c.keyIsSolid() {
		return []*connectors.KeyRange{nil}, nil
	}
	rows := c.job.chunkRows()
	if n := c.table.RowEstimate; n > 0 {
		rows = min(rows, n)
	}
	rows = max(leastRows, rows>>c.shrink)
	found, err := chunker.Chunks(ctx, c.table, c.plan.source, rows)
	if err != nil {
		return nil, err
	}
	c.log(ctx, slog.LevelWarn, fmt.Sprintf("reading %d stretches of about %d rows by key %v one after the other, since the server ended a longer read; "+
		"they are not one snapshot", len(found), rows, c.plan.key))
	ranges := make([]*connectors.KeyRange, len(found))
	for i := range found {
		ranges[i] = &found[i]
	}
	return ranges, nil
}

// split divides chunk i for reading into 2^times stretches where the key is one
// integer; any other chunk stays whole and only its batches become smaller.
func (l *chunkedLoad) split(i, times int) []*connectors.KeyRange {
	r := l.ranges[i]
	if times == 0 || len(r.Columns) != 1 {
		return []*connectors.KeyRange{r}
	}
	from, haveFrom := oneInt(r.From)
	to, haveTo := oneInt(r.To)
	// The first and the last chunk are open; they are taken to be as wide as the next one.
	width := int64(0)
	for _, o := range l.ranges {
		a, ok1 := oneInt(o.From)
		b, ok2 := oneInt(o.To)
		if ok1 && ok2 {
			width = b - a
			break
		}
	}
	switch {
	case haveFrom && haveTo:
	case haveFrom && width > 0 && from+width > from:
		to = from + width
	case haveTo && width > 0 && to-width < to:
		from = to - width
	default:
		return []*connectors.KeyRange{r}
	}
	pieces := int64(1) << min(times, 10)
	step := (to - from) / pieces
	if step <= 0 {
		return []*connectors.KeyRange{r}
	}
	kind := append(r.From, r.To...)[0].Kind
	var ranges []*connectors.KeyRange
	lower := r.From
	for n := int64(1); n < pieces; n++ {
		cut := []connectors.Bound{{Kind: kind, Text: strconv.FormatInt(from+n*step, 10)}}
		ranges = append(ranges, &connectors.KeyRange{Columns: r.Columns, From: lower, To: cut})
		lower = cut
	}
	return append(ranges, &connectors.KeyRange{Columns: r.Columns, From: lower, To: r.To})
}

func oneInt(bounds []connectors.Bound) (int64, bool) {
	if len(bounds) != 1 || !bounds[0].Kind.IsInteger() {
		return 0, false
	}
	return boundInt(bounds[0])
}
