package warehouse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/connectors"
	"arus/connectors/warehouse/schema"
	"arus/connectors/warehouse/upsert"
)

// Summary says what became of the rows of an upsert; the counts and the rejected
// rows add up to those that were sent.
type Summary struct {
	Inserted   int         `json:"inserted"`
	Updated    int         `json:"updated"`
	Backfilled int         `json:"backfilled"` // rows of archived days, new or changed
	Rejected   []Rejection `json:"rejected"`
}

// Rejection is a row that was refused.
type Rejection struct {
	Row    int    `json:"row"` // from 0
	Reason string `json:"reason"`
}

// The reasons.
const (
	ReasonKey       = "missing_key"
	ReasonNoTime    = "missing_event_time"
	ReasonFuture    = "future_event_time"
	ReasonRetention = "before_retention"
	ReasonChanged   = "event_time_changed"
	ReasonCase      = "unknown_enum_case"
	ReasonValue     = "invalid_value"
)

// Upsert merges a batch in AresDB's binary form into a table. All of the batch is
// checked before any of it is written; rows that are refused by themselves are
// told of, and the others apply together.
func (s *Store) Upsert(ctx context.Context, name string, data []byte) (Summary, error) {
	return s.ingest(ctx, name, func(l *layout) (*ingestion, error) {
		b, err := upsert.Decode(data)
		if err != nil {
			return nil, err
		}
		defer b.Release()
		return fromBatch(l, b)
	})
}

// UpsertText merges rows of values in the spelling of default values (see
// schema.Type.Canonical), nil for a null which leaves what a row has. Unknown
// cases of enums are added.
func (s *Store) UpsertText(ctx context.Context, name string, columns []string, rows [][]*string) (Summary, error) {
	return s.ingest(ctx, name, func(l *layout) (*ingestion, error) { return fromText(l, columns, rows) })
}

// ingestion is a batch on its way into a table.
type ingestion struct {
	change
	reasons map[int]string // of the rows that are refused
	enums   schema.Enums   // grown dictionaries; nil = as they were
	sent    int
}

func (in *ingestion) refuse(row int, reason string) {
	if _, ok := in.reasons[row]; !ok {
		in.reasons[row] = reason
	}
}

func (s *Store) ingest(ctx context.Context, name string, read func(*layout) (*ingestion, error)) (sum Summary, err error) {
	t, err := s.find(name)
	if err != nil {
		return sum, err
	}
	lock, err := t.lock(ctx, lockWait)
	if err != nil {
		return sum, err
	}
	defer func() { _ = lock.Close() }()
	if !t.exists() {
		t.removeAborted()
		return sum, missingTable()
	}
	now, snapshot := s.now(), false
	_, err = s.perform(ctx, t, "upsert into", now, func(j *job) error {
		in, err := read(j.layout)
		if err != nil {
			return err
		}
		defer releaseAll(in.arrays)
		if sum, err = j.ingest(ctx, in, now.Unix()); err != nil {
			return err
		}
		c := j.layout.table.Config
		snapshot = !j.layout.isFact() && j.values[stateUpserts] >= int64(c.SnapshotThreshold)
		return nil
	})
	if err == nil && snapshot {
		_, err = s.run(ctx, t, JobSnapshot, now)
	}
	return sum, err
}

// fromBatch checks a decoded batch against the table.
func fromBatch(l *layout, b *upsert.Batch) (*ingestion, error) {
	in := &ingestion{change: change{arrays: make([]arrow.Array, len(l.columns)), rows: b.Rows, modes: make([]upsert.Mode, len(l.columns)), defaults: true}, reasons: map[int]string{}, sent: b.Rows}
	bad := func(format string, args ...any) error {
		releaseAll(in.arrays)
		return &schema.Error{Class: schema.Invalid, Message: fmt.Sprintf(format, args...)}
	}
	given := make(map[int]bool, len(b.Columns))
	for _, c := range b.Columns {
		if c.ID >= len(l.columns) {
			return nil, bad("Unrecognized column id %d in upsert batch", c.ID)
		}
		col := l.columns[c.ID]
		if col.deleted {
			continue // clients know older schemas
		}
		if col.typ.Code() != c.Type.Code() {
			return nil, bad("Mismatched data type (upsert batch: %d, schema %d) for table %s shard 0 column %d", c.Type.Code(), col.typ.Code(), l.table.Name, c.ID)
		}
		if c.Mode >= upsert.Add && (!l.isFact() || l.table.IsKey(c.ID) || c.ID == 0 || l.segmentColumn(c.ID).Sort || !col.typ.IsNumeric()) {
			return nil, bad("column %s only supports overwrite", col.name)
		}
		given[c.ID], in.modes[c.ID] = true, c.Mode
		if c.Values == nil {
			in.arrays[c.ID] = nulls(col.stored, b.Rows)
			continue
		}
		in.arrays[c.ID] = l.fromWire(c, in)
	}
	if l.isFact() && !given[0] && !l.table.Config.AllowMissingEventTime {
		return nil, bad("Fact table's event time column (first column) is missing")
	}
	for _, id := range l.key {
		if !given[id] {
			return nil, bad("Primary key column %d is missing from upsert batch", id)
		}
	}
	in.arrival = int64(b.Arrival)
	return in, nil
}

