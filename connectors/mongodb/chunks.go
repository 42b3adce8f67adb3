package mongodb

import (
	"context"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"go.mongodb.org/mongo-driver/v2/bson"

	"arus/connectors"
)

// rangeCondition is a stretch of a key in MongoDB's terms. A comparison admits values of its bound's type only.
func rangeCondition(table connectors.Table, r connectors.KeyRange) ([]bson.D, error) {
	var parts []bson.D
	for _, side := range []struct {
		bounds     []connectors.Bound
		past, last string
	}{{r.From, "$gt", "$gte"}, {r.To, "$lt", "$lt"}} {
		if side.bounds == nil {
			continue
		}
		if len(side.bounds) != len(r.Columns) {
			return nil, fmt.Errorf("a bound of %d values for a key of %d fields", len(side.bounds), len(r.Columns))
		}
		var condition bson.D
		for i, name := range slices.Backward(r.Columns) {
			c, ok := table.Column(name)
			if !ok {
				return nil, faulty("discover the collection again", "there is no field %q", name)
			}
			if err := searchable(c.Name); err != nil {
				return nil, err
			}
			v, err := boundValue(c, side.bounds[i], true)
			if err != nil {
				return nil, err
			}
			compare := func(operator string) bson.D { return bson.D{{Key: c.Name, Value: bson.D{{Key: operator, Value: v}}}} }
			switch {
			case condition == nil && side.past == "$lt" && r.From == nil && len(r.Columns) == 1:
				// Identifiers of another type, which came since the collection was looked at, are in the first stretch.
				condition = bson.D{{Key: c.Name, Value: bson.D{{Key: "$not", Value: bson.D{{Key: "$gte", Value: v}}}}}}
				continue
			case condition == nil:
				condition = compare(side.last)
				continue
			}
			condition = bson.D{{Key: "$or", Value: bson.A{compare(side.past), bson.D{{Key: "$and", Value: bson.A{compare("$eq"), condition}}}}}}
		}
		parts = append(parts, condition)
	}
	return parts, nil
}

// Chunks divides a collection by _id, where the identifiers are all of one type: it walks the index of _id, which holds
// nothing else, and takes every rows-th one as a bound.
func (s *Source) Chunks(ctx context.Context, table connectors.Table, key []string, rows int64) ([]connectors.KeyRange, error) {
	const op = "divide"
	next := connectors.KeyRange{Columns: key}
	id, ok := table.Column("_id")
	if !slices.Equal(key, []string{"_id"}) || len(table.PrimaryKey) == 0 || !ok || !ordered(id) {
		return []connectors.KeyRange{next}, nil
	}
	var ranges []connectors.KeyRange
	for {
		next.To = nil
		conditions, err := rangeCondition(table, next)
		if err != nil {
			return nil, &connectors.Error{Kind: connectors.KindInvalid, Op: op, Object: table.String(), Hint: hintOf(err), Err: err}
		}
		q := query{table: table, op: op, filter: all(conditions), sort: byID, projection: bson.D{{Key: "_id", Value: 1}}, skip: max(rows, 1), limit: 1}
		if next.To, err = s.bound(ctx, q, id); err != nil {
			return nil, err
		}
		if slices.Equal(next.To, next.From) {
			next.To = nil
		}
		ranges = append(ranges, next)
		if next.To == nil {
			return ranges, nil
		}
		next.From = next.To
	}
}

// bound is the column's value in the one document of a query; nil without one.
func (s *Source) bound(ctx context.Context, q query, c connectors.Column) (bounds []connectors.Bound, err error) {
	d, err := newDecoder(connectors.ReadRequest{Table: q.table, Columns: []connectors.Column{c}}, func(batch arrow.RecordBatch) error {
		defer batch.Release()
		if values := batch.Column(0); values.Len() > 0 && !values.IsNull(0) {
			bounds = []connectors.Bound{{Kind: c.Type.Kind, Text: string(connectors.AppendValue(nil, values, c.Type, 0))}}
		}
		return nil
	})
	if err != nil {
		return nil, &connectors.Error{Kind: connectors.KindUnsupported, Op: q.op, Object: q.table.String() + "." + c.Name, Err: err}
	}
	defer d.batcher.Release()
	err = s.scan(ctx, q, func(doc bson.Raw) error { return d.document(doc) })
	if err == nil {
		err = d.batcher.Flush()
	}
	return bounds, documentChanged(q.op, q.table, err)
}

// all joins conditions that all have to hold.
func all(conditions []bson.D) bson.D {
	switch len(conditions) {
	case 0:
		return nil
	case 1:
		return conditions[0]
	}
	list := make(bson.A, len(conditions))
	for i, c := range conditions {
		list[i] = c
	}
	return bson.D{{Key: "$and", Value: list}}
}
