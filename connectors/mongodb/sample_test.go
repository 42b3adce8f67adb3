package mongodb

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"go.mongodb.org/mongo-driver/v2/bson"

	"arus/connectors"
)

var _ connectors.Sampler = (*Source)(nil)

// TestASampleIsEnoughUntilAValueDoesNotFit reads a collection by a sample of it:
// all of it, or not at all.
func TestASampleIsEnoughUntilAValueDoesNotFit(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const n = 2*sampleEnd + 100
	middle := sampleEnd + 50
	tests := []struct {
		name   string
		change func(doc bson.D) bson.D // of the document in the middle
		misfit bool
	}{
		{"alike", func(d bson.D) bson.D { return d }, false},
		{"missing", func(d bson.D) bson.D { return d[:2] }, false},
		{"null", func(d bson.D) bson.D { d[1].Value = nil; return d }, false},
		{"a wider number", func(d bson.D) bson.D { d[2].Value = 1.5; return d }, true},
		{"another type", func(d bson.D) bson.D { d[2].Value = "x"; return d }, true},
		{"another field", func(d bson.D) bson.D { return append(d, bson.E{Key: "more", Value: 1}) }, true},
		{"another type of watermark", func(d bson.D) bson.D { d[1].Value = "2026"; return d }, true},
		{"another type of identifier", func(d bson.D) bson.D { d[0].Value = "550"; return d }, true},
		{"a watermark as a document", func(d bson.D) bson.D { d[1].Value = bson.D{{Key: "at", Value: 1}}; return d }, true},
	}
	s, db := connect(t)
	for i, tt := range tests {
		name := "c" + string(rune('a'+i))
		docs := make([]any, n)
		for k := range docs {
			doc := bson.D{{Key: "_id", Value: int32(k)}, {Key: "at", Value: day.Add(time.Duration(k) * time.Second)}, {Key: "n", Value: int32(k)}}
			if k == middle {
				doc = tt.change(doc)
			}
			docs[k] = doc
		}
		insert(t, db.Collection(name), docs...)
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tables, err := s.Tables(t.Context(), connectors.TableFilter{Names: []string{"c" + string(rune('a'+i))}})
			if err != nil || len(tables) != 1 {
				t.Fatalf("%d collections, %v", len(tables), err)
			}
			table, ok, err := s.Sample(t.Context(), tables[0], nil)
			if err != nil || !ok {
				t.Fatalf("the sample: %v, %v", ok, err)
			}
			for _, w := range []*connectors.Window{
				nil,
				{Column: "at", Nulls: true, Upper: &connectors.Bound{Kind: connectors.TimestampTZ, Text: "2027-01-01T00:00:00Z"}},
			} {
				rows := 0
				err := s.Read(t.Context(), connectors.ReadRequest{Table: table, Columns: table.Columns, Window: w, Exact: true}, func(b arrow.RecordBatch) error {
					rows += int(b.NumRows())
					b.Release()
					return nil
				})
				switch {
				case tt.misfit && !errors.Is(err, connectors.ErrMisfit):
					t.Errorf("window %v: error %v after %d rows, want a misfit", w, err, rows)
				case tt.misfit && !strings.Contains(err.Error(), "550"):
					t.Errorf("the misfit is not named: %v", err)
				case !tt.misfit && (err != nil || rows != n):
					t.Errorf("window %v: %d rows, %v, want %d", w, rows, err, n)
				}
			}
		})
	}
}

// TestASampleKeepsWhatIsKnown does not forget the fields that few documents have.
func TestASampleKeepsWhatIsKnown(t *testing.T) {
	t.Parallel()
	s, db := connect(t)
	insert(t, db.Collection("c"), bson.D{{Key: "_id", Value: int32(1)}, {Key: "n", Value: int32(1)}, {Key: "mixed", Value: "x"}}, bson.D{{Key: "_id", Value: int32(2)}, {Key: "mixed", Value: int32(1)}})
	tables, err := s.Tables(t.Context(), connectors.TableFilter{})
	if err != nil || len(tables) != 1 {
		t.Fatalf("%d collections, %v", len(tables), err)
	}
	column := func(name string, kind connectors.Kind) connectors.Column {
		return connectors.Column{Name: name, Type: connectors.Type{Kind: kind}, Nullable: true}
	}
	tests := []struct {
		name  string
		known []connectors.Column
		want  string
	}{
		{"a conflict nobody knows of", nil, ""},
		{"a known conflict", []connectors.Column{column("mixed", connectors.JSON)}, "_id int32, n int32, mixed json"},
		{"wider", []connectors.Column{column("mixed", connectors.JSON), column("n", connectors.Int64)}, "_id int32, n int64, mixed json"},
		{"rare", []connectors.Column{column("mixed", connectors.JSON), column("rare", connectors.Float64)}, "_id int32, n int32, mixed json, rare float64"},
		{"narrower", []connectors.Column{column("mixed", connectors.JSON), column("n", connectors.Bool)}, ""},
	}
	for _, tt := range tests {
		table, ok, err := s.Sample(t.Context(), tables[0], tt.known)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range table.Columns {
			got = append(got, c.Name+" "+c.Type.String())
		}
		slices.Sort(got)
		want := strings.Split(tt.want, ", ")
		slices.Sort(want)
		if ok != (tt.want != "") || ok && !slices.Equal(got, want) {
			t.Errorf("%s: %v, %q, want %q", tt.name, ok, got, want)
		}
	}
}

// TestAReadGoesOnAfterAnIdentifier misses nothing that follows, of whatever type.
func TestAReadGoesOnAfterAnIdentifier(t *testing.T) {
	t.Parallel()
	s, db := connect(t)
	insert(t, db.Collection("c"), bson.D{{Key: "_id", Value: int32(1)}, {Key: "n", Value: true}}, bson.D{{Key: "_id", Value: int64(2)}, {Key: "n", Value: true}},
		bson.D{{Key: "_id", Value: int32(3)}, {Key: "n", Value: true}}, bson.D{{Key: "_id", Value: int32(4)}, {Key: "n", Value: false}}, bson.D{{Key: "_id", Value: "x"}, {Key: "n", Value: true}})
	kind, id, err := bson.MarshalValue(int32(2))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		filter bson.D
		want   string
	}{{nil, `3 4 "x"`}, {bson.D{{Key: "n", Value: true}}, `3 "x"`}} {
		var got []string
		q := query{table: connectors.Table{TableRef: connectors.TableRef{Name: "c"}}, op: "read", filter: after(tt.filter, bson.RawValue{Type: kind, Value: id}), sort: byID}
		err := s.scan(t.Context(), q, func(doc bson.Raw) error {
			got = append(got, identify(doc))
			return nil
		})
		if err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("filter %v: %q, %v, want %q", tt.filter, got, err, tt.want)
		}
	}
}