func nulls(t connectors.Type, n int) arrow.Array {
	b := array.NewBuilder(memory.DefaultAllocator, t.Arrow())
	defer b.Release()
	b.AppendNulls(n)
	return b.NewArray()
}

// fromWire gives a column of a batch in the table's stored form. Rows with cases
// that the dictionary lacks are refused.
func (l *layout) fromWire(c upsert.Column, in *ingestion) arrow.Array {
	col := l.columns[c.ID]
	cases := l.enums[c.ID]
	switch {
	case col.typ.IsEnum() && !col.typ.Array:
		for i := range c.Values.Len() {
			if !c.Values.IsNull(i) && enumNumber(c.Values, i) >= len(cases) {
				in.refuse(i, ReasonCase)
			}
		}
	case col.typ.IsEnum():
		b := array.NewStringBuilder(memory.DefaultAllocator)
		defer b.Release()
		text := c.Values.(*array.String)
		for i := range text.Len() {
			if text.IsNull(i) {
				b.AppendNull()
				continue
			}
			named, err := namedArray(text.Value(i), cases)
			if err != nil {
				in.refuse(i, ReasonCase)
			}
			b.Append(named)
		}
		return b.NewArray()
	}
	c.Values.Retain()
	return c.Values
}

func enumNumber(arr arrow.Array, i int) int {
	if a, ok := arr.(*array.Uint8); ok {
		return int(a.Value(i))
	}
	return int(arr.(*array.Uint16).Value(i))
}

// namedArray puts names in the place of numbers in a JSON array.
func namedArray(text string, cases []string) (string, error) {
	var numbers []*int
	if err := json.Unmarshal([]byte(text), &numbers); err != nil {
		return "[]", err
	}
	out := []byte{'['}
	for i, n := range numbers {
		if i > 0 {
			out = append(out, ',')
		}
		switch {
		case n == nil:
			out = append(out, "null"...)
		case *n >= len(cases):
			return "[]", errors.New("no such case")
		default:
			out = connectors.AppendJSONString(out, cases[*n])
		}
	}
	return string(append(out, ']')), nil
}

// fromText reads rows of text.
func fromText(l *layout, columns []string, rows [][]*string) (*ingestion, error) {
	in := &ingestion{
		change:  change{arrays: make([]arrow.Array, len(l.columns)), rows: len(rows), modes: make([]upsert.Mode, len(l.columns)), defaults: true},
		reasons: map[int]string{}, sent: len(rows), enums: l.enums.Clone(),
	}
	ids := make([]int, len(columns))
	seen := map[int]bool{}
	for i, name := range columns {
		if ids[i] = l.table.ColumnID(name); ids[i] < 0 {
			return nil, &schema.Error{Class: schema.Invalid, Message: schema.MsgColumnMissing, Column: name}
		}
		if seen[ids[i]] {
			return nil, &schema.Error{Class: schema.Invalid, Message: schema.MsgColumnRepeated, Column: name}
		}
		seen[ids[i]] = true
	}
	for i, row := range rows {
		if len(row) != len(columns) {
			return nil, &schema.Error{Class: schema.Invalid, Message: fmt.Sprintf("row %d has %d values for %d columns", i, len(row), len(columns))}
		}
	}
	for _, id := range l.key {
		if !seen[id] {
			return nil, &schema.Error{Class: schema.Invalid, Message: fmt.Sprintf("Primary key column %d is missing from upsert batch", id)}
		}
	}
	if l.isFact() && !seen[0] && !l.table.Config.AllowMissingEventTime {
		return nil, &schema.Error{Class: schema.Invalid, Message: "Fact table's event time column (first column) is missing"}
	}
	grow := &intake{layout: l, enums: in.enums}
	for c, id := range ids {
		b := array.NewBuilder(memory.DefaultAllocator, l.columns[id].stored.Arrow())
		for i, row := range rows {
			if row[c] == nil {
				b.AppendNull()
				continue
			}
			ok, err := grow.putText(b, id, *row[c])
			if err != nil || !ok && err == nil && b.Len() == i {
				b.AppendNull()
			}
			if err != nil {
				in.refuse(i, ReasonValue)
			}
		}
		in.arrays[id] = b.NewArray()
		b.Release()
	}
	if in.enums = grow.enums; !grow.grown {
		in.enums = nil
	}
	return in, nil
}

