package script

import (
	"fmt"
	"testing"

	"arus/connectors"
)

// One batch of 65,536 rows of 12 columns, per script: the custom metric is rows a second.
func BenchmarkScripts(b *testing.B) {
	columns := []connectors.Column{
		col("id", connectors.Int64), col("a", connectors.Int32), col("b", connectors.Int32), col("price", connectors.Decimal), col("name", connectors.Text),
		col("note", connectors.Text), col("ok", connectors.Bool), col("day", connectors.Date), col("at", connectors.TimestampTZ), col("doc", connectors.JSON),
		col("opt", connectors.Int64), col("opt_text", connectors.Text),
	}
	rows := make([][]any, 65536)
	for i := range rows {
		rows[i] = []any{
			fmt.Sprint(i), fmt.Sprint(i % 1000), fmt.Sprint(i % 7), fmt.Sprintf("%d.%02d", i, i%100), fmt.Sprintf("customer %d", i),
			fmt.Sprintf("a text of about eighty characters that says something about order number %d here", i), "true", "2026-03-04",
			"2026-03-04T05:06:07.123456Z", `{"channel": "web", "items": [1, 2]}`, fmt.Sprint(i), "x",
		}
		if i%10 == 0 {
			rows[i][10], rows[i][11] = nil, nil
		}
	}
	batch := batchOf(b, columns, rows...)
	r := newRuntime(b, Limits{})
	for name, source := range map[string]string{
		"row":       "def transform(row):\n    row['total'] = row['a'] * row['b']\n    row['name'] = row['name'].upper()\n    return row",
		"row/drops": "def transform(row):\n    if row['id'] % 3: return None\n    row['total'] = row['a'] * row['b']\n    return row",
		"batch":     "def transform_batch(rows):\n    for row in rows:\n        row['total'] = row['a'] * row['b']\n        row['name'] = row['name'].upper()\n    return rows",
	} {
		b.Run(name, func(b *testing.B) {
			p := Program{Name: "bench", Source: source}
			s, err := r.Open(b.Context(), p, columns, nil)
			if err != nil {
				b.Fatal(err)
			}
			n := 0
			for b.Loop() {
				result, err := s.Run(b.Context(), batch)
				if err != nil {
					b.Fatal(err)
				}
				result.Batch.Release()
				n++
			}
			b.ReportMetric(float64(n)*float64(batch.NumRows())/b.Elapsed().Seconds(), "rows/s")
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
