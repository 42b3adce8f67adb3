package mongodb

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"go.mongodb.org/mongo-driver/v2/bson"

	"arus/connectors"
)

// orders are documents as shops have them.
func orders(b *testing.B) []bson.Raw {
	docs := make([]bson.Raw, 1000)
	for i := range docs {
		raw, err := bson.Marshal(bson.D{
			{Key: "_id", Value: bson.ObjectID{byte(i), byte(i >> 8)}},
			{Key: "customer", Value: "customer number seven"},
			{Key: "at", Value: bson.DateTime(i)},
			{Key: "paid", Value: i%2 == 0},
			{Key: "total", Value: float64(i) / 8},
			{Key: "count", Value: int32(i)},
			{Key: "serial", Value: int64(i)},
			{Key: "lines", Value: bson.A{bson.D{{Key: "sku", Value: "abc"}, {Key: "n", Value: int32(1)}}, bson.D{{Key: "sku", Value: "def"}, {Key: "n", Value: 1.5}}}},
		})
		if err != nil {
			b.Fatal(err)
		}
		docs[i] = raw
	}
	return docs
}

func BenchmarkSettle(b *testing.B) {
	docs := orders(b)
	look := newShape()
	for i := 0; b.Loop(); i++ {
		if err := look.add(docs[i%len(docs)]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "documents/s")
}

func BenchmarkDecode(b *testing.B) {
	docs := orders(b)
	look := newShape()
	for _, doc := range docs {
		if err := look.add(doc); err != nil {
			b.Fatal(err)
		}
	}
	table, _ := look.describe(connectors.Table{})
	d, err := newDecoder(connectors.ReadRequest{Table: table, Columns: table.Columns}, func(batch arrow.RecordBatch) error {
		batch.Release()
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	defer d.batcher.Release()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := d.document(docs[i%len(docs)]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "documents/s")
}
