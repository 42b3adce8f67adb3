package main

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/parquet-go/parquet-go"
	"modernc.org/sqlite"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
	"arus/connectors/warehouse"
	"arus/connectors/warehouse/schema"
)

// tripDays is over how many days the trips are spread.
const tripDays = 30

// question is a query and what the warehouse has to be beside plain SQLite.
type question struct {
	name  string
	sql   string
	least float64 // how many times as fast; below 1 = it may be slower
}

// questions are asked of both. from is the first second of a day in the middle.
func questions(from int64) []question {
	day := fmt.Sprintf("ts >= %d AND ts < %d", from, from+86400)
	return []question{
		{"count", "SELECT count(*) FROM trips", 3},
		{"sum", "SELECT sum(fare), count(tip), max(miles) FROM trips", 3},
		{"group", "SELECT city, count(*), sum(fare) FROM trips GROUP BY city", 3},
		{"group by two", "SELECT city, status, avg(fare) FROM trips GROUP BY city, status ORDER BY 1, 2", 3},
		{"group by day", "SELECT date(ts, 'unixepoch') AS d, count(*), sum(fare + tip) FROM trips GROUP BY d", 3},
		{"one day of thirty", "SELECT city, count(*), sum(fare) FROM trips WHERE " + day + " GROUP BY city", 3},
		{"sort prefix", "SELECT status, count(*), avg(tip) FROM trips WHERE city = 7 GROUP BY status", 3},
		{"filter", "SELECT count(*), sum(tip) FROM trips WHERE status = 'completed' AND fare > 20", 3},
		{"distinct", "SELECT count(*) FROM (SELECT DISTINCT driver FROM trips)", 1 / 1.5},
		{"rows of a day and city", "SELECT ts, id, city, status, vehicle, driver, fare, tip, miles, paid FROM trips WHERE " + day + " AND city = 7 ORDER BY id", 1 / 1.5},
		{"row by row", "SELECT sum(length(vehicle || status)) FROM trips", 1 / 1.5},
		{"all rows", "SELECT id, ts, city, fare FROM trips", 1 / 1.5},
		{"top of all", "SELECT id, fare FROM trips ORDER BY fare DESC, id LIMIT 20", 1 / 1.5},
		{"join", "SELECT c.name, count(*) FROM trips t JOIN cities c ON c.id = t.city GROUP BY c.name ORDER BY 1", 1 / 1.5},
		{"one row", "SELECT ts, id, city, status, vehicle, driver, fare, tip, miles, paid FROM trips WHERE id = 4711", 0},
	}
}

func tripColumns() []connectors.Column {
	kinds := []connectors.Kind{
		connectors.Uint32, connectors.Int64, connectors.Uint16, connectors.Text, connectors.Text, connectors.Int32, connectors.Float64, connectors.Float64, connectors.Float32, connectors.Bool,
	}
	out := make([]connectors.Column, len(kinds))
	for i, name := range []string{"ts", "id", "city", "status", "vehicle", "driver", "fare", "tip", "miles", "paid"} {
		out[i] = connectors.Column{Name: name, Type: connectors.Type{Kind: kinds[i]}}
	}
	return out
}

func tripTable() *schema.Table {
	types := []string{"Uint32", "Int64", "Uint16", "SmallEnum", "String", "Int32", "Float64", "Float64", "Float32", "Bool"}
	t := &schema.Table{Name: "trips", IsFactTable: true, Config: schema.DefaultConfig(), PrimaryKeyColumns: []int{1}, ArchivingSortColumns: []int{2, 3}}
	t.Config.RecordRetentionInDays = 0
	for i, c := range tripColumns() {
		t.Columns = append(t.Columns, schema.Column{Name: c.Name, Type: types[i]})
	}
	return t
}

