package mongodb

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"arus/connectors"
)

const (
	firstBatch  = 1000    // documents of a reply before their size is known
	replyBytes  = 4 << 20 // what one reply should hold from then on
	mostInReply = 50_000
)

var byID = bson.D{{Key: "_id", Value: 1}}

// query is one pass over a collection.
type query struct {
	table      connectors.Table
	op         string
	filter     bson.D
	sort       bson.D
	projection bson.D
	skip       int64
	limit      int64
	resumable  bool // sorted by _id alone, and all so far are of one type: a pass can go on after any document
}

// scan gives each document to visit, which must not keep it. A resumable query
// is one snapshot where the server has them, as long as the server keeps it
// (five minutes by default); when it, or the cursor, is lost, the query goes on
// after the last document. Read by _id, each document that was there all along
// is seen once even so.
func (s *Source) scan(ctx context.Context, q query, visit func(bson.Raw) error) error {
	snapshot := q.resumable && s.snapshots
	filter := q.filter
	var last value
	var kept []byte
	for {
		seen := 0
		var stop error
		err := s.pass(ctx, q, filter, snapshot, func(doc bson.Raw) error {
			if stop = visit(doc); stop != nil {
				return stop
			}
			seen++
			if q.resumable {
				last = idOf(doc)
				kept = append(kept[:0], last.data...) // the document itself is gone with the next one
				last.data = kept
			}
			return nil
		})
		switch {
		case err == nil, stop != nil:
			return err
		case ctx.Err() != nil:
		case snapshot && seen == 0 && refused(err):
			snapshot = false
			continue
		case q.resumable && seen > 0 && lost(err):
			snapshot = false
			filter = after(q.filter, bson.RawValue{Type: bson.Type(last.kind), Value: append([]byte(nil), kept...)})
			continue
		}
		return s.fail(ctx, q.op, q.table.String(), err)
	}
}

// after is what follows an identifier, in the order of _id. "Greater" would leave out identifiers of other types, which
// an exact read has to meet.
func after(filter bson.D, id bson.RawValue) bson.D {
	rest := bson.D{{Key: "_id", Value: bson.D{{Key: "$not", Value: bson.D{{Key: "$lte", Value: id}}}}}}
	if len(filter) > 0 {
		return bson.D{{Key: "$and", Value: bson.A{filter, rest}}}
	}
	return rest
}

// refused says that the server will not do what was asked: read a capped
// collection in a snapshot, say.
func refused(err error) bool {
	e, ok := errors.AsType[mongo.CommandError](err)
	return ok && e.Code != 0 && e.Code != codeUnauthorized && e.Code != codeAuthenticationFails
}

// lost says that the server gave up what it read from.
func lost(err error) bool {
	e, ok := errors.AsType[mongo.CommandError](err)
	return ok && (e.Code == codeCursorNotFound || e.Code == codeSnapshotTooOld || e.Code == codeSnapshotUnavailable)
}

func idOf(doc bson.Raw) (id value) {
	_ = each(doc, func(key []byte, v value) error {
		if string(key) == "_id" {
			id = v
			return errFound
		}
		return nil
	})
	return id
}

// pass runs the query once. It ends the operation on the server however it ends here.
func (s *Source) pass(ctx context.Context, q query, filter bson.D, snapshot bool, visit func(bson.Raw) error) error {
	var session *mongo.Session
	var cursor *mongo.Cursor
	defer func() { s.end(ctx, session, cursor) }()
	inSession := ctx
	if s.sessions {
		var err error
		session, err = s.client.StartSession(options.Session().SetSnapshot(snapshot).SetCausalConsistency(false))
		if err != nil {
			return err
		}
		inSession = mongo.NewSessionContext(ctx, session)
	}
	find := options.Find().SetBatchSize(firstBatch)
	if len(q.sort) > 0 {
		find.SetSort(q.sort)
		if s.diskUse {
			find.SetAllowDiskUse(true)
		}
	}
	if len(q.projection) > 0 {
		find.SetProjection(q.projection)
	}
	if q.skip > 0 {
		find.SetSkip(q.skip)
	}
	if q.limit > 0 {
		find.SetLimit(q.limit)
	}
	if filter == nil {
		filter = bson.D{}
	}
	var err error
	if cursor, err = s.database.Collection(q.table.Name).Find(inSession, filter, find); err != nil {
		return err
	}
	bytes, documents := 0, 0
	for cursor.Next(inSession) {
		bytes, documents = bytes+len(cursor.Current), documents+1
		if err := visit(cursor.Current); err != nil {
			return err
		}
		if cursor.RemainingBatchLength() == 0 && q.limit == 0 {
			cursor.SetBatchSize(int32(min(max(replyBytes/(bytes/documents+1), 10), mostInReply)))
		}
	}
	return cursor.Err()
}

