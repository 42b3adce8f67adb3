package clickhouse

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// benchColumns are twelve columns of the usual kinds.
func benchColumns() []connectors.Column {
	return []connectors.Column{
		column("id", connectors.Int64), column("customer", connectors.Int32), column("status", connectors.Text),
		{Name: "amount", Type: connectors.NewDecimal(12, 2), Nullable: true},
		nullable("rate", connectors.Float64), nullable("active", connectors.Bool),
		column("created", connectors.TimestampTZ), nullable("updated", connectors.Timestamp), nullable("day", connectors.Date),
		nullable("token", connectors.UUID), nullable("note", connectors.Text), nullable("payload", connectors.JSON),
	}
}

// BenchmarkLoad loads 1,048,576 rows of 12 columns, 16 batches of 64k rows that
// are made beforehand.
func BenchmarkLoad(b *testing.B) {
	const batches, size = 16, 64 << 10
	f := newFixture(b)
	columns := benchColumns()
	var all []arrow.RecordBatch
	for n := range batches {
		rows := make([][]string, size)
		for i := range rows {
			id := n*size + i
			rows[i] = []string{
				fmt.Sprint(id), fmt.Sprint(id % 50000), fmt.Sprintf("status %d", id%7), fmt.Sprintf("%d.%02d", id, id%100), fmt.Sprint(float64(id) / 7), fmt.Sprint(id%3 == 0),
				time.UnixMicro(1577836800000000 + int64(id)*1000001).UTC().Format("2006-01-02T15:04:05.999999Z"),
				time.UnixMicro(1577836800000000 + int64(id)*500001).UTC().Format("2006-01-02T15:04:05.999999"), fmt.Sprintf("2020-01-%02d", id%31+1),
				fmt.Sprintf("%08x-0000-4000-8000-%012x", id*2654435761%(1<<32), id), fmt.Sprintf("%096x", id), fmt.Sprintf(`{"k": %d, "tag": "value"}`, id),
			}
		}
		all = append(all, batch(b, columns, rows))
	}
	runtime.GC()
	for _, key := range [][]string{nil, {"id"}} {
		for _, raw := range []bool{false, true} {
			b.Run(fmt.Sprintf("key=%v raw=%v", key, raw), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					req := f.request(connectors.Replace, "t", key, columns...)
					if raw {
						req.Raw = &connectors.RawTarget{Table: connectors.TableRef{Schema: f.schema, Name: "raw"}}
					}
					l, err := f.dest.Begin(b.Context(), req)
					if err != nil {
						b.Fatal(err)
					}
					for _, r := range all {
						r.Retain()
						if err := l.Write(b.Context(), r); err != nil {
							b.Fatal(err)
						}
					}
					if result, err := l.Commit(b.Context()); err != nil || result.Rows != batches*size {
						b.Fatal(result, err)
					}
				}
				b.ReportMetric(float64(batches*size*b.N)/b.Elapsed().Seconds(), "rows/s")
			})
		}
	}
	b.Run("read", func(b *testing.B) {
		req := f.request(connectors.Replace, "t", nil, columns...)
		for b.Loop() {
			err := f.source.Read(b.Context(), connectors.ReadRequest{Table: connectors.Table{TableRef: req.Target}, Columns: columns}, func(r arrow.RecordBatch) error { r.Release(); return nil })
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(batches*size*b.N)/b.Elapsed().Seconds(), "rows/s")
	})
}

// BenchmarkSmallLoad is what a table costs that has hardly any rows.
func BenchmarkSmallLoad(b *testing.B) {
	f := newFixture(b)
	for _, mode := range []connectors.LoadMode{connectors.Replace, connectors.Merge} {
		b.Run(mode.String(), func(b *testing.B) {
			n := 0
			for b.Loop() {
				f.load(f.request(mode, fmt.Sprintf("t%d", n%10), []string{"id"}, idName()...), []string{"1", "a"})
				n++
			}
		})
	}
}