// trip is a function of its number; nil is null.
func trip(i, rows, first int64) []driver.Value {
	h := uint64(i)*0x9e3779b97f4a7c15 + 12345
	next := func(n uint64) int64 {
		h ^= h >> 29
		h *= 0xbf58476d1ce4e5b9
		h ^= h >> 32
		return int64(h % n)
	}
	var tip driver.Value
	if cents := next(1200); cents > 200 {
		tip = float64(cents) / 100
	}
	return []driver.Value{
		first + i*tripDays*86400/rows, i, next(100), []string{"completed", "completed", "completed", "canceled", "rejected", "no show"}[next(6)],
		[]string{"car", "van", "bike", "scooter"}[next(4)], next(20000), float64(300+next(5000)) / 100, tip, float64(float32(next(400)) / 16), next(10) > 0,
	}
}

func appendTrip(b []array.Builder, v []driver.Value) {
	for c, x := range v {
		switch b := b[c].(type) {
		case *array.Uint32Builder:
			b.Append(uint32(x.(int64)))
		case *array.Int64Builder:
			b.Append(x.(int64))
		case *array.Uint16Builder:
			b.Append(uint16(x.(int64)))
		case *array.Int32Builder:
			b.Append(int32(x.(int64)))
		case *array.StringBuilder:
			b.Append(x.(string))
		case *array.Float32Builder:
			b.Append(float32(x.(float64)))
		case *array.BooleanBuilder:
			b.Append(x.(bool))
		case *array.Float64Builder:
			if x == nil {
				b.AppendNull()
			} else {
				b.Append(x.(float64))
			}
		}
	}
}

