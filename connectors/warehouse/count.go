package warehouse

import (
	"context"
	"errors"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"arus/connectors"
)

// Count counts a target's rows, those of one run, and their nulls.
func (d *Destination) Count(ctx context.Context, req connectors.CountRequest) (connectors.Counts, error) {
	const op = "count"
	name := req.Target.Name
	counts := connectors.Counts{Nulls: make([]int64, len(req.Nulls))}
	if err := checkName(op, name); err != nil {
		return counts, err
	}
	v, err := d.table(name).view(ctx)
	if err != nil {
		return counts, err
	}
	err = v.count(ctx, req, &counts)
	return counts, fail(ctx, op, name, errors.Join(err, v.Close()))
}

func (v *View) count(ctx context.Context, req connectors.CountRequest, counts *connectors.Counts) error {
	if req.RunID == "" && len(req.Nulls) == 0 {
		n, err := v.Rows(ctx)
		counts.Rows = n
		return err
	}
	var columns []int
	for _, c := range append([]string{connectors.MetaRunID}, req.Nulls...) {
		id := v.layout.table.ColumnID(c)
		if id < 0 {
			return &connectors.Error{Kind: connectors.KindNotFound, Op: "count", Object: v.table.name + "." + c, Err: errors.New("there is no such column"), Hint: "discover the table again"}
		}
		columns = append(columns, id)
	}
	run, ok := parseUUID(req.RunID)
	if !ok && req.RunID != "" {
		return &connectors.Error{Kind: connectors.KindInvalid, Op: "count", Object: v.table.name, Err: errors.New("the run is no UUID")}
	}
	told := make([]bool, len(v.parts))
	if req.RunID == "" {
		for i, p := range v.parts {
			var err error
			if told[i], err = v.countWhole(p, columns[1:], counts); err != nil {
				return err
			}
		}
	}
	return v.Each(ctx, ScanRequest{Columns: columns, Stored: true, Skip: func(i int) bool { return told[i] }}, func(b arrow.RecordBatch) error {
		defer b.Release()
		runs := b.Column(0).(*array.FixedSizeBinary)
		for i := range int(b.NumRows()) {
			if req.RunID != "" && (runs.IsNull(i) || [16]byte(runs.Value(i)) != run) {
				continue
			}
			counts.Rows++
			for c := range counts.Nulls {
				if b.Column(c + 1).IsNull(i) {
					counts.Nulls[c]++
				}
			}
		}
		return nil
	})
}

// countWhole counts the rows of a file by its footer; told is false where that
// does not tell: of hidden rows, and of columns that came later.
func (v *View) countWhole(p *part, nulls []int, counts *connectors.Counts) (told bool, err error) {
	if p.deadRows > 0 {
		return false, nil
	}
	f, err := v.segment(p)
	if err != nil {
		return false, err
	}
	found := make([]int64, len(nulls))
	for i, id := range nulls {
		place, ok := f.Place(id)
		if !ok {
			return false, nil
		}
		for _, g := range f.Parquet().Metadata().RowGroups {
			found[i] += g.Columns[place].MetaData.Statistics.NullCount
		}
	}
	counts.Rows += f.Rows()
	for i, n := range found {
		counts.Nulls[i] += n
	}
	return true, nil
}

// Holds says what the types take: all values of the connectors' own.
func (d *Destination) Holds() connectors.Holds {
	return connectors.Holds{NUL: true, NaN: true, DecimalNaN: true, NumericNaN: true, InfiniteTimes: true, InvalidDates: true}
}
