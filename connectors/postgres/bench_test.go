package postgres

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

const benchRows = 1_000_000

const benchTable = `CREATE TABLE big (id bigint PRIMARY KEY, customer int NOT NULL, status varchar(20) NOT NULL, amount numeric(12,2), rate double precision, active boolean,
	created timestamptz NOT NULL, updated timestamp, day date, token uuid, note text, payload jsonb);
	INSERT INTO big SELECT n, n % 50000, 'status ' || n % 7, (n % 1000000) / 100.0, n / 7.0, n % 3 = 0, '2020-01-01Z'::timestamptz + n * interval '1.000001 s',
	'2020-01-01'::timestamp + n * interval '0.5 s', date '2020-01-01' + n % 1000, md5(n::text)::uuid, CASE WHEN n % 10 > 0 THEN repeat(md5(n::text), 3) END,
	jsonb_build_object('k', n, 'tag', 'value') FROM generate_series(1, 1000000) n; ANALYZE big; CHECKPOINT`

// BenchmarkMove copies a table of 1,000,000 rows and 12 columns, extract and
// load side by side with two batches between them. Compare with
// psql -c "COPY big TO STDOUT" | psql -c "COPY target FROM STDIN".
func BenchmarkMove(b *testing.B) {
	f := newFixture(b)
	f.exec(benchTable)
	table := f.table("big")
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			err := f.source.Read(b.Context(), connectors.ReadRequest{Table: table, Columns: table.Columns}, func(r arrow.RecordBatch) error { r.Release(); return nil })
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, key := range []bool{false, true} {
		name := "replace"
		if key {
			name = "replace with key"
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			peak := watchMemory()
			for b.Loop() {
				req := request(table, connectors.Replace)
				if !key {
					req.Key = nil
				}
				overlap(b, f, table, req)
			}
			b.ReportMetric(peak(), "peak-MB")
		})
	}
}

func overlap(b *testing.B, f *fixture, table connectors.Table, req connectors.LoadRequest) {
	ctx := b.Context()
	load, err := f.dest.Begin(ctx, req)
	if err != nil {
		b.Fatal(err)
	}
	queue := make(chan arrow.RecordBatch, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(queue)
		err := f.source.Read(ctx, connectors.ReadRequest{Table: table, Columns: table.Columns}, func(r arrow.RecordBatch) error { queue <- r; return nil })
		if err != nil {
			b.Error(err)
		}
	})
	for batch := range queue {
		if err := load.Write(ctx, batch); err != nil {
			b.Fatal(err)
		}
	}
	wg.Wait()
	result, err := load.Commit(ctx)
	if err != nil || result.Rows != benchRows {
		b.Fatal(result, err)
	}
}

// watchMemory samples the memory in use until its result is asked for.
func watchMemory() (peak func() float64) {
	stop, done := make(chan struct{}), make(chan struct{})
	var most uint64
	go func() {
		defer close(done)
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapSys-m.HeapReleased)
			select {
			case <-stop:
				return
			case <-ticker.C:
			}
		}
	}()
	return func() float64 {
		close(stop)
		<-done
		return float64(most) / (1 << 20)
	}
}