// end closes what a pass opened, in its own time, because ctx may have ended.
func (s *Source) end(ctx context.Context, session *mongo.Session, cursor *mongo.Cursor) {
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	if cursor != nil {
		_ = cursor.Close(clean)
	}
	if session == nil {
		return
	}
	if ctx.Err() != nil {
		// Whatever still runs in the session; servers without the command end it when they see the closed connection.
		_ = s.client.Database("admin").RunCommand(clean, bson.D{{Key: "killSessions", Value: bson.A{session.ID()}}}).Err()
	}
	session.EndSession(clean)
}

// Read streams documents in the order of _id, in a snapshot where the server has
// them (see scan), save where a lower bound asks for fewer: those come as the
// server finds them.
func (s *Source) Read(ctx context.Context, req connectors.ReadRequest, emit func(arrow.RecordBatch) error) error {
	const op = "read"
	object := req.Table.String()
	q := query{table: req.Table, op: op}
	invalid := func(err error) error {
		return &connectors.Error{Kind: connectors.KindInvalid, Op: op, Object: object, Hint: hintOf(err), Err: err}
	}
	if len(req.Columns) == 0 {
		return invalid(errors.New("no columns are asked for"))
	}
	var err error
	few := s.fewTypes.Load()
	if q.filter, err = filter(req, s.types()); err != nil {
		return invalid(err)
	}
	if q.sort, err = order(req); err != nil {
		return invalid(err)
	}
	id, ok := req.Table.Column("_id")
	q.resumable = ok && ordered(id) && len(q.sort) == 1 && q.sort[0].Key == "_id"
	q.projection = projection(req)
	d, err := newDecoder(req, emit)
	if err != nil {
		return invalid(err)
	}
	defer d.batcher.Release()
	err = s.scan(ctx, q, func(doc bson.Raw) error {
		err := d.document(doc)
		if _, ok := errors.AsType[unfit](err); req.Exact && (ok || len(d.appeared) > 0) {
			return fmt.Errorf("%w: the document with _id %s", connectors.ErrMisfit, identify(doc))
		}
		return err
	})
	if errors.Is(err, connectors.ErrMisfit) {
		return err
	}
	if e, ok := errors.AsType[mongo.CommandError](err); ok && e.Code == codeNotImplemented && req.Exact && d.row == 0 && !few {
		s.fewTypes.Store(true) // other reads may find it out at the same time
		return s.Read(ctx, req, emit)
	}
	for _, name := range d.appeared {
		s.note(fmt.Sprintf("%s: the field %q appeared while the collection was read: it is left out until the next run", object, name))
	}
	if err == nil {
		return d.batcher.Flush()
	}
	return documentChanged(op, req.Table, err)
}

// documentChanged says of a document that it does not fit the settled columns.
func documentChanged(op string, table connectors.Table, err error) error {
	if _, ok := errors.AsType[*documentError](err); !ok {
		return err
	}
	return typeError(op, table.String(), "the collection has changed since it was looked at: run again", err)
}

