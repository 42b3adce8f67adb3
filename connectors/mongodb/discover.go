package mongodb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/sync/errgroup"

	"arus/connectors"
)

const (
	sampleSize = 100 // documents looked at from each end of a collection
	atOnce     = 4   // collections described at the same time
)

// Tables lists the collections in one query and describes each in a few more:
// MongoDB tells sizes and indexes of one collection at a time. The columns are
// those of the first and the last documents; Settle looks at all.
func (s *Source) Tables(ctx context.Context, filter connectors.TableFilter) ([]connectors.Table, error) {
	const op = "list the collections of"
	name := s.database.Name()
	admits, err := newMatcher(filter)
	if err != nil {
		return nil, &connectors.Error{Kind: connectors.KindInvalid, Op: op, Object: name, Err: err}
	}
	// A database is all there is of a schema, and where it is named it is this one.
	if len(filter.Schemas) > 0 && !slices.Contains(filter.Schemas, name) && !slices.Contains(filter.Schemas, "") {
		return nil, nil
	}
	cursor, err := s.database.ListCollections(ctx, bson.D{}, options.ListCollections().SetNameOnly(true).SetAuthorizedCollections(true))
	if err != nil {
		return nil, s.fail(ctx, op, name, err)
	}
	var tables []connectors.Table
	var found []struct{ Name, Type string }
	if err := cursor.All(ctx, &found); err != nil {
		return nil, s.fail(ctx, op, name, err)
	}
	for _, c := range found {
		t := connectors.Table{TableRef: connectors.TableRef{Name: c.Name}, DefaultSchema: true, View: c.Type == "view", RowEstimate: -1, Bytes: -1}
		if strings.HasPrefix(c.Name, "system.") || t.View && !filter.Views || !admits(t.TableRef) ||
			len(filter.Names) > 0 && !slices.Contains(filter.Names, c.Name) {
			continue
		}
		if c.Type == "collection" || c.Type == "" { // a time series has no index of _id, nor need it be unique
			t.PrimaryKey = []string{"_id"}
		}
		tables = append(tables, t)
	}
	slices.SortFunc(tables, func(a, b connectors.Table) int { return strings.Compare(a.Name, b.Name) })
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range tables {
		group.Go(func() error { return s.describe(groupCtx, &tables[i]) })
	}
	return tables, group.Wait()
}

// describe takes the columns from the first and the last documents. A document
// that cannot be a row is left for Settle to refuse.
func (s *Source) describe(ctx context.Context, t *connectors.Table) error {
	look := newShape()
	err := s.ends(ctx, query{table: *t, op: "look at", limit: sampleSize}, func(doc bson.Raw) error {
		_ = look.add(doc)
		return nil
	})
	if err != nil {
		return err
	}
	*t, _ = look.describe(*t)
	if t.View {
		return nil
	}
	var stats struct{ Count, Size bson.RawValue }
	if s.database.RunCommand(ctx, bson.D{{Key: "collStats", Value: t.Name}}).Decode(&stats) == nil {
		if size, ok := stats.Size.AsInt64OK(); ok {
			t.Bytes = size
		}
	}
	if t.RowEstimate = look.rows; look.rows >= sampleSize {
		// Some servers count documents one by one when they are asked to count; these tell here what they guess.
		if n, _ := stats.Count.AsInt64OK(); n >= look.rows {
			t.RowEstimate = n
		} else if t.RowEstimate, err = s.database.Collection(t.Name).EstimatedDocumentCount(ctx); err != nil {
			return s.fail(ctx, "count the documents of", t.String(), err)
		}
	}
	return s.indexes(ctx, t)
}

// ends gives the first and the last documents as the server keeps them, which costs it no search and no sorting; those of
// a server that has no order of its own are the first ones. A query gives one of views.
func (s *Source) ends(ctx context.Context, q query, visit func(bson.Raw) error) error {
	var seen int64
	err := s.scan(ctx, q, func(doc bson.Raw) error {
		seen++
		return visit(doc)
	})
	if err != nil || seen < q.limit || len(q.table.PrimaryKey) == 0 {
		return err
	}
	q.sort = bson.D{{Key: "$natural", Value: -1}}
	if err = s.scan(ctx, q, visit); refused(err) {
		return nil
	}
	return err
}

// indexes finds the fields by which ranges are found quickly: those that lead an
// index of all documents.
func (s *Source) indexes(ctx context.Context, t *connectors.Table) error {
	cursor, err := s.database.Collection(t.Name).Indexes().List(ctx)
	if err != nil {
		if e, ok := errors.AsType[mongo.CommandError](err); ok && (e.Code == codeUnauthorized || e.Code == codeNamespaceNotFound) {
			return nil // the collection can be read all the same
		}
		return s.fail(ctx, "list the indexes of", t.String(), err)
	}
	var found []struct {
		Key     bson.Raw
		Sparse  bool
		Partial bson.Raw `bson:"partialFilterExpression"`
	}
	if err := cursor.All(ctx, &found); err != nil {
		return s.fail(ctx, "list the indexes of", t.String(), err)
	}
	for _, index := range found {
		if index.Sparse || len(index.Partial) > 0 {
			continue
		}
		_ = each(index.Key, func(key []byte, v value) error {
			name := string(key)
			_, numeric := bson.RawValue{Type: bson.Type(v.kind), Value: v.data}.AsInt64OK()
			if slices.Contains(connectors.ColumnNames(t.Columns), name) && numeric && searchable(name) == nil && !slices.Contains(t.Indexed, name) {
				t.Indexed = append(t.Indexed, name)
			}
			return errFound // the first leads
		})
	}
	return nil
}

// newMatcher compiles the globs of a filter: a collection is admitted when its
// name matches an include, or there is none, and matches no exclude.
func newMatcher(filter connectors.TableFilter) (func(connectors.TableRef) bool, error) {
	// A slash means nothing in a collection's name, but would in a glob.
	flat := strings.NewReplacer("/", "\x1f")
	for _, p := range slices.Concat(filter.Include, filter.Exclude) {
		if !doublestar.ValidatePattern(flat.Replace(p)) {
			return nil, fmt.Errorf("the pattern %q is malformed", p)
		}
	}
	matches := func(patterns []string, ref connectors.TableRef) bool {
		return slices.ContainsFunc(patterns, func(p string) bool {
			return doublestar.MatchUnvalidated(flat.Replace(p), flat.Replace(ref.Name))
		})
	}
	return func(ref connectors.TableRef) bool {
		return (len(filter.Include) == 0 || matches(filter.Include, ref)) && !matches(filter.Exclude, ref)
	}, nil
}