// putText appends one value; false where it counts as null.
func (in *intake) putText(b array.Builder, id int, text string) (bool, error) {
	c := in.layout.columns[id]
	if c.typ.IsEnum() && !c.typ.Array {
		n, ok, err := in.newCase(id, text)
		if err != nil || !ok {
			return false, err
		}
		return true, appendText(b, c.stored, strconv.Itoa(n))
	}
	canonical, err := c.typ.Canonical(text)
	if err != nil {
		return false, err
	}
	if c.typ.IsEnum() {
		cases, _, err := c.typ.Cases(in.enums[id], schema.Column{Type: c.typ.Name(), DefaultValue: &canonical}.DefaultCases())
		if err != nil {
			return false, err
		}
		in.grown = in.grown || len(cases) != len(in.enums[id])
		in.enums[id] = cases
	}
	return true, appendText(b, c.stored, canonical)
}

// ingest checks the rows one by one and merges those that are good.
func (j *job) ingest(ctx context.Context, in *ingestion, now int64) (Summary, error) {
	sum := Summary{Rejected: []Rejection{}}
	c := j.layout.table.Config
	oldest := int64(0)
	if c.RecordRetentionInDays > 0 {
		oldest = (now/secondsADay - int64(c.RecordRetentionInDays)) * secondsADay
	}
	if in.arrival == 0 || in.arrival > now {
		in.arrival = now
	}
	cutoff := j.values[stateCutoff]
	times := make([]int64, in.rows)
	var keep []int
	for i := range in.rows {
		for _, id := range j.layout.key {
			if in.arrays[id].IsNull(i) {
				in.refuse(i, ReasonKey)
			}
		}
		if j.layout.isFact() {
			times[i] = in.arrival
			switch missing := in.arrays[0] == nil || in.arrays[0].IsNull(i); {
			case missing && !c.AllowMissingEventTime:
				in.refuse(i, ReasonNoTime)
			case !missing:
				times[i] = timeOf(in.arrays[0], i)
			}
			switch {
			case times[i] > now:
				in.refuse(i, ReasonFuture)
			case times[i] < oldest:
				in.refuse(i, ReasonRetention)
			}
		}
		if _, bad := in.reasons[i]; !bad {
			keep = append(keep, i)
		}
	}
	good := in.change
	if len(keep) < in.rows {
		good.arrays, good.rows = make([]arrow.Array, len(in.arrays)), len(keep)
		defer releaseAll(good.arrays)
		for id, a := range in.arrays {
			if a != nil {
				good.arrays[id] = connectors.SelectValues(a, keep)
			}
		}
	}
	if !c.AllowMissingEventTime {
		good.arrival = 0
	}
	applied := int64(0)
	err := j.merge(ctx, good, func(row int, o outcome) {
		at := keep[row]
		switch {
		case o == refusedTime:
			in.refuse(at, ReasonChanged)
			return
		case j.layout.isFact() && times[at] < cutoff:
			sum.Backfilled++
		case o == inserted:
			sum.Inserted++
		default:
			sum.Updated++
		}
		applied++
	})
	if err != nil {
		return sum, err
	}
	for i := range in.sent {
		if reason, ok := in.reasons[i]; ok {
			sum.Rejected = append(sum.Rejected, Rejection{i, reason})
		}
	}
	if in.enums != nil {
		l, err := newLayout(j.layout.table, in.enums)
		if err != nil {
			return sum, err
		}
		j.layout = l
		if err := j.setCases(ctx, in.enums); err != nil {
			return sum, err
		}
	}
	return sum, j.set(ctx, stateUpserts, j.values[stateUpserts]+applied)
}