// ordered says whether the values of a column are all of one type by which
// the server can search for later ones.
func ordered(c connectors.Column) bool {
	switch c.Type.Kind {
	case connectors.Int32, connectors.Int64, connectors.UUID, connectors.TimestampTZ:
		return true
	case connectors.Text:
		return !holdsJSON(c)
	}
	return false
}

// holdsJSON says that the column is JSON, or text that spells JSON.
func holdsJSON(c connectors.Column) bool {
	return c.Type.Kind == connectors.JSON || c.Type.Kind == connectors.Text && strings.HasSuffix(c.Native, jsonText)
}

// holdsIDs says that the column's text spells ObjectIds.
func holdsIDs(c connectors.Column) bool { return c.Type.Equal(objectID) }

// order is how the documents are sorted: as asked for, with _id to break ties;
// by _id where the whole collection is read and has an index of it.
func order(req connectors.ReadRequest) (bson.D, error) {
	if len(req.OrderBy) == 0 {
		if len(req.Table.PrimaryKey) == 0 || req.Window != nil && req.Window.Lower != nil {
			return nil, nil
		}
		return byID, nil
	}
	var sort bson.D
	for _, name := range req.OrderBy {
		if err := searchable(name); err != nil {
			return nil, err
		}
		sort = append(sort, bson.E{Key: name, Value: 1})
		if name == "_id" {
			return sort, nil // what follows decides nothing
		}
	}
	return append(sort, byID...), nil
}

// searchable refuses names that mean something else in a query.
func searchable(name string) error {
	if name == "" || strings.HasPrefix(name, "$") || strings.Contains(name, ".") || strings.Contains(name, "\x00") {
		return faulty("choose another field", "MongoDB cannot search by a field named %q", name)
	}
	return nil
}

// projection leaves out what is not asked for, where that can be said.
func projection(req connectors.ReadRequest) bson.D {
	if req.Exact || len(req.Columns) >= len(req.Table.Columns) {
		return nil
	}
	p := bson.D{{Key: "_id", Value: 1}}
	for _, c := range req.Columns {
		if searchable(c.Name) != nil {
			return nil
		}
		if c.Name != "_id" {
			p = append(p, bson.E{Key: c.Name, Value: 1})
		}
	}
	return p
}

// filter joins the conditions of the request's window and range; nil for every document.
func filter(req connectors.ReadRequest, types []bson.Type) (bson.D, error) {
	var parts []bson.D
	if w := req.Window; w != nil {
		var either bson.A
		for _, window := range w.Apart() {
			one, err := condition(req.Table, window, exactly(req, types))
			if err != nil {
				return nil, err
			}
			if one == nil { // every document
				either = nil
				break
			}
			either = append(either, one)
		}
		switch len(either) {
		case 0:
		case 1:
			parts = append(parts, either[0].(bson.D))
		default:
			parts = append(parts, bson.D{{Key: "$or", Value: either}})
		}
	}
	if req.Range != nil {
		conditions, err := rangeCondition(req.Table, *req.Range)
		if err != nil {
			return nil, err
		}
		parts = append(parts, conditions...)
	}
	return all(parts), nil
}

// exactly is the types that a server may hold, for a read that must meet them.
func exactly(req connectors.ReadRequest, types []bson.Type) []bson.Type {
	if req.Exact {
		return types
	}
	return nil
}

