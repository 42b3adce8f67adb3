package mongodb

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"arus/connectors"
)

func marshal(t *testing.T, doc any) bson.Raw {
	t.Helper()
	raw, err := bson.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// collection is a table as discovery gives it, before its documents are looked at.
func collection(name string) connectors.Table {
	return connectors.Table{TableRef: connectors.TableRef{Name: name}, PrimaryKey: []string{"_id"}}
}

// load settles and decodes documents without a server and gives the rows as JSON.
func load(t *testing.T, docs []bson.Raw) (table connectors.Table, notes, rows []string) {
	t.Helper()
	table, notes = decode(t, docs, func(batch arrow.RecordBatch, columns []connectors.Column) {
		rows = append(rows, jsonRows(batch, columns)...)
	})
	return table, notes, rows
}

// jsonRows writes rows with every column: a NULL of a json column, which
// AppendRowJSON leaves out, is null here.
func jsonRows(batch arrow.RecordBatch, columns []connectors.Column) []string {
	columns = slices.Clone(columns)
	for i := range columns {
		if columns[i].Type.Kind == connectors.JSON {
			columns[i].Type.Kind = connectors.Array
		}
	}
	rows := make([]string, batch.NumRows())
	for i := range rows {
		rows[i] = string(connectors.AppendRowJSON(nil, batch, columns, i))
	}
	return rows
}

func decimal(t *testing.T, text string) bson.Decimal128 {
	t.Helper()
	d, err := bson.ParseDecimal128(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var testID = bson.ObjectID{0x50, 0x7f, 0x1f, 0x77, 0xbc, 0xf8, 0x6c, 0xd7, 0x99, 0x43, 0x90, 0x11}

func TestEachFieldGetsTheLeastTypeThatHoldsItsValues(t *testing.T) {
	t.Parallel()
	uuid := bson.Binary{Subtype: 4, Data: []byte("0123456789abcdef")}
	far := bson.DateTime(math.MaxInt64)
	for _, test := range []struct {
		name   string
		values []any
		want   string   // type
		rows   []string // as JSON
		note   bool
	}{
		{"nothing but null", []any{nil, nil}, "text", []string{"null", "null"}, false},
		{"bool", []any{true, nil, false}, "bool", []string{"true", "null", "false"}, false},
		{"int", []any{int32(math.MinInt32), int32(7)}, "int32", []string{"-2147483648", "7"}, false},
		{"int and long", []any{int32(7), int64(math.MaxInt64)}, "int64", []string{"7", "9223372036854775807"}, false},
		{"long", []any{int64(math.MinInt64)}, "int64", []string{"-9223372036854775808"}, false},
		{"double", []any{0.1, math.Copysign(0, -1), math.NaN(), math.Inf(-1), 5e-324}, "float64", []string{"0.1", "-0", `"NaN"`, `"-Infinity"`, "5e-324"}, false},
		{"int and double", []any{int32(7), 1.5, int64(1 << 60)}, "float64", []string{"7", "1.5", "1.152921504606847e+18"}, false},
		{
			"long beyond double",
			[]any{int64(1<<53 + 1), 0.1, math.Inf(1), math.NaN(), math.Copysign(0, -1), 1e21},
			"numeric",
			[]string{`"9007199254740993"`, `"0.1"`, `"Infinity"`, `"NaN"`, `"0"`, `"1000000000000000000000"`},
			true,
		},
		{
			"decimal",
			[]any{
				decimal(t, "1.50"), decimal(t, "-0.00"), decimal(t, "1E+3"), decimal(t, "-12E-7"), decimal(t, "NaN"), decimal(t, "-Infinity"),
				decimal(t, "9999999999999999999999999999999999"), decimal(t, "0E+6"),
			},
			"numeric",
			[]string{`"1.50"`, `"0.00"`, `"1000"`, `"-0.0000012"`, `"NaN"`, `"-Infinity"`, `"9999999999999999999999999999999999"`, `"0"`},
			false,
		},
		{"decimal and int", []any{decimal(t, "1.50"), int32(7), int64(math.MaxInt64)}, "numeric", []string{`"1.50"`, `"7"`, `"9223372036854775807"`}, false},
		{
			"date",
			[]any{bson.DateTime(1), bson.DateTime(-1), bson.NewDateTimeFromTime(time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC)), bson.DateTime(-62135596800001)},
			"timestamptz",
			[]string{`"1970-01-01T00:00:00.001Z"`, `"1969-12-31T23:59:59.999Z"`, `"9999-12-31T23:59:59.999Z"`, `"0000-12-31T23:59:59.999Z"`},
			false,
		},
		{"date out of range", []any{bson.DateTime(1), far}, "json", []string{`{"$date":"1970-01-01T00:00:00.001Z"}`, `{"$date":{"$numberLong":"9223372036854775807"}}`}, true},
		{"ObjectId", []any{testID}, "text(24) fixed", []string{`"507f1f77bcf86cd799439011"`}, false},
		{"string", []any{"", "a\x00\"\u00e9\U0001f600"}, "text", []string{`""`, "\"a\\u0000\\\"\u00e9\U0001f600\""}, false},
		{"UUID", []any{uuid}, "uuid", []string{`"30313233-3435-3637-3839-616263646566"`}, false},
		{
			"binary",
			[]any{[]byte{1, 2}, bson.Binary{Subtype: 5, Data: []byte{}}, bson.Binary{Subtype: 2, Data: []byte{3}}, bson.Binary{Subtype: 4, Data: []byte{4}}},
			"bytes",
			[]string{`"AQI="`, `""`, `"Aw=="`, `"BA=="`},
			false,
		},
		{"UUID and binary", []any{uuid, []byte{1, 2}}, "json", []string{`{"$uuid":"30313233-3435-3637-3839-616263646566"}`, `{"$binary":{"base64":"AQI=","subType":"00"}}`}, true},
		{"document", []any{bson.D{{Key: "b", Value: int32(1)}, {Key: "a", Value: nil}}, bson.D{}}, "json", []string{`{"b":1,"a":null}`, `{}`}, false},
		{"array", []any{bson.A{int64(math.MaxInt64), 1.0, bson.A{}, bson.D{{Key: "", Value: "x"}}}}, "json", []string{`[9223372036854775807,1.0,[],{"":"x"}]`}, false},
		{"array and document", []any{bson.A{}, bson.D{}}, "json", []string{`[]`, `{}`}, false},
		{"Timestamp", []any{bson.Timestamp{T: math.MaxUint32, I: 2}}, "json", []string{`{"$timestamp":{"t":4294967295,"i":2}}`}, false},
		{"regex", []any{bson.Regex{Pattern: `^"a`, Options: "im"}}, "json", []string{`{"$regularExpression":{"pattern":"^\"a","options":"im"}}`}, false},
		{
			"JavaScript",
			[]any{bson.JavaScript("f()"), bson.CodeWithScope{Code: "g()", Scope: bson.D{{Key: "x", Value: int32(1)}}}},
			"json",
			[]string{`{"$code":"f()"}`, `{"$code":"g()","$scope":{"x":1}}`},
			false,
		},
		{"MinKey and MaxKey", []any{bson.MinKey{}, bson.MaxKey{}}, "json", []string{`{"$minKey":1}`, `{"$maxKey":1}`}, true},
		{"Symbol", []any{bson.Symbol("s")}, "json", []string{`{"$symbol":"s"}`}, false},
		{"DBPointer", []any{bson.DBPointer{DB: "d.c", Pointer: testID}}, "json", []string{`{"$dbPointer":{"$ref":"d.c","$id":{"$oid":"507f1f77bcf86cd799439011"}}}`}, false},
		{"DBRef", []any{bson.D{{Key: "$ref", Value: "c"}, {Key: "$id", Value: testID}}}, "json", []string{`{"$ref":"c","$id":{"$oid":"507f1f77bcf86cd799439011"}}`}, false},
		{"Undefined", []any{bson.Undefined{}}, "json", []string{`{"$undefined":true}`}, false},
		{
			"everything",
			[]any{"a", int32(1), 1.0, true, testID, bson.DateTime(0), decimal(t, "1E+3"), math.NaN(), nil, math.Copysign(0, -1)},
			"json",
			[]string{`"a"`, `1`, `1.0`, `true`, `{"$oid":"507f1f77bcf86cd799439011"}`, `{"$date":"1970-01-01T00:00:00Z"}`, `{"$numberDecimal":"1E+3"}`, `{"$numberDouble":"NaN"}`, `null`, `-0.0`},
			true,
		},
		{"not UTF-8", []any{"\xff"}, "json", []string{`{"$string":{"base64":"/w=="}}`}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var docs []bson.Raw
			var want []string
			for i, v := range test.values {
				docs = append(docs, marshal(t, bson.D{{Key: "_id", Value: int32(i)}, {Key: "v", Value: v}}))
				want = append(want, `{"_id":`+string(rune('0'+i))+`,"v":`+test.rows[i]+`}`)
			}
			docs = append(docs, marshal(t, bson.D{{Key: "_id", Value: int32(99)}}))
			want = append(want, `{"_id":99,"v":null}`)
			table, notes, rows := load(t, docs)
			if got := table.Columns[1].Type.String(); got != test.want {
				t.Errorf("the type is %s, want %s (native %s)", got, test.want, table.Columns[1].Native)
			}
			if diff := cmp.Diff(want, rows); diff != "" {
				t.Errorf("rows differ (-want +got):\n%s", diff)
			}
			if (len(notes) == 1) != test.note {
				t.Errorf("notes are %q", notes)
			}
		})
	}
}

func TestNestedValuesAreExact(t *testing.T) {
	t.Parallel()
	_, _, rows := load(t, []bson.Raw{marshal(t, bson.D{{Key: "_id", Value: "x"}, {Key: "v", Value: bson.D{
		{Key: "b", Value: true},
		{Key: "i", Value: int32(-1)},
		{Key: "l", Value: int64(math.MinInt64)},
		{Key: "d", Value: 1e300},
		{Key: "n", Value: math.Inf(-1)},
		{Key: "m", Value: decimal(t, "-0.10")},
		{Key: "t", Value: bson.DateTime(-1)},
		{Key: "o", Value: testID},
		{Key: "u", Value: bson.Binary{Subtype: 4, Data: make([]byte, 16)}},
		{Key: "y", Value: bson.Binary{Subtype: 0x80, Data: []byte{0xff}}},
		{Key: "a.b", Value: nil},
		{Key: "$c", Value: bson.A{bson.Regex{}, bson.Timestamp{}}},
		{Key: "\"\n", Value: "\xfe"},
		{Key: "twice", Value: int32(1)},
		{Key: "twice", Value: int32(2)},
	}}})})
	want := []string{`{"_id":"x","v":{"b":true,"i":-1,"l":-9223372036854775808,"d":1e+300,"n":{"$numberDouble":"-Infinity"},` +
		`"m":{"$numberDecimal":"-0.10"},"t":{"$date":{"$numberLong":"-1"}},"o":{"$oid":"507f1f77bcf86cd799439011"},"u":{"$uuid":"00000000-0000-0000-0000-000000000000"},` +
		`"y":{"$binary":{"base64":"/w==","subType":"80"}},"a.b":null,"$c":[{"$regularExpression":{"pattern":"","options":""}},{"$timestamp":{"t":0,"i":0}}],"\"\n":{"$string":{"base64":"/g=="}},` +
		`"twice":1,"twice":2}}`}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("rows differ (-want +got):\n%s", diff)
	}
}

