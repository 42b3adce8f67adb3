package warehouse

import (
	"fmt"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// BenchmarkLoad loads and reads 65,536 rows of 8 columns an iteration.
func BenchmarkLoad(b *testing.B) {
	columns := []connectors.Column{
		col("id", connectors.Int64), col("name", connectors.Text),
		{Name: "price", Type: connectors.NewDecimal(12, 2)},
		col("at", connectors.TimestampTZ), col("ok", connectors.Bool), col("f", connectors.Float64), col("u", connectors.UUID), col("n", connectors.Int32),
	}
	var rows [][]any
	const n = 1 << 16
	for i := range n {
		rows = append(rows, []any{
			fmt.Sprint(i), fmt.Sprintf("customer number %d", i), fmt.Sprintf("%d.%02d", i, i%100), "2026-01-02T03:04:05.000001Z", "true", "1.5",
			fmt.Sprintf("00000000-0000-0000-0000-%012d", i), fmt.Sprint(i % 1000),
		})
	}
	batch := batchOf(b, columns, rows)
	for _, test := range []struct {
		name string
		mode connectors.LoadMode
		key  string
		raw  bool
	}{{"replace", connectors.Replace, "id", false}, {"replace by uuid", connectors.Replace, "u", false}, {"merge", connectors.Merge, "id", false}, {"merge by uuid", connectors.Merge, "u", false}, {"replace raw", connectors.Replace, "id", true}} {
		b.Run(test.name, func(b *testing.B) {
			dir := b.TempDir()
			req := connectors.LoadRequest{Target: connectors.TableRef{Name: "t"}, Columns: columns, Key: []string{test.key}, Mode: test.mode}
			if test.raw {
				req.Raw = &connectors.RawTarget{Table: connectors.TableRef{Name: "raw"}}
			}
			for b.Loop() {
				l := begin(b, dir, req)
				batch.Retain()
				if err := l.Write(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
				if _, err := l.Commit(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
	b.Run("read", func(b *testing.B) {
		dir := b.TempDir()
		l := begin(b, dir, connectors.LoadRequest{Target: connectors.TableRef{Name: "t"}, Columns: columns, Key: []string{"id"}, Mode: connectors.Replace})
		batch.Retain()
		if err := l.Write(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		if _, err := l.Commit(b.Context()); err != nil {
			b.Fatal(err)
		}
		s := source(b, dir)
		for b.Loop() {
			err := s.Read(b.Context(), connectors.ReadRequest{Table: connectors.Table{TableRef: connectors.TableRef{Name: "t"}}, Columns: columns}, func(r arrow.RecordBatch) error {
				r.Release()
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	})
}