// condition is a window of one column in MongoDB's terms. A range matches values of the type of
// its bound only, which for a settled column are all. Values of the types given match whatever
// the bounds, so that the read meets them.
func condition(table connectors.Table, w connectors.Window, types []bson.Type) (bson.D, error) {
	c, ok := table.Column(w.Column)
	if !ok {
		return nil, faulty("discover the collection again", "there is no field %q", w.Column)
	}
	if err := searchable(c.Name); err != nil {
		return nil, err
	}
	var bounds bson.D
	for _, b := range []struct {
		bound    *connectors.Bound
		operator string
	}{{w.Lower, "$gte"}, {w.Upper, "$lte"}} {
		if b.bound == nil {
			continue
		}
		v, err := boundValue(c, *b.bound, b.operator == "$gte")
		if err != nil {
			return nil, err
		}
		bounds = append(bounds, bson.E{Key: b.operator, Value: v})
	}
	null := bson.D{{Key: c.Name, Value: nil}} // or missing
	switch {
	case len(bounds) == 0 && w.Nulls:
		return nil, nil
	case len(bounds) == 0:
		return bson.D{{Key: c.Name, Value: bson.D{{Key: "$ne", Value: nil}}}}, nil
	}
	either := bson.A{bson.D{{Key: c.Name, Value: bounds}}}
	if w.Nulls {
		either = append(either, null)
	}
	if len(types) > 0 {
		either = append(either, bson.D{{Key: c.Name, Value: bson.D{{Key: "$type", Value: otherTypes(c, types)}}}})
	}
	if len(either) == 1 {
		return either[0].(bson.D), nil
	}
	return bson.D{{Key: "$or", Value: either}}, nil
}

// boundValue gives a bound the type that the column's values have in MongoDB.
// Dates have milliseconds: a bound between two of them moves inwards, which
// changes nothing about what it admits.
func boundValue(c connectors.Column, b connectors.Bound, lower bool) (v any, err error) {
	switch kind := c.Type.Kind; {
	case holdsJSON(c):
		return nil, faulty("choose a field whose values are all of one type", "the field %q has no order to read by", c.Name)
	case kind == connectors.Bool:
		v, err = strconv.ParseBool(b.Text)
	case kind.IsInteger():
		v, err = strconv.ParseInt(b.Text, 10, 64)
	case kind == connectors.Float64:
		v, err = strconv.ParseFloat(b.Text, 64)
	case kind == connectors.Numeric:
		v, err = decimalBound(b.Text)
	case kind == connectors.TimestampTZ:
		var ts arrow.Timestamp
		if ts, _, err = connectors.ParseTimestamp(b.Text); err == nil {
			v = dateBound(ts, lower)
		}
	case holdsIDs(c):
		v, err = bson.ObjectIDFromHex(b.Text)
	case kind == connectors.Text:
		v = b.Text
	case kind == connectors.UUID:
		var raw []byte
		if raw, err = hex.DecodeString(strings.ReplaceAll(b.Text, "-", "")); err == nil && len(raw) != 16 {
			err = errors.New("not a UUID")
		}
		v = bson.Binary{Subtype: bson.TypeBinaryUUID, Data: raw}
	default:
		return nil, faulty("choose a number, a time or a text", "the field %q is %s and has no order to read by", c.Name, c.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("the bound %q of the field %q: %w", b.Text, c.Name, err)
	}
	return v, nil
}

func decimalBound(text string) (any, error) {
	d, err := bson.ParseDecimal128(text)
	if err != nil {
		return nil, err
	}
	digits := strings.TrimLeft(strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, text), "0")
	if len(strings.TrimRight(digits, "0")) > 34 {
		return nil, errors.New("it has more digits than a Decimal128")
	}
	return d, nil
}

func dateBound(ts arrow.Timestamp, lower bool) bson.DateTime {
	switch ts {
	case connectors.TimestampInfinity:
		return math.MaxInt64
	case connectors.TimestampMinInfinity:
		return math.MinInt64
	}
	ms, rest := int64(ts)/1000, int64(ts)%1000
	if rest < 0 && !lower {
		ms--
	}
	if rest > 0 && lower {
		ms++
	}
	return bson.DateTime(ms)
}

// typeAliases are what $type calls the values of a column.
func typeAliases(c connectors.Column) bson.A {
	switch kind := c.Type.Kind; {
	case kind == connectors.Bool:
		return bson.A{"bool"}
	case kind.IsInteger(), kind == connectors.Float64, kind == connectors.Numeric:
		return bson.A{"number"}
	case kind == connectors.TimestampTZ:
		return bson.A{"date"}
	case holdsIDs(c):
		return bson.A{"objectId"}
	case kind == connectors.Text:
		return bson.A{"string"}
	case kind == connectors.UUID:
		return bson.A{"binData"}
	}
	return nil
}