func TestKeysAreTyped(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		ids  []any
		typ  string
		rows []string
		key  bool
		note string // in the only one
	}{
		{"ObjectIds", []any{testID}, "text(24) fixed", []string{`"507f1f77bcf86cd799439011"`}, true, ""},
		{"numbers", []any{int32(1), int64(1 << 40)}, "int64", []string{`1`, `1099511627776`}, true, ""},
		{"mixed", []any{testID, "507f1f77bcf86cd799439011", int32(1)}, "text", []string{`"{\"$oid\":\"507f1f77bcf86cd799439011\"}"`, `"\"507f1f77bcf86cd799439011\""`, `"1"`}, true, `the field "_id" holds int, objectId, string: it is kept as JSON text`},
		{"documents", []any{bson.D{{Key: "a", Value: int32(1)}, {Key: "b", Value: 1.0}}}, "text", []string{`"{\"a\":1,\"b\":1.0}"`}, true, `holds object`},
		{"null", []any{nil, "a"}, "text", []string{"null", `"a"`}, false, "has null as its _id"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var docs []bson.Raw
			var want []string
			for i, id := range test.ids {
				docs = append(docs, marshal(t, bson.D{{Key: "_id", Value: id}}))
				want = append(want, `{"_id":`+test.rows[i]+`}`)
			}
			table, notes, rows := load(t, docs)
			if got := table.Columns[0].Type.String(); got != test.typ || (len(table.PrimaryKey) == 1) != test.key || table.Columns[0].Nullable == test.key {
				t.Errorf("type %s, key %v, nullable %v", got, table.PrimaryKey, table.Columns[0].Nullable)
			}
			if diff := cmp.Diff(want, rows); diff != "" {
				t.Errorf("rows differ (-want +got):\n%s", diff)
			}
			if test.note == "" && len(notes) > 0 || test.note != "" && (len(notes) != 1 || !strings.Contains(notes[0], test.note)) {
				t.Errorf("notes are %q, want %q", notes, test.note)
			}
		})
	}
}

