package mysql

import (
	"fmt"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// orders makes a table of twelve columns, about 200 bytes a row.
func orders(f *fixture, rows int) {
	f.exec(`CREATE TABLE orders (id bigint NOT NULL PRIMARY KEY, customer int NOT NULL, status enum('new','paid','sent') NOT NULL,
			email varchar(80), note text, price decimal(12,2) NOT NULL, tax decimal(20,6), weight double, paid tinyint(1),
			created datetime(6) NOT NULL, updated timestamp(6) NOT NULL, day date)`,
		fmt.Sprintf(`INSERT INTO orders SELECT seq, seq %% 5000, 1 + seq %% 3, CONCAT('user', seq, '@example.com'),
			REPEAT('some words of text ', 1 + seq %% 10), seq / 100, seq / 7, seq / 3, seq %% 2,
			'2020-01-01' + INTERVAL seq SECOND + INTERVAL seq MICROSECOND, '2021-01-01' + INTERVAL seq SECOND, '2020-01-01' + INTERVAL seq %% 1000 DAY
			FROM seq_1_to_%d`, rows))
}

func BenchmarkOrders(b *testing.B) {
	const rows = 500_000
	f := newFixture(b)
	orders(f, rows)
	s, d := f.source(), f.destination()
	table := f.table(s, "orders")
	read := connectors.ReadRequest{Table: table, Columns: table.Columns}
	perSecond := func(b *testing.B) { b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s") }

	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := s.Read(b.Context(), read, func(batch arrow.RecordBatch) error { batch.Release(); return nil }); err != nil {
				b.Fatal(err)
			}
		}
		perSecond(b)
	})
	var batches []arrow.RecordBatch
	if err := s.Read(b.Context(), read, func(batch arrow.RecordBatch) error { batches = append(batches, batch); return nil }); err != nil {
		b.Fatal(err)
	}
	for _, mode := range []struct {
		name string
		mode connectors.LoadMode
		key  []string
		raw  bool
	}{
		{"replace without key", connectors.Replace, nil, false},
		{"replace with key", connectors.Replace, []string{"id"}, false},
		{"merge", connectors.Merge, []string{"id"}, false},
		{"replace raw", connectors.Replace, []string{"id"}, true},
	} {
		b.Run(mode.name, func(b *testing.B) {
			b.ReportAllocs()
			req := connectors.LoadRequest{Target: f.ref("copy"), Columns: table.Columns, Key: mode.key, Mode: mode.mode, RunID: runOne, SyncedAt: syncedAt}
			if mode.raw {
				req.Raw = &connectors.RawTarget{Table: f.ref("raw")}
			}
			for b.Loop() {
				l, err := d.Begin(b.Context(), req)
				if err != nil {
					b.Fatal(err)
				}
				for _, batch := range batches {
					batch.Retain()
					if err := l.Write(b.Context(), batch); err != nil {
						b.Fatal(err)
					}
				}
				if _, err := l.Commit(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			perSecond(b)
		})
	}
	for _, batch := range batches {
		batch.Release()
	}
}

// BenchmarkSmallTable is what a load costs beside its rows.
func BenchmarkSmallTable(b *testing.B) {
	f := newFixture(b)
	orders(f, 1000)
	s, d := f.source(), f.destination()
	table := f.table(s, "orders")
	for _, mode := range []connectors.LoadMode{connectors.Replace, connectors.Merge} {
		b.Run(mode.String(), func(b *testing.B) {
			for b.Loop() {
				if _, err := copyInto(b.Context(), s, connectors.ReadRequest{Table: table, Columns: table.Columns}, d,
					connectors.LoadRequest{Target: f.ref("copy"), Columns: table.Columns, Key: table.PrimaryKey, Mode: mode}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCopy is source to destination, reading and writing at once.
func BenchmarkCopy(b *testing.B) {
	const rows = 500_000
	f := newFixture(b)
	orders(f, rows)
	s, d := f.source(), f.destination()
	table := f.table(s, "orders")
	for b.Loop() {
		if _, err := copyInto(b.Context(), s, connectors.ReadRequest{Table: table, Columns: table.Columns}, d,
			connectors.LoadRequest{Target: f.ref("copy"), Columns: table.Columns, Key: table.PrimaryKey, Mode: connectors.Replace}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
}