// types are those that values on the server may have, null apart. One that does
// not know the rare ones holds none of them.
func (s *Source) types() []bson.Type {
	types := []bson.Type{
		bson.TypeDouble, bson.TypeString, bson.TypeEmbeddedDocument, bson.TypeArray, bson.TypeBinary, bson.TypeObjectID, bson.TypeBoolean,
		bson.TypeDateTime, bson.TypeRegex, bson.TypeInt32, bson.TypeTimestamp, bson.TypeInt64,
	}
	if s.fewTypes.Load() {
		return types
	}
	return append(types, bson.TypeDecimal128, bson.TypeUndefined, bson.TypeDBPointer, bson.TypeJavaScript, bson.TypeSymbol, bson.TypeCodeWithScope,
		bson.TypeMaxKey, bson.TypeMinKey)
}

// otherTypes are the numbers of those types that a range of the column's values
// does not match. An index finds them.
func otherTypes(c connectors.Column, types []bson.Type) bson.A {
	own := map[string][]bson.Type{
		"bool": {bson.TypeBoolean}, "number": {bson.TypeDouble, bson.TypeInt32, bson.TypeInt64, bson.TypeDecimal128}, "date": {bson.TypeDateTime},
		"objectId": {bson.TypeObjectID}, "string": {bson.TypeString}, "binData": {bson.TypeBinary},
	}[typeAliases(c)[0].(string)]
	var others bson.A
	for _, t := range types {
		if !slices.Contains(own, t) {
			others = append(others, int32(int8(t))) // the least key is -1
		}
	}
	return others
}

// Max reads the greatest value of the column's type through the decoder, so that
// its text is the canonical one.
func (s *Source) Max(ctx context.Context, table connectors.Table, column string) (connectors.Bound, bool, error) {
	const op = "find the greatest value of"
	object := table.String() + "." + column
	c, ok := table.Column(column)
	if !ok {
		return connectors.Bound{}, false, &connectors.Error{
			Kind: connectors.KindNotFound, Op: op, Object: object,
			Err: errors.New("there is no such field"), Hint: "discover the collection again",
		}
	}
	unsupported := func(err error, hint string) (connectors.Bound, bool, error) {
		return connectors.Bound{}, false, &connectors.Error{Kind: connectors.KindUnsupported, Op: op, Object: object, Err: err, Hint: hint}
	}
	types := typeAliases(c)
	if types == nil || holdsJSON(c) {
		return unsupported(fmt.Errorf("a %s has no order to read by", c.Type.Kind), "choose a field whose values are all numbers, times or texts")
	}
	if err := searchable(c.Name); err != nil {
		return unsupported(err, hintOf(err))
	}
	bound := connectors.Bound{Kind: c.Type.Kind}
	found := false
	d, err := newDecoder(connectors.ReadRequest{Table: table, Columns: []connectors.Column{c}}, func(batch arrow.RecordBatch) error {
		defer batch.Release()
		if values := batch.Column(0); values.Len() > 0 && !values.IsNull(0) {
			bound.Text, found = string(connectors.AppendValue(nil, values, c.Type, 0)), true
		}
		return nil
	})
	if err != nil {
		return unsupported(err, "")
	}
	defer d.batcher.Release()
	q := query{
		table: table, op: op, limit: 1,
		filter:     bson.D{{Key: c.Name, Value: bson.D{{Key: "$type", Value: types}}}},
		sort:       bson.D{{Key: c.Name, Value: -1}},
		projection: bson.D{{Key: "_id", Value: 1}, {Key: c.Name, Value: 1}},
	}
	if c.Name == "_id" {
		q.projection = bson.D{{Key: "_id", Value: 1}}
	}
	err = s.scan(ctx, q, func(doc bson.Raw) error { return d.document(doc) })
	if err == nil {
		err = d.batcher.Flush()
	}
	return bound, found, documentChanged(op, table, err)
}