func TestFieldOrderIsThatOfFirstSight(t *testing.T) {
	t.Parallel()
	table, _, rows := load(t, []bson.Raw{
		marshal(t, bson.D{{Key: "b", Value: int32(1)}, {Key: "_id", Value: int32(1)}}),
		marshal(t, bson.D{{Key: "_id", Value: int32(2)}, {Key: "a.b", Value: int32(2)}, {Key: "b", Value: nil}, {Key: "$d", Value: "x"}, {Key: "B", Value: true}}),
	})
	if diff := cmp.Diff([]string{"_id", "b", "a.b", "$d", "B"}, connectors.ColumnNames(table.Columns)); diff != "" {
		t.Errorf("columns differ (-want +got):\n%s", diff)
	}
	want := []string{`{"_id":1,"b":1,"a.b":null,"$d":null,"B":null}`, `{"_id":2,"b":null,"a.b":2,"$d":"x","B":true}`}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("rows differ (-want +got):\n%s", diff)
	}
}

func TestDocumentsThatCannotBeRowsAreNamed(t *testing.T) {
	t.Parallel()
	many := bson.D{{Key: "_id", Value: int32(5)}}
	for i := range maxFields {
		many = append(many, bson.E{Key: "f" + strings.Repeat("x", i), Value: nil})
	}
	torn := marshal(t, bson.D{{Key: "_id", Value: int32(6)}, {Key: "s", Value: "abc"}})
	torn[len(torn)-9] = 200 // the string's length
	for _, test := range []struct {
		name string
		doc  bson.Raw
		want string
	}{
		{"duplicate", marshal(t, bson.D{{Key: "_id", Value: testID}, {Key: "a", Value: int32(1)}, {Key: "a", Value: int32(2)}}), `the document with _id {"$oid":"507f1f77bcf86cd799439011"}: the field "a" stands in it twice`},
		{"empty name", marshal(t, bson.D{{Key: "_id", Value: "k"}, {Key: "", Value: int32(1)}}), `the document with _id "k": a field has an empty name`},
		{"name not UTF-8", bson.Raw(bsoncore.NewDocumentBuilder().AppendInt32("_id", 7).AppendNull("\xff").Build()), `the document with _id 7: the name of the field "\xff" is not UTF-8`},
		{"too many", marshal(t, many), `the document with _id 5: the documents have more than 2000 different fields`},
		{"malformed", torn, `the document with _id 6: the document is malformed`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := documentFault("look at", collection("c"), newShape().add(test.doc))
			if err == nil || !strings.Contains(err.Error(), test.want) || connectors.KindOf(err) != connectors.KindType {
				t.Errorf("error is %v (%s), want %s", err, connectors.KindOf(err), test.want)
			}
		})
	}
}

