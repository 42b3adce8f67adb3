package connectors

import (
	"errors"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/go-cmp/cmp"
)

func TestBatcherLimits(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		limits Limits
		sizes  []int // of the rows, in bytes
		want   []int64
	}{
		{"no rows", Limits{Rows: 2}, nil, nil},
		{"below the limits", Limits{Rows: 5, Bytes: 100}, []int{1, 1}, []int64{2}},
		{"by rows", Limits{Rows: 2, Bytes: 100}, []int{1, 1, 1, 1, 1}, []int64{2, 2, 1}},
		{"by rows to the last", Limits{Rows: 2, Bytes: 100}, []int{1, 1, 1, 1}, []int64{2, 2}},
		{"by bytes", Limits{Rows: 100, Bytes: 10}, []int{4, 4, 4, 4}, []int64{3, 1}},
		{"by bytes exactly", Limits{Rows: 100, Bytes: 8}, []int{4, 4, 4, 4}, []int64{2, 2}},
		{"a row above the limit", Limits{Rows: 100, Bytes: 8}, []int{1, 1000, 1}, []int64{2, 1}},
		{"one row each", Limits{Rows: 1, Bytes: 1}, []int{0, 0}, []int64{1, 1}},
		{"whichever comes first", Limits{Rows: 3, Bytes: 10}, []int{9, 9, 1, 1, 1, 1}, []int64{2, 3, 1}},
		{"default limits", Limits{}, make([]int, DefaultLimits.Rows+1), []int64{int64(DefaultLimits.Rows), 1}},
		{"negative limits", Limits{Rows: -1, Bytes: -1}, []int{DefaultLimits.Bytes, 1}, []int64{1, 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var got []int64
			next := int64(0)
			columns := []Column{{Name: "n", Type: Type{Kind: Int64}}, {Name: "s", Type: Type{Kind: Text}}}
			b := NewBatcher(columns, test.limits, func(batch arrow.RecordBatch) error {
				defer batch.Release()
				got = append(got, batch.NumRows())
				if !batch.Schema().Equal(Schema(columns)) {
					t.Errorf("a batch has the schema %v", batch.Schema())
				}
				for i := range int(batch.NumRows()) { // no row is lost, doubled or moved
					if n := batch.Column(0).(*array.Int64).Value(i); n != next {
						t.Fatalf("row %d holds %d", next, n)
					}
					next++
				}
				return nil
			})
			defer b.Release()
			for i, size := range test.sizes {
				b.Builders[0].(*array.Int64Builder).Append(int64(i))
				b.Builders[1].AppendNull()
				if err := b.EndRow(size); err != nil {
					t.Fatal(err)
				}
				if b.Rows() != int64(i+1) {
					t.Fatalf("Rows after %d rows = %d", i+1, b.Rows())
				}
			}
			if err := errors.Join(b.Flush(), b.Flush()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("batches (-want +got):\n%s", diff)
			}
			if next != int64(len(test.sizes)) || b.Rows() != next {
				t.Errorf("%d rows came out and %d were counted of %d", next, b.Rows(), len(test.sizes))
			}
		})
	}
}

func TestBatcherGivesBackTheErrorOfEmit(t *testing.T) {
	t.Parallel()
	stop := errors.New("stop")
	b := NewBatcher([]Column{{Name: "n", Type: Type{Kind: Bool}}}, Limits{Rows: 1}, func(batch arrow.RecordBatch) error {
		batch.Release()
		return stop
	})
	defer b.Release()
	b.Builders[0].AppendNull()
	if err := b.EndRow(1); !errors.Is(err, stop) {
		t.Errorf("EndRow = %v, want %v", err, stop)
	}
}

func TestABatcherBreathesBetweenRows(t *testing.T) {
	t.Parallel()
	breaths := 0
	columns := []Column{{Name: "a", Type: Type{Kind: Int64}}}
	b := NewBatcher(columns, Limits{Breathe: func() { breaths++ }}, func(batch arrow.RecordBatch) error {
		batch.Release()
		return nil
	})
	defer b.Release()
	for range 1000 {
		b.Builders[0].AppendNull()
		if err := b.EndRow(8); err != nil {
			t.Fatal(err)
		}
	}
	if breaths < 5 || breaths > 20 {
		t.Errorf("%d breaths in 1,000 rows", breaths)
	}
}