// loadTrips loads the warehouse in dir.
func loadTrips(ctx context.Context, dir string, rows, first int64) error {
	s, err := warehouse.OpenStore(dir, time.Now)
	if err != nil {
		return err
	}
	if _, err := s.Create(ctx, tripTable()); err != nil {
		return err
	}
	d, err := warehouse.New().OpenDestination(ctx, connectors.Config{Database: dir})
	if err != nil {
		return err
	}
	load := func(req connectors.LoadRequest, fill func(*connectors.Batcher) error) error {
		req.RunID, req.SyncedAt, req.Mode = "0190a6b2-0000-7000-8000-00000000000a", time.Now(), connectors.Replace
		l, err := d.Begin(ctx, req)
		if err != nil {
			return err
		}
		b := connectors.NewBatcher(req.Columns, connectors.Limits{Rows: 1 << 16, Bytes: 64 << 20}, func(batch arrow.RecordBatch) error { return l.Write(ctx, batch) })
		defer b.Release()
		if err = errors.Join(fill(b), b.Flush()); err != nil {
			return errors.Join(err, l.Abort())
		}
		_, err = l.Commit(ctx)
		return err
	}
	err = load(connectors.LoadRequest{Target: connectors.TableRef{Name: "trips"}, Columns: tripColumns(), Key: []string{"id"}}, func(b *connectors.Batcher) error {
		for i := range rows {
			appendTrip(b.Builders, trip(i, rows, first))
			if err := b.EndRow(64); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	cities := []connectors.Column{{Name: "id", Type: connectors.Type{Kind: connectors.Int64}}, {Name: "name", Type: connectors.Type{Kind: connectors.Text}}}
	return load(connectors.LoadRequest{Target: connectors.TableRef{Name: "cities"}, Columns: cities, Key: []string{"id"}}, func(b *connectors.Batcher) error {
		for i := range int64(100) {
			appendTrip(b.Builders, []driver.Value{i, fmt.Sprint("city ", i)})
			if err := b.EndRow(16); err != nil {
				return err
			}
		}
		return nil
	})
}

// plainTrips makes the same tables in a SQLite file.
func plainTrips(ctx context.Context, c *lite.Conn, rows, first int64) error {
	for _, sql := range []string{
		"PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF",
		"CREATE TABLE trips (ts INTEGER, id INTEGER PRIMARY KEY, city INTEGER, status TEXT, vehicle TEXT, driver INTEGER, fare REAL, tip REAL, miles REAL, paid INTEGER)",
		"CREATE TABLE cities (id INTEGER PRIMARY KEY, name TEXT)", "BEGIN",
	} {
		if err := c.Exec(ctx, sql); err != nil {
			return err
		}
	}
	put, err := c.Prepare(ctx, "INSERT INTO trips VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", 10)
	if err != nil {
		return err
	}
	for i := range rows {
		for k, v := range trip(i, rows, first) {
			put.Set(k, v)
		}
		if err := put.Exec(ctx); err != nil {
			return err
		}
	}
	for i := range int64(100) {
		if err := c.Exec(ctx, "INSERT INTO cities VALUES (?, ?)", i, fmt.Sprint("city ", i)); err != nil {
			return err
		}
	}
	return errors.Join(put.Close(), c.Exec(ctx, "COMMIT"))
}

// sortedParquet writes the rows of each day, sorted as the archive has them, by
// plain parquet-go with zstd, and gives the size of the files.
func sortedParquet(rows, first int64) (int64, error) {
	type row struct {
		TS      int32    `parquet:"ts,zstd"`
		ID      int64    `parquet:"id,zstd"`
		City    int32    `parquet:"city,zstd,dict"`
		Status  string   `parquet:"status,zstd,dict"`
		Vehicle string   `parquet:"vehicle,zstd,dict"`
		Driver  int32    `parquet:"driver,zstd"`
		Fare    float64  `parquet:"fare,zstd"`
		Tip     *float64 `parquet:"tip,optional,zstd"`
		Miles   float32  `parquet:"miles,zstd"`
		Paid    bool     `parquet:"paid,zstd"`
	}
	total := int64(0)
	for day := range int64(tripDays) {
		var out []row
		for i := (day*rows + tripDays - 1) / tripDays; i < ((day+1)*rows+tripDays-1)/tripDays; i++ {
			v := trip(i, rows, first)
			r := row{int32(v[0].(int64)), v[1].(int64), int32(v[2].(int64)), v[3].(string), v[4].(string), int32(v[5].(int64)), v[6].(float64), nil, float32(v[8].(float64)), v[9].(bool)}
			if tip, ok := v[7].(float64); ok {
				r.Tip = &tip
			}
			out = append(out, r)
		}
		slices.SortStableFunc(out, func(a, b row) int {
			if a.City != b.City {
				return int(a.City - b.City)
			}
			if a.Status < b.Status {
				return -1
			} else if a.Status > b.Status {
				return 1
			}
			return 0
		})
		n := &written{}
		w := parquet.NewGenericWriter[row](n)
		if _, err := w.Write(out); err != nil {
			return 0, err
		}
		if err := w.Close(); err != nil {
			return 0, err
		}
		total += n.n
	}
	return total, nil
}

type written struct{ n int64 }

func (c *written) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

func sizeOf(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, err
}

// answer is how much processor time a query took and a sum of its rows.
type answer struct {
	seconds float64
	rows    int64
	sum     uint64
}

func (a *answer) add(row []any) {
	h := fnv.New64a()
	for _, v := range row {
		switch x := v.(type) {
		case float64: // both add in their own order of rows
			_, _ = fmt.Fprintf(h, "%.6g|", x)
		case int64:
			var b [8]byte
			for i := range b {
				b[i] = byte(x >> (8 * i))
			}
			_, _ = h.Write(b[:])
		default:
			_, _ = fmt.Fprintf(h, "%v|", x)
		}
	}
	a.rows++
	a.sum += h.Sum64()
}

const summedRows = 100_000 // a sum of more would measure itself

func askPlain(ctx context.Context, c *lite.Conn, sql string) (a answer, err error) {
	runtime.GC()
	began := ownSeconds()
	rows, err := c.Query(ctx, sql)
	if err != nil {
		return a, err
	}
	values := make([]any, len(rows.Columns()))
	for {
		row, ok := rows.Next()
		if !ok {
			break
		}
		for i, v := range row {
			values[i] = v
		}
		if a.rows < summedRows {
			a.add(values)
		} else {
			a.rows++
		}
	}
	err = errors.Join(rows.Err(), rows.Close())
	a.seconds = ownSeconds() - began
	return a, err
}

func askWarehouse(ctx context.Context, dir, sql string) (a answer, err error) {
	runtime.GC()
	began := ownSeconds()
	rows, err := warehouse.Query(ctx, dir, sql, warehouse.QueryOptions{})
	if err != nil {
		return a, err
	}
	for {
		row, ok := rows.Next()
		if !ok {
			break
		}
		if a.rows < summedRows {
			a.add(row)
		} else {
			a.rows++
		}
	}
	err = errors.Join(rows.Err(), rows.Close())
	a.seconds = ownSeconds() - began
	return a, err
}

// warehouseQueries asks the warehouse and plain SQLite the same, in turn, in this
// process; the binary's memory is measured beside it.
func warehouseQueries(ctx context.Context, b *bench) (*job, error) {
	rows := b.options.rows
	first := time.Now().Unix()/86400*86400 - (tripDays+10)*86400
	data, file := b.path("warehouse-data"), b.path("trips.db")
	dir := filepath.Join(data, "warehouse")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := loadTrips(ctx, dir, rows, first); err != nil {
		return nil, err
	}
	b.say("loaded %d trips in %.1f s", rows, time.Since(began).Seconds())
	plain, err := lite.Open(&sqlite.Driver{}, file, lite.Create, "")
	if err != nil {
		return nil, err
	}
	if err := plainTrips(ctx, plain, rows, first); err != nil {
		return nil, errors.Join(err, plain.Close())
	}
	archive, err := sizeOf(filepath.Join(dir, "trips", "archive"))
	if err != nil {
		return nil, err
	}
	sqliteSize, err := sizeOf(file)
	if err != nil {
		return nil, err
	}
	parquetSize, err := sortedParquet(rows, first)
	if err != nil {
		return nil, err
	}
	b.say("archive %.1f MB: %.2f of sorted zstd Parquet (at most 1.3), %.2f of SQLite (at most 0.35)",
		float64(archive)/1e6, float64(archive)/float64(parquetSize), float64(archive)/float64(sqliteSize))
	asked := questions(first + 15*86400)
	var failures []error
	ratios := make([]float64, len(asked))
	return &job{
		rows: rows, idle: true, runs: 1,
		arus: contender{
			name: "arus",
			run: func(ctx context.Context) (sample, error) {
				s := sample{Load: loadAverage()}
				for i, q := range asked {
					// In turn, so that other people's work shows in both; the best of each counts.
					var best, floor answer
					for turn := range b.options.runs {
						want, err := askPlain(ctx, plain, q.sql)
						if err != nil {
							return s, fmt.Errorf("%s: %w", q.name, err)
						}
						got, err := askWarehouse(ctx, dir, q.sql)
						if err != nil {
							return s, fmt.Errorf("%s: %w", q.name, err)
						}
						if got.rows != want.rows || got.rows <= summedRows && got.sum != want.sum {
							failures = append(failures, fmt.Errorf("%s: %d rows that are not SQLite's %d", q.name, got.rows, want.rows))
						}
						if turn == 0 || want.seconds < floor.seconds {
							floor = want
						}
						if turn == 0 || got.seconds < best.seconds {
							best = got
						}
					}
					s.Seconds += best.seconds
					ratios[i] = floor.seconds / best.seconds
					b.say("%-24s SQLite %7.3f s, warehouse %7.3f s: %6.1f times as fast (at least %.2f)", q.name, floor.seconds, best.seconds, ratios[i], q.least)
				}
				return s, nil
			},
			check: func(context.Context) error { return errors.Join(failures...) },
		},
		end: func(ctx context.Context) error {
			err := plain.Close()
			for i, q := range asked {
				if ratios[i] < q.least {
					err = errors.Join(err, fmt.Errorf("%s: %.2f times as fast as SQLite, and at least %.2f is wanted", q.name, ratios[i], q.least))
				}
			}
			if float64(archive) > 1.3*float64(parquetSize) || float64(archive) > 0.35*float64(sqliteSize) {
				err = errors.Join(err, errors.New("the archive is too large"))
			}
			most := 0.0
			for _, q := range asked {
				s, _, childErr := child(ctx, stage{path: b.arus, args: []string{"query", "--data", data, "--json", q.sql}})
				err = errors.Join(err, childErr)
				b.say("%-24s peak %.0f MB as a process", q.name, s.PeakMB)
				most = math.Max(most, s.PeakMB)
			}
			if most > 256 {
				err = errors.Join(err, fmt.Errorf("a query took %.0f MB, and 256 is the most", most))
			}
			return err
		},
	}, nil
}