func TestMalformedBSONIsNeverTrusted(t *testing.T) {
	t.Parallel()
	whole := marshal(t, bson.D{
		{Key: "_id", Value: testID},
		{Key: "s", Value: "abc"},
		{Key: "b", Value: bson.Binary{Subtype: 2, Data: []byte("abcd")}},
		{Key: "d", Value: bson.D{{Key: "x", Value: bson.CodeWithScope{Code: "f", Scope: bson.D{}}}}},
		{Key: "r", Value: bson.Regex{Pattern: "a"}},
		{Key: "n", Value: 1.5},
		{Key: "a", Value: bson.A{bson.Symbol("s")}},
	})
	for at := range whole {
		for _, b := range []byte{0, 1, 2, 3, 4, 5, 13, 15, 127, 128, 255} {
			doc := append(bson.Raw(nil), whole...)
			doc[at] = b
			look := newShape()
			if look.add(doc) != nil {
				continue
			}
			table, _ := look.describe(collection("c"))
			d, err := newDecoder(connectors.ReadRequest{Table: table, Columns: table.Columns}, func(batch arrow.RecordBatch) error { batch.Release(); return nil })
			if err != nil {
				t.Fatal(err)
			}
			if err := d.document(doc); err != nil && !errors.Is(err, errMalformed) && !errors.Is(err, errKey) {
				t.Errorf("byte %d = %d: %v", at, b, err)
			}
			d.batcher.Release()
		}
	}
}

