package mongodb

import (
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"arus/connectors"
	"arus/connectors/conformance"
	"arus/testdata/servers"
	"arus/testdata/types"
)

func TestConformance(t *testing.T) { //nolint:paralleltest // it looks for goroutines left behind
	conformance.Run(t, func(t testing.TB) *conformance.Harness {
		url := servers.MongoDBDatabase(t)
		cfg, err := registry().ParseURL(url)
		if err != nil {
			t.Fatal(err)
		}
		return &conformance.Harness{
			Connector: New(), Config: cfg, Rows: 3000,
			Make: func(t testing.TB, name string, columns []connectors.Column, _ []string, rows [][]any) {
				client, err := mongo.Connect(options.Client().ApplyURI(url))
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = client.Disconnect(t.Context()) }()
				docs := make([]any, len(rows))
				for i, row := range rows {
					docs[i] = document(t, columns, row)
				}
				if _, err := client.Database(cfg.Database).Collection(name).InsertMany(t.Context(), docs); err != nil {
					t.Fatal(err)
				}
			},
			Skip: map[string]string{
				"absent tables":  "a collection that does not exist is an empty one to the server",
				"absent columns": "a field that no document has is null in all of them",
			},
		}
	})
}

// document leaves out what is NULL.
func document(t testing.TB, columns []connectors.Column, row []any) bson.D {
	t.Helper()
	var doc bson.D
	for i, v := range row {
		text, ok := v.(string)
		if !ok {
			continue
		}
		var value any = text
		var err error
		switch columns[i].Type.Kind {
		case connectors.Int64:
			value, err = strconv.ParseInt(text, 10, 64)
		case connectors.Float64:
			value, err = strconv.ParseFloat(text, 64)
		case connectors.TimestampTZ:
			ts, _, perr := connectors.ParseTimestamp(text)
			value, err = bson.DateTime(int64(ts)/1000), perr
		}
		if err != nil {
			t.Fatal(err)
		}
		doc = append(doc, bson.E{Key: columns[i].Name, Value: value})
	}
	return doc
}

// TestTypesTheTestServerLacks decodes the goldens that FerretDB cannot keep, from their bytes.
func TestTypesTheTestServerLacks(t *testing.T) {
	t.Parallel()
	golden, err := types.Load("mongodb")
	if err != nil {
		t.Fatal(err)
	}
	offline := golden.Offline()
	if len(offline) == 0 {
		t.Fatal("the goldens have no such types")
	}
	for _, c := range offline {
		t.Run(strings.ReplaceAll(c.Title(), ", ", "+"), func(t *testing.T) {
			t.Parallel()
			var docs []bson.Raw
			want := [][]any{}
			for i, v := range c.Values {
				var holder bson.D
				if err := bson.UnmarshalExtJSON([]byte(`{"_id": `+strconv.Itoa(i)+`, "v": `+v.Literal+`}`), true, &holder); err != nil {
					t.Fatal(err)
				}
				docs, want = append(docs, marshal(t, holder)), append(want, []any{*v.Want})
			}
			got := [][]any{}
			table, _ := decode(t, docs, func(batch arrow.RecordBatch, columns []connectors.Column) {
				for _, row := range conformance.Texts(batch, columns) {
					got = append(got, row[1:])
				}
			})
			if logical := types.Spell(table.Columns[1].Type); logical != c.Logical {
				t.Errorf("the type is %s, want %s", logical, c.Logical)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// decode settles documents and gives them in batches, without a server.
func decode(t *testing.T, docs []bson.Raw, emit func(arrow.RecordBatch, []connectors.Column)) (connectors.Table, []string) {
	t.Helper()
	look := newShape()
	for _, doc := range docs {
		if err := look.add(doc); err != nil {
			t.Fatal(err)
		}
	}
	table, notes := look.describe(collection("c"))
	d, err := newDecoder(connectors.ReadRequest{Table: table, Columns: table.Columns}, func(batch arrow.RecordBatch) error {
		defer batch.Release()
		emit(batch, table.Columns)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer d.batcher.Release()
	for _, doc := range docs {
		if err := d.document(doc); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.batcher.Flush(); err != nil {
		t.Fatal(err)
	}
	return table, notes
}
