package mongodb

import (
	"fmt"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"arus/connectors"
	"arus/connectors/conformance"
)

// TestChunksByID divides collections by identifiers of one type, and leaves those of several in one piece.
func TestChunksByID(t *testing.T) {
	t.Parallel()
	const n = 40
	for name, test := range map[string]struct {
		id      func(i int) any
		divided bool
	}{
		"int":     {func(i int) any { return int32(i*3 - 50) }, true},
		"long":    {func(i int) any { return int64(i) << 40 }, true},
		"ints":    {func(i int) any { return []any{int32(i), int64(i)}[i%2] }, true},
		"string":  {func(i int) any { return []string{"a", "B", "ä", "a ", ""}[i%5] + fmt.Sprint(i/5) }, true},
		"id":      {func(int) any { return bson.NewObjectID() }, true},
		"date":    {func(i int) any { return bson.DateTime(1_700_000_000_000 + int64(i)) }, true},
		"double":  {func(i int) any { return float64(i) + 0.5 }, false},
		"mixed":   {func(i int) any { return []any{i, fmt.Sprint(i)}[i%2] }, false},
		"objects": {func(i int) any { return bson.D{{Key: "a", Value: i}} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, db := connect(t)
			var docs []any
			for i := range n {
				docs = append(docs, bson.D{{Key: "_id", Value: test.id(i)}, {Key: "n", Value: i}})
			}
			insert(t, db.Collection("c"), docs...)
			table := settle(t, s, "c")
			ranges, err := s.Chunks(t.Context(), table, table.PrimaryKey, 7)
			if err != nil {
				t.Fatal(err)
			}
			if test.divided != (len(ranges) == 6) || !test.divided && len(ranges) != 1 {
				t.Errorf("%d documents are divided into %d stretches of 7", n, len(ranges))
			}
			insert(t, db.Collection("c"), bson.D{{Key: "_id", Value: true}, {Key: "n", Value: n}}) // of another type, and later
			seen := map[any]int{}
			number, _ := table.Column("n")
			for _, r := range ranges {
				rows, err := conformance.ReadAll(t.Context(), s, connectors.ReadRequest{Table: table, Columns: []connectors.Column{number}, Range: &r})
				if err != nil {
					t.Fatal(err)
				}
				for _, row := range rows {
					seen[row[0]]++
				}
			}
			for i := range n + 1 {
				if seen[fmt.Sprint(i)] != 1 {
					t.Errorf("document %d is read %d times", i, seen[fmt.Sprint(i)])
				}
			}
		})
	}
}
