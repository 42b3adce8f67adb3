package app

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"arus/testdata/servers"
)

// TestMongoDBCollectionWithFlippingTypes copies 50,000 documents whose fields
// change their type, nest and go missing, into a relational and the built-in
// destination: all arrive, every conflict is named once, then exactly the
// changed ones follow.
func TestMongoDBCollectionWithFlippingTypes(t *testing.T) {
	t.Parallel()
	uri := servers.MongoDBDatabase(t)
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Disconnect(t.Context()) }()
	name := uri[strings.LastIndexByte(uri, '/')+1:]
	name, _, _ = strings.Cut(name, "?")
	collection := client.Database(name).Collection("orders")
	const count = 50_000
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for from := 0; from < count; from += 1000 {
		documents := make([]any, 1000)
		for k := range documents {
			documents[k] = document(from+k, start)
		}
		if _, err := collection.InsertMany(t.Context(), documents); err != nil {
			t.Fatal(err)
		}
	}
	dir, to := t.TempDir(), postgresTarget(t)
	first := runSync(t, dir, "--from", uri, "--to", to.url)
	if first.RowsRead != count || first.RowsLoaded != count {
		t.Errorf("read %d and loaded %d documents, want %d", first.RowsRead, first.RowsLoaded, count)
	}
	if len(first.Warnings) != 1 || !strings.Contains(first.Warnings[0], `"ref" holds int, object, string`) {
		t.Errorf("warnings %q, want the one conflict named once", first.Warnings)
	}
	got := to.read(t, `SELECT x._id::text, x.amount::text, x.ref::text, x.address->>'city', x.tags->>1, x.updated_at::text FROM analytics.orders x WHERE x._id IN (0, 7, 49999) ORDER BY x._id`)
	want := []string{
		`"0" "0" "0" "city 0" "b0" "2026-01-01 00:00:00+00" `, `"7" "0.875" "\"r7\"" "city 7" "b7" "2026-01-01 00:00:07+00" `,
		`"49999" "6249.875" "\"r49999\"" "city 49999" "b49999" "2026-01-01 13:53:19+00" `,
	}
	if !slices.Equal(got, want) {
		t.Errorf("rows\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if _, err := collection.UpdateMany(t.Context(), bson.D{{Key: "_id", Value: bson.D{{Key: "$lt", Value: 10}}}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "updated_at", Value: start.AddDate(1, 0, 0)}, {Key: "amount", Value: 1.5}}}}); err != nil {
		t.Fatal(err)
	}
	if third := runSync(t, dir, "--from", uri, "--to", to.url); third.RowsRead != 10 || third.RowsLoaded != 10 {
		t.Errorf("read %d and loaded %d documents, want the 10 changed ones", third.RowsRead, third.RowsLoaded)
	}
}

// TestMongoDBIsNotLookedAtTwice copies a collection whose documents are alike
// without a look at all of them, and one that is not with it; a field that comes
// up later arrives.
func TestMongoDBIsNotLookedAtTwice(t *testing.T) {
	t.Parallel()
	uri := servers.MongoDBDatabase(t)
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Disconnect(t.Context()) }()
	name := uri[strings.LastIndexByte(uri, '/')+1:]
	name, _, _ = strings.Cut(name, "?")
	const count = 1500
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	alike, odd := make([]any, count), make([]any, count)
	for i := range alike {
		d := bson.D{{Key: "_id", Value: int32(i)}, {Key: "updated_at", Value: start.Add(time.Duration(i) * time.Second)}, {Key: "n", Value: int32(i)}}
		alike[i], odd[i] = d, d
	}
	odd[count/2] = bson.D{{Key: "_id", Value: int32(count / 2)}, {Key: "updated_at", Value: start}, {Key: "n", Value: "seven"}, {Key: "more", Value: true}}
	for collection, docs := range map[string][]any{"alike": alike, "odd": odd} {
		if _, err := client.Database(name).Collection(collection).InsertMany(t.Context(), docs); err != nil {
			t.Fatal(err)
		}
	}
	dir, to := t.TempDir(), postgresTarget(t)
	const looked = ": looking at all values"
	first := runSync(t, dir, "--from", uri, "--to", to.url)
	if text := mustArus(t, dir, "runs", first.RunID); first.RowsLoaded != 2*count || !contains(text, "odd"+looked) || contains(text, "alike"+looked) {
		t.Errorf("loaded %d documents, want %d, and a look at the odd ones only:\n%s", first.RowsLoaded, 2*count, text)
	}
	if got := to.read(t, `SELECT (SELECT sum(n) FROM analytics.alike)::text, (SELECT count(*) FROM analytics.odd x WHERE x.n::text = '"seven"' AND x.more)::text`); !slices.Equal(got, []string{fmt.Sprintf(`"%d" "1" `, count*(count-1)/2)}) {
		t.Errorf("the rows hold %q", got)
	}
	setPipeline(t, dir, `options = json_set(options, '$.drift', 'evolve')`)
	if _, err := client.Database(name).Collection("alike").UpdateOne(t.Context(), bson.D{{Key: "_id", Value: 700}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "updated_at", Value: start.AddDate(1, 0, 0)}, {Key: "rare", Value: 1.5}}}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		rows int64
		look bool
	}{{2, true}, {0, false}} { // a changed schema has the rows at the watermark loaded again
		again := runSync(t, dir, "--from", uri, "--to", to.url)
		if text := mustArus(t, dir, "runs", again.RunID); again.RowsLoaded != want.rows || contains(text, "alike"+looked) != want.look || contains(text, "removed") {
			t.Errorf("loaded %d documents, want %d, looked at all: want %v:\n%s", again.RowsLoaded, want.rows, want.look, text)
		}
	}
	if got := to.read(t, `SELECT x._id::text, x.rare::text FROM analytics.alike x WHERE x.rare IS NOT NULL`); !slices.Equal(got, []string{`"700" "1.5" `}) {
		t.Errorf("the new field's rows are %q", got)
	}
}

// document is the i-th one: amount flips between long and double, ref between
// number, text and document, note is often missing.
func document(i int, start time.Time) bson.D {
	d := bson.D{{Key: "_id", Value: int32(i)}, {Key: "updated_at", Value: start.Add(time.Duration(i) * time.Second)}}
	if i%2 == 0 {
		d = append(d, bson.E{Key: "amount", Value: int64(i)}, bson.E{Key: "ref", Value: int32(i)})
	} else {
		d = append(d, bson.E{Key: "amount", Value: float64(i) / 8}, bson.E{Key: "ref", Value: fmt.Sprint("r", i)})
	}
	if i == count90 {
		d[len(d)-1].Value = bson.D{{Key: "deep", Value: bson.A{1, "x", nil}}}
	}
	if i%10 == 3 {
		d = append(d, bson.E{Key: "note", Value: "ünï😀"})
	}
	return append(d, bson.E{Key: "address", Value: bson.D{{Key: "city", Value: fmt.Sprint("city ", i)}, {Key: "lines", Value: bson.A{i, bson.D{{Key: "z", Value: true}}}}}},
		bson.E{Key: "tags", Value: bson.A{fmt.Sprint("a", i), fmt.Sprint("b", i)}})
}

// count90 is a document far behind any sample.
const count90 = 45_001
