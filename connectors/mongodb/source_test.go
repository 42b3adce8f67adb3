package mongodb

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/goleak"

	"arus/connectors"
	"arus/testdata/servers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var _ connectors.Settler = (*Source)(nil)

func registry() connectors.Registry { return connectors.Registry{"mongodb": New()} }

// connect opens a database of the test's own, which the test fills through the driver.
func connect(t *testing.T) (*Source, *mongo.Database) {
	t.Helper()
	cfg, err := registry().ParseURL(servers.MongoDBDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	source, err := New().OpenSource(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := source.(*Source)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, s.database
}

func insert(t *testing.T, c *mongo.Collection, docs ...any) {
	t.Helper()
	for part := range slices.Chunk(docs, 5000) {
		if _, err := c.InsertMany(t.Context(), part); err != nil {
			t.Fatal(err)
		}
	}
}

func settle(t *testing.T, s *Source, name string) connectors.Table {
	t.Helper()
	tables, err := s.Tables(t.Context(), connectors.TableFilter{Names: []string{name}, Views: true})
	if err != nil || len(tables) != 1 {
		t.Fatalf("%d collections, %v", len(tables), err)
	}
	table, err := s.Settle(t.Context(), tables[0])
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func read(t *testing.T, s *Source, req connectors.ReadRequest) []string {
	t.Helper()
	if req.Columns == nil {
		req.Columns = req.Table.Columns
	}
	var rows []string
	err := s.Read(t.Context(), req, func(batch arrow.RecordBatch) error {
		defer batch.Release()
		rows = append(rows, jsonRows(batch, req.Columns)...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestCollectionsThatChangeTheirMindLoadCompletely(t *testing.T) {
	t.Parallel()
	s, db := connect(t)
	const n = 50_000
	docs := make([]any, n)
	want := make([]string, n)
	for i := range docs {
		doc := bson.D{{Key: "_id", Value: int32(i)}}
		row := fmt.Sprintf(`{"_id":%d,"tags":[%d,{"k":["v",%d.0]}],"amount":`, i, i, i)
		doc = append(doc, bson.E{Key: "tags", Value: bson.A{int32(i), bson.D{{Key: "k", Value: bson.A{"v", float64(i)}}}}})
		switch { // the first conflict comes after what any sample would show
		case i%9 == 0:
			doc, row = append(doc, bson.E{Key: "amount", Value: nil}), row+"null"
		case i%3 == 0: // missing
			row += "null"
		case i == 40_000:
			doc, row = append(doc, bson.E{Key: "amount", Value: "forty"}), row+`"forty"`
		case i%3 == 1:
			doc, row = append(doc, bson.E{Key: "amount", Value: float64(i) + 0.5}), row+fmt.Sprintf("%d.5", i)
		default:
			doc, row = append(doc, bson.E{Key: "amount", Value: int32(i)}), row+fmt.Sprint(i)
		}
		row += `,"number":`
		if i%2 == 0 {
			doc, row = append(doc, bson.E{Key: "number", Value: int32(i)}), row+fmt.Sprint(i)
		} else {
			doc, row = append(doc, bson.E{Key: "number", Value: int64(1<<40) + int64(i)}), row+fmt.Sprint(1<<40+i)
		}
		row += `,"flips":`
		if i < n/2 {
			doc, row = append(doc, bson.E{Key: "flips", Value: true}), row+"true"
		} else {
			doc, row = append(doc, bson.E{Key: "flips", Value: nil}, bson.E{Key: "late", Value: "x"}), row+"null"
		}
		if i == n-1 {
			doc[len(doc)-2].Value = "yes"
			row = strings.TrimSuffix(row, "null") + `"yes"`
		}
		row += `,"late":`
		if i < n/2 {
			row += "null}"
		} else {
			row += `"x"}`
		}
		docs[i], want[i] = doc, row
	}
	insert(t, db.Collection("c"), docs...)

	began := time.Now()
	table := settle(t, s, "c")
	settled := time.Since(began)
	began = time.Now()
	rows := read(t, s, connectors.ReadRequest{Table: table})
	t.Logf("settled %.0f documents/s, read %.0f documents/s", n/settled.Seconds(), n/time.Since(began).Seconds())
	if len(rows) != n || table.RowEstimate != n {
		t.Fatalf("%d rows, %d estimated, want %d", len(rows), table.RowEstimate, n)
	}
	for i := range rows {
		if rows[i] != want[i] {
			t.Fatalf("row %d differs (-want +got):\n%s", i, cmp.Diff(want[i], rows[i]))
		}
	}
	notes := []string{
		`c: the field "amount" holds int, double, string: it is kept as JSON text`,
		`c: the field "flips" holds bool, string: it is kept as JSON text`,
	}
	if _, err := s.Settle(t.Context(), table); err != nil { // says nothing twice
		t.Fatal(err)
	}
	if diff := cmp.Diff(notes, s.Notes()); diff != "" {
		t.Errorf("notes differ (-want +got):\n%s", diff)
	}
}

func TestValuesSurviveTheServer(t *testing.T) {
	t.Parallel()
	s, db := connect(t)
	insert(t, db.Collection("c"),
		bson.D{
			{Key: "_id", Value: testID},
			{Key: "b", Value: true},
			{Key: "i", Value: int32(-1)},
			{Key: "l", Value: int64(math.MaxInt64)},
			{Key: "d", Value: 0.1},
			{Key: "s", Value: "h\u00e9"},
			{Key: "t", Value: bson.DateTime(1769871845123)},
			{Key: "u", Value: bson.Binary{Subtype: 4, Data: []byte("0123456789abcdef")}},
			{Key: "y", Value: []byte{0, 255}},
			{Key: "o", Value: bson.D{{Key: "r", Value: bson.Regex{Pattern: "a", Options: "i"}}, {Key: "n", Value: nil}}},
			{Key: "z", Value: bson.Timestamp{T: 1, I: 2}},
		},
		bson.D{{Key: "_id", Value: bson.ObjectID{1}}})
	table := settle(t, s, "c")
	var types []string
	for _, c := range table.Columns {
		types = append(types, c.Name+" "+c.Type.String())
	}
	if diff := cmp.Diff([]string{"_id text(24) fixed", "b bool", "i int32", "l int64", "d float64", "s text", "t timestamptz", "u uuid", "y bytes", "o json", "z json"}, types); diff != "" {
		t.Errorf("types differ (-want +got):\n%s", diff)
	}
	want := []string{
		`{"_id":"010000000000000000000000","b":null,"i":null,"l":null,"d":null,"s":null,"t":null,"u":null,"y":null,"o":null,"z":null}`,
		`{"_id":"507f1f77bcf86cd799439011","b":true,"i":-1,"l":9223372036854775807,"d":0.1,"s":"hé","t":"2026-01-31T15:04:05.123Z","u":"30313233-3435-3637-3839-616263646566",` +
			`"y":"AP8=","o":{"r":{"$regularExpression":{"pattern":"a","options":"i"}},"n":null},"z":{"$timestamp":{"t":1,"i":2}}}`,
	}
	if diff := cmp.Diff(want, read(t, s, connectors.ReadRequest{Table: table})); diff != "" {
		t.Errorf("rows differ (-want +got):\n%s", diff)
	}
	some := []connectors.Column{table.Columns[4], table.Columns[0]}
	if diff := cmp.Diff([]string{`{"d":null,"_id":"010000000000000000000000"}`, `{"d":0.1,"_id":"507f1f77bcf86cd799439011"}`}, read(t, s, connectors.ReadRequest{Table: table, Columns: some})); diff != "" {
		t.Errorf("chosen columns differ (-want +got):\n%s", diff)
	}
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	s, db := connect(t)
	for i, name := range []string{"people", "orders", "odd name é", "empty"} {
		if err := db.CreateCollection(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		for n := range i {
			insert(t, db.Collection(name), bson.D{{Key: "_id", Value: int32(n)}, {Key: "at", Value: bson.DateTime(n)}, {Key: "name", Value: "x"}})
		}
	}
	if _, err := db.Collection("empty").DeleteMany(t.Context(), bson.D{}); err != nil {
		t.Fatal(err)
	}
	_, err := db.Collection("orders").Indexes().CreateMany(t.Context(), []mongo.IndexModel{
		{Keys: bson.D{{Key: "at", Value: -1}, {Key: "name", Value: 1}}}, {Keys: bson.D{{Key: "absent", Value: 1}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		filter connectors.TableFilter
		want   []string
	}{
		{"all", connectors.TableFilter{}, []string{"empty", "odd name é", "orders", "people"}},
		{"by name", connectors.TableFilter{Names: []string{"people", "nobody"}}, []string{"people"}},
		{"by glob", connectors.TableFilter{Include: []string{"o*"}, Exclude: []string{"* *"}}, []string{"orders"}},
		{"this schema", connectors.TableFilter{Schemas: []string{db.Name()}, Include: []string{"p*"}}, []string{"people"}},
		{"another schema", connectors.TableFilter{Schemas: []string{"elsewhere"}}, nil},
	} {
		tables, err := s.Tables(t.Context(), test.filter)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, table := range tables {
			names = append(names, table.String())
		}
		if diff := cmp.Diff(test.want, names); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	tables, err := s.Tables(t.Context(), connectors.TableFilter{Names: []string{"orders"}})
	if err != nil {
		t.Fatal(err)
	}
	tables[0].Bytes = 0
	want := connectors.Table{
		TableRef: connectors.TableRef{Name: "orders"}, DefaultSchema: true, PrimaryKey: []string{"_id"}, Indexed: []string{"_id", "at"}, RowEstimate: 1,
		Columns: []connectors.Column{
			{Name: "_id", Type: connectors.Type{Kind: connectors.Int32}, Native: "int"},
			{Name: "at", Type: connectors.Type{Kind: connectors.TimestampTZ, Precision: 3}, Native: "date", Nullable: true},
			{Name: "name", Type: connectors.Type{Kind: connectors.Text}, Native: "string", Nullable: true},
		},
	}
	if diff := cmp.Diff(want, tables[0]); diff != "" {
		t.Errorf("the table differs (-want +got):\n%s", diff)
	}
	if _, err := s.Tables(t.Context(), connectors.TableFilter{Include: []string{"["}}); connectors.KindOf(err) != connectors.KindInvalid {
		t.Errorf("a malformed pattern gives %v", err)
	}
}

func TestWindowsKeepTies(t *testing.T) {
	t.Parallel()
	s, db := connect(t)
	var docs []any
	for i := range 40 { // four of each value
		docs = append(docs, bson.D{
			{Key: "_id", Value: int32(i)},
			{Key: "at", Value: bson.DateTime(1000 + i/4)},
			{Key: "n", Value: int64(i / 4)},
			{Key: "f", Value: float64(i/4) / 2},
			{Key: "s", Value: fmt.Sprintf("%02d", i/4)},
			{Key: "o", Value: bson.ObjectID{byte(i / 4)}},
		})
	}
	docs = append(docs, bson.D{{Key: "_id", Value: int32(100)}, {Key: "at", Value: nil}, {Key: "n", Value: nil}, {Key: "f", Value: nil}, {Key: "s", Value: nil}, {Key: "o", Value: nil}}, bson.D{{Key: "_id", Value: int32(101)}})
	insert(t, db.Collection("c"), docs...)
	table := settle(t, s, "c")
	for _, test := range []struct{ column, lower, upper string }{
		{"at", "1970-01-01T00:00:01.003Z", "1970-01-01T00:00:01.005Z"},
		{"at", "1970-01-01T00:00:01.0021Z", "1970-01-01T00:00:01.0059Z"},
		{"n", "3", "5"},
		{"f", "1.5", "2.5"},
		{"s", "03", "05"},
		{"o", "030000000000000000000000", "050000000000000000000000"},
	} {
		c, _ := table.Column(test.column)
		lower, upper := &connectors.Bound{Kind: c.Type.Kind, Text: test.lower}, &connectors.Bound{Kind: c.Type.Kind, Text: test.upper}
		ids := []connectors.Column{table.Columns[0]}
		for _, window := range []struct {
			name     string
			w        connectors.Window
			from, to int
		}{
			{"both", connectors.Window{Lower: lower, Upper: upper}, 12, 24},
			{"from", connectors.Window{Lower: lower}, 12, 40},
			{"to", connectors.Window{Upper: upper}, 0, 24},
			{"neither", connectors.Window{}, 0, 40},
		} {
			for _, nulls := range []bool{false, true} {
				w := window.w
				w.Column, w.Nulls = test.column, nulls
				var want []string
				for i := window.from; i < window.to; i++ {
					want = append(want, fmt.Sprintf(`{"_id":%d}`, i))
				}
				if nulls {
					want = append(want, `{"_id":100}`, `{"_id":101}`)
				}
				got := read(t, s, connectors.ReadRequest{Table: table, Columns: ids, Window: &w, OrderBy: []string{"_id"}})
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s %s, nulls %v (-want +got):\n%s", test.column, window.name, nulls, diff)
				}
			}
		}
	}
	got := read(t, s, connectors.ReadRequest{Table: table, Columns: table.Columns[:1], OrderBy: []string{"s"}})
	if want := []string{`{"_id":100}`, `{"_id":101}`, `{"_id":0}`, `{"_id":1}`}; !slices.Equal(got[:4], want) || len(got) != 42 {
		t.Errorf("%d rows begin with %v, want %v", len(got), got[:4], want)
	}
}

func TestMax(t *testing.T) {
	t.Parallel()
	s, db := connect(t)
	insert(t, db.Collection("c"),
		bson.D{{Key: "_id", Value: "a"}, {Key: "at", Value: bson.DateTime(5)}, {Key: "n", Value: int32(7)}, {Key: "o", Value: testID}, {Key: "s", Value: "z"}, {Key: "mixed", Value: "a"}, {Key: "none", Value: nil}},
		bson.D{{Key: "_id", Value: "b"}, {Key: "at", Value: nil}, {Key: "n", Value: int64(1 << 40)}, {Key: "o", Value: bson.ObjectID{1}}, {Key: "s", Value: "Z"}, {Key: "mixed", Value: int32(1)}},
		bson.D{{Key: "_id", Value: "c"}})
	table := settle(t, s, "c")
	table.Columns = append(table.Columns, connectors.Column{Name: "a.b", Type: connectors.Type{Kind: connectors.Int32}}) // FerretDB has none
	for _, test := range []struct {
		column, want string
		ok           bool
		kind         connectors.ErrorKind
	}{
		{"_id", "c", true, ""},
		{"at", "1970-01-01T00:00:00.005Z", true, ""},
		{"n", "1099511627776", true, ""},
		{"o", "507f1f77bcf86cd799439011", true, ""},
		{"s", "z", true, ""},
		{"none", "", false, ""},
		{"mixed", "", false, connectors.KindUnsupported},
		{"a.b", "", false, connectors.KindUnsupported},
		{"absent", "", false, connectors.KindNotFound},
	} {
		bound, ok, err := s.Max(t.Context(), table, test.column)
		if bound.Text != test.want || ok != test.ok || connectors.KindOf(err) != test.kind {
			t.Errorf("Max(%s) = %q, %v, %v, want %q, %v", test.column, bound.Text, ok, err, test.want, test.ok)
		}
	}
	// Settled as a number, and a text came since: the greatest is that of the numbers.
	insert(t, db.Collection("c"), bson.D{{Key: "_id", Value: "d"}, {Key: "n", Value: "9"}})
	if bound, ok, err := s.Max(t.Context(), table, "n"); bound.Text != "1099511627776" || !ok || err != nil {
		t.Errorf("Max(n) = %q, %v, %v", bound.Text, ok, err)
	}
	err := s.Read(t.Context(), connectors.ReadRequest{Table: table, Columns: table.Columns}, func(batch arrow.RecordBatch) error { batch.Release(); return nil })
	if connectors.KindOf(err) != connectors.KindType || !strings.Contains(err.Error(), `read c: the document with _id "d": column "n": the value is string, not int64`) {
		t.Errorf("reading a value of another type gives %v", err)
	}
}

func TestHostileFieldNames(t *testing.T) {
	t.Parallel()
	s, db := connect(t)
	// FerretDB takes neither quotes nor backslashes in a name: see TestEveryFieldNameIsKept.
	names := []string{"'; drop", "a b", "'", "`", "é", "select", "__proto__", strings.Repeat("n", 300)}
	doc, want := bson.D{{Key: "_id", Value: int32(1)}}, `{"_id":1`
	for i, name := range names {
		doc = append(doc, bson.E{Key: name, Value: int32(i)})
		want += "," + string(connectors.AppendJSONString(nil, name)) + ":" + fmt.Sprint(i)
	}
	insert(t, db.Collection("c"), doc)
	table := settle(t, s, "c")
	if diff := cmp.Diff([]string{want + "}"}, read(t, s, connectors.ReadRequest{Table: table})); diff != "" {
		t.Errorf("rows differ (-want +got):\n%s", diff)
	}
	for i, name := range names {
		b := &connectors.Bound{Kind: connectors.Int32, Text: fmt.Sprint(i)}
		if got := read(t, s, connectors.ReadRequest{Table: table, Window: &connectors.Window{Column: name, Lower: b, Upper: b}}); len(got) != 1 {
			t.Errorf("a window over %q finds %d rows", name, len(got))
		}
	}
	for _, name := range []string{"a.b", "$a", ""} {
		table.Columns[1].Name = name
		for _, req := range []connectors.ReadRequest{{OrderBy: []string{name}}, {Window: &connectors.Window{Column: name}}} {
			req.Table, req.Columns = table, table.Columns
			if err := s.Read(t.Context(), req, nil); connectors.KindOf(err) != connectors.KindInvalid {
				t.Errorf("searching by %q gives %v", name, err)
			}
		}
	}
}

func TestReadGoesOnWhenTheCursorIsLost(t *testing.T) {
	t.Parallel()
	s, db := connect(t)
	var docs []any
	var want []string
	for i := range 5000 {
		docs = append(docs, bson.D{{Key: "_id", Value: fmt.Sprintf("%05d", i)}, {Key: "n", Value: int32(i % 10)}})
		want = append(want, fmt.Sprintf(`{"_id":"%05d","n":%d}`, i, i%10))
	}
	insert(t, db.Collection("c"), docs...)
	table := settle(t, s, "c")
	kill := watchCursors(t, s)
	kills := 0
	for _, req := range []connectors.ReadRequest{
		{Table: table, Limits: connectors.Limits{Rows: 600}},
		{Table: table, Limits: connectors.Limits{Rows: 600}, Window: &connectors.Window{Column: "n", Upper: &connectors.Bound{Kind: connectors.Int32, Text: "9"}}},
	} {
		req.Columns = table.Columns
		var rows []string
		seen := 0
		err := s.Read(t.Context(), req, func(batch arrow.RecordBatch) error {
			defer batch.Release()
			rows = append(rows, jsonRows(batch, table.Columns)...)
			if seen++; seen == 1 || seen == 3 {
				kills += kill("c")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, rows); diff != "" {
			t.Errorf("rows differ (-want +got):\n%s", diff)
		}
	}
	if kills != 4 {
		t.Errorf("%d cursors were killed, want 4", kills)
	}
}

// watchCursors gives a function that ends the cursor that the source opened last.
func watchCursors(t *testing.T, s *Source) (kill func(collection string) int) {
	t.Helper()
	var last int64
	client, err := mongo.Connect(options.Client().SetHosts([]string{s.address}).SetMonitor(&event.CommandMonitor{
		Succeeded: func(_ context.Context, e *event.CommandSucceededEvent) {
			if id, ok := e.Reply.Lookup("cursor", "id").Int64OK(); ok && e.CommandName == "find" {
				last = id
			}
		},
	}))
	if err != nil {
		t.Fatal(err)
	}
	before := s.client
	t.Cleanup(func() { _ = before.Disconnect(context.WithoutCancel(t.Context())) })
	s.client, s.database = client, client.Database(s.database.Name())
	return func(collection string) int {
		var reply struct {
			Killed []int64 `bson:"cursorsKilled"`
		}
		err := before.Database(s.database.Name()).RunCommand(t.Context(), bson.D{{Key: "killCursors", Value: collection}, {Key: "cursors", Value: bson.A{last}}}).Decode(&reply)
		if err != nil {
			t.Fatal(err)
		}
		return len(reply.Killed)
	}
}

// failsAs checks an error's kind and what it says, and that it never shows the password.
func failsAs(t *testing.T, err error, kind connectors.ErrorKind, words string) {
	t.Helper()
	if connectors.KindOf(err) != kind || err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("error is %v (%s), want %s: %s", err, connectors.KindOf(err), kind, words)
	}
	if err != nil && strings.Contains(err.Error(), hush) {
		t.Errorf("the password shows in %v", err)
	}
}

func TestCancelledReadEnds(t *testing.T) {
	t.Parallel()
	s, db := connect(t)
	var docs []any
	for i := range 5000 {
		docs = append(docs, bson.D{{Key: "_id", Value: int32(i)}})
	}
	insert(t, db.Collection("c"), docs...)
	table := settle(t, s, "c")
	kill := watchCursors(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	batches := 0
	err := s.Read(ctx, connectors.ReadRequest{Table: table, Columns: table.Columns, Limits: connectors.Limits{Rows: 100}}, func(batch arrow.RecordBatch) error {
		batch.Release()
		batches++
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) || connectors.Retryable(err) || batches > 10 {
		t.Errorf("after %d batches: %v", batches, err)
	}
	if kill("c") != 0 {
		t.Error("the cursor is still open on the server")
	}

	stop := errors.New("enough")
	err = s.Read(t.Context(), connectors.ReadRequest{Table: table, Columns: table.Columns, Limits: connectors.Limits{Rows: 100}}, func(batch arrow.RecordBatch) error {
		batch.Release()
		return stop
	})
	if !errors.Is(err, stop) {
		t.Errorf("an error of emit comes back as %v", err)
	}
	if kill("c") != 0 {
		t.Error("the cursor is still open on the server after an error of emit")
	}
}

func TestUnwillingServers(t *testing.T) {
	t.Parallel()
	open := func(cfg connectors.Config) error {
		cfg.Type = "mongodb"
		source, err := New().OpenSource(t.Context(), cfg)
		if err == nil {
			_ = source.Close()
		}
		return err
	}
	closed := connectors.Config{Host: "127.0.0.1", Port: 1, Database: "d", Username: "u", Password: hush, Options: map[string]string{"connectTimeoutMS": "500"}}
	failsAs(t, open(closed), connectors.KindNetwork, "connect to 127.0.0.1:1: ")
	u, err := url.Parse(servers.MongoDB(t))
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := registry().ParseURL(u.String() + "d")
	if err != nil {
		t.Fatal(err)
	}
	wrong := cfg
	wrong.Username, wrong.Password, wrong.Options = "nobody", hush, map[string]string{"authMechanism": "SCRAM-SHA-256", "connect_timeout": "2"}
	failsAs(t, open(wrong), connectors.KindAuth, `authSource: the user was looked for in the database "admin"`)
	plain := cfg
	plain.Options = map[string]string{"tls": "true", "connect_timeout": "2"}
	failsAs(t, open(plain), connectors.KindNetwork, "")
	other := cfg
	other.Options = map[string]string{"replicaSet": "rs0", "connect_timeout": "2"}
	failsAs(t, open(other), connectors.KindTimeout, "check replicaSet")
}
