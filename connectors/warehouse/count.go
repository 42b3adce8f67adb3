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
	return v.Each(ctx, ScanRequest{Columns: columns, Stored: true}, func(b arrow.RecordBatch) error {
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

// Holds says what the types take: all values of the connectors' own.
func (d *Destination) Holds() connectors.Holds {
	return connectors.Holds{NUL: true, NaN: true, DecimalNaN: true, NumericNaN: true, InfiniteTimes: true, InvalidDates: true}
}