func TestChangedDocumentsAreNamed(t *testing.T) {
	t.Parallel()
	table, _, _ := load(t, []bson.Raw{marshal(t, bson.D{{Key: "_id", Value: testID}, {Key: "n", Value: int32(1)}})})
	d, err := newDecoder(connectors.ReadRequest{Table: table, Columns: table.Columns}, func(arrow.RecordBatch) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	defer d.batcher.Release()
	if err := d.document(marshal(t, bson.D{{Key: "_id", Value: testID}, {Key: "n", Value: int64(1)}, {Key: "new", Value: "x"}})); err != nil {
		t.Errorf("a long that an int holds: %v", err)
	}
	if diff := cmp.Diff([]string{"new"}, d.appeared); diff != "" {
		t.Errorf("the fields that appeared differ (-want +got):\n%s", diff)
	}
	err = documentChanged("read", table, d.document(marshal(t, bson.D{{Key: "_id", Value: testID}, {Key: "n", Value: "1"}})))
	want := `read c: the document with _id {"$oid":"507f1f77bcf86cd799439011"}: column "n": the value is string, not int32 (the collection has changed since it was looked at: run again)`
	if err == nil || err.Error() != want || connectors.KindOf(err) != connectors.KindType {
		t.Errorf("error is %v, want %s", err, want)
	}
}

func TestBoundsAreTyped(t *testing.T) {
	t.Parallel()
	column := func(typ connectors.Type) connectors.Column { return connectors.Column{Name: "v", Type: typ} }
	instant := connectors.Type{Kind: connectors.TimestampTZ}
	for _, test := range []struct {
		name  string
		c     connectors.Column
		text  string
		lower bool
		want  any // nil: refused
	}{
		{"integer", column(connectors.Type{Kind: connectors.Int32}), "-7", true, int64(-7)},
		{"double", column(connectors.Type{Kind: connectors.Float64}), "1e-7", true, 1e-7},
		{"decimal", column(connectors.Type{Kind: connectors.Numeric}), "1.50", true, decimal(t, "1.50")},
		{"decimal too long", column(connectors.Type{Kind: connectors.Numeric}), "1.2345678901234567890123456789012345678", true, nil},
		{"instant", column(instant), "2026-01-31T15:04:05.123Z", true, bson.DateTime(1769871845123)},
		{"instant from between", column(instant), "2026-01-31T15:04:05.1234Z", true, bson.DateTime(1769871845124)},
		{"instant to between", column(instant), "2026-01-31T15:04:05.1234Z", false, bson.DateTime(1769871845123)},
		{"early instant from between", column(instant), "1969-12-31T23:59:59.9985Z", true, bson.DateTime(-1)},
		{"early instant to between", column(instant), "1969-12-31T23:59:59.9985Z", false, bson.DateTime(-2)},
		{"infinity", column(instant), "infinity", false, bson.DateTime(math.MaxInt64)},
		{"not an instant", column(instant), "yesterday", true, nil},
		{"ObjectId", column(objectID), "507f1f77bcf86cd799439011", true, testID},
		{"not an ObjectId", column(objectID), "507f", true, nil},
		{"text", column(connectors.Type{Kind: connectors.Text}), "$where", true, "$where"},
		{"UUID", column(connectors.Type{Kind: connectors.UUID}), "30313233-3435-3637-3839-616263646566", true, bson.Binary{Subtype: 4, Data: []byte("0123456789abcdef")}},
		{"not a UUID", column(connectors.Type{Kind: connectors.UUID}), "3031", true, nil},
		{"bool", column(connectors.Type{Kind: connectors.Bool}), "true", true, true},
		{"JSON", column(connectors.Type{Kind: connectors.JSON}), "1", true, nil},
		{"JSON text", connectors.Column{Name: "_id", Type: connectors.Type{Kind: connectors.Text}, Native: "int, string" + jsonText}, "1", true, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := boundValue(test.c, connectors.Bound{Kind: test.c.Type.Kind, Text: test.text}, test.lower)
			if err != nil {
				got = nil
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(bson.Decimal128{})); diff != "" || (err == nil) != (test.want != nil) {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestFitsDouble(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]bool{0: true, 1<<53 - 1: true, 1 << 53: true, 1<<53 + 1: false, 1<<53 + 2: true, -1<<53 - 1: false, math.MinInt64: true, math.MaxInt64: false, 1 << 62: true} {
		if got := fitsDouble(n); got != want {
			t.Errorf("fitsDouble(%d) = %v", n, got)
		}
	}
}

func TestEveryFieldNameIsKept(t *testing.T) {
	t.Parallel()
	doc, want := bson.D{{Key: "_id", Value: int32(1)}}, `{"_id":1`
	for i, name := range []string{`"`, "\\", "\n", "\x7f", "'; drop", "`", "a.b", ".", "$a", "$ref", "é", "\U0001f600", "_ID", " ", strings.Repeat("n", 300)} {
		doc = append(doc, bson.E{Key: name, Value: int32(i)})
		want += "," + string(connectors.AppendJSONString(nil, name)) + ":" + strconv.Itoa(i)
	}
	_, _, rows := load(t, []bson.Raw{marshal(t, doc)})
	if diff := cmp.Diff([]string{want + "}"}, rows); diff != "" {
		t.Errorf("rows differ (-want +got):\n%s", diff)
	}
}
