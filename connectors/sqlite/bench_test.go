package sqlite

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// BenchmarkRead settles and reads 200,000 rows of 8 columns an iteration.
func BenchmarkRead(b *testing.B) {
	const n = 200_000
	path, _ := database(b, "CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR(40), price DECIMAL(12,2), at DATETIME, ok BOOLEAN, f REAL, note TEXT, n INT)",
		`WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < 200000)
		INSERT INTO t SELECT i, 'customer number ' || i, i + (i % 100) / 100.0, '2026-01-02 03:04:' || printf('%02d', i % 60), i % 2, i / 7.0, 'a note', i % 1000 FROM k`)
	s := open(b, path)
	table := settled(b, s, "t")
	rate := func(b *testing.B) { b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s") }
	b.Run("settle", func(b *testing.B) {
		for b.Loop() {
			settled(b, s, "t")
		}
		rate(b)
	})
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			err := s.Read(b.Context(), connectors.ReadRequest{Table: table, Columns: table.Columns}, func(r arrow.RecordBatch) error {
				r.Release()
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		rate(b)
	})
	b.Run("window", func(b *testing.B) {
		req := connectors.ReadRequest{Table: table, Columns: table.Columns, Window: &connectors.Window{Column: "at", Lower: &connectors.Bound{Kind: connectors.Timestamp, Text: "2026-01-02T03:04:59"}}}
		for b.Loop() {
			err := s.Read(b.Context(), req, func(r arrow.RecordBatch) error {
				r.Release()
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		rate(b)
	})
}
