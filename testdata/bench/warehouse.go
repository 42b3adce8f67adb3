package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"modernc.org/sqlite"

	"arus/connectors/sqlite/lite"
	"arus/connectors/warehouse"
)

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
		{"rows of a filter", "SELECT ts, id, city, status, vehicle, driver, fare, tip, miles, paid FROM trips WHERE fare > 40", 1 / 1.5},
		{"latest rows", "SELECT ts, id, city, status, vehicle, driver, fare, tip, miles, paid FROM trips ORDER BY ts DESC, id LIMIT 20", 3},
		{"row by row", "SELECT sum(length(vehicle || status)) FROM trips", 1 / 1.5},
		{"all rows", "SELECT id, ts, city, fare FROM trips", 1 / 1.5},
		{"top of all", "SELECT id, fare FROM trips ORDER BY fare DESC, id LIMIT 20", 1 / 1.5},
		{"join", "SELECT c.name, count(*) FROM trips t JOIN cities c ON c.id = t.city GROUP BY c.name ORDER BY 1", 1 / 1.5},
		{"one row", "SELECT ts, id, city, status, vehicle, driver, fare, tip, miles, paid FROM trips WHERE id = 4711", 0},
	}
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

// tripsEach is how many trips there are for each row of -rows.
const tripsEach = 5

// firstTrip is when the trips begin.
func firstTrip() int64 { return time.Now().Unix()/86400*86400 - (tripDays+10)*86400 }

// warehouseLoad loads a fact table of thirty days for the first time.
func warehouseLoad(_ context.Context, b *bench) (*job, error) {
	rows, first := tripsEach*b.options.rows, firstTrip()
	dir, plain := filepath.Join(b.path("load-data"), "warehouse"), b.path("load-parquet")
	best := 0.0
	var archive, parquetSize int64
	var j *job
	j = &job{
		rows: rows,
		floors: []contender{{
			name:  "plain parquet-go of the same days, sorted, with zstd",
			reset: func(context.Context) error { return os.RemoveAll(plain) },
			run: func(ctx context.Context) (sample, error) {
				s, done, err := b.trips(ctx, "parquet", plain, rows, first)
				parquetSize = done.Bytes
				return s, err
			},
		}},
		arus: contender{
			name: "arus",
			reset: func(context.Context) error {
				return errors.Join(os.RemoveAll(filepath.Dir(dir)), os.MkdirAll(dir, 0o700))
			},
			run: func(ctx context.Context) (sample, error) {
				s, _, err := b.trips(ctx, "load", dir, rows, first)
				best = math.Max(best, float64(rows)/s.Seconds)
				b.say("%.0f trips a second, %.0f a second of processor time (at least 300,000 on two cores)", float64(rows)/s.Seconds, float64(rows)/s.CPU)
				return s, err
			},
			check: func(ctx context.Context) (err error) {
				if archive, err = sizeOf(filepath.Join(dir, "trips", "archive")); err != nil {
					return err
				}
				j.facts = []fact{
					{Name: "archive to sorted zstd Parquet", Value: round(float64(archive)/float64(parquetSize), 2), Most: 1.3},
					{Name: "best run", Value: round(best, 0), Unit: "rows a second", Least: 300_000},
				}
				n, err := askWarehouse(ctx, dir, "SELECT count(*), count(DISTINCT id), sum(id) FROM trips")
				want := answer{}
				want.add([]any{rows, rows, rows * (rows - 1) / 2})
				if err == nil && n.sum != want.sum {
					err = errors.New("WRONG COPY: the trips are not those that were loaded")
				}
				return err
			},
		},
		end: func(context.Context) error {
			b.say("archive %.1f MB: %.2f of sorted zstd Parquet (at most 1.3)", float64(archive)/1e6, float64(archive)/float64(parquetSize))
			return errors.Join(os.RemoveAll(filepath.Dir(dir)), os.RemoveAll(plain))
		},
	}
	return j, nil
}

// warehouseUpserts merges rows whose keys the table has, into a table as the first load left it.
func warehouseUpserts(ctx context.Context, b *bench) (*job, error) {
	rows, first := tripsEach*b.options.rows, firstTrip()
	data := b.path("upsert-data")
	ready, dir := filepath.Join(data, "ready"), filepath.Join(data, "warehouse")
	if err := os.MkdirAll(ready, 0o700); err != nil {
		return nil, err
	}
	if _, _, err := b.trips(ctx, "load", ready, rows, first); err != nil {
		return nil, err
	}
	works := []struct{ what, name string }{{"days", "keys of one stretch of days"}, {"all", "keys of all days"}, {"all", "the same again, half of which are live"}}
	merged := int64(0)
	for _, w := range works {
		n := min(int64(upsertedTrips), rows)
		if w.what == "all" {
			step := max(1, rows/upsertedTrips)
			n = (rows + step - 1) / step
		}
		merged += n
	}
	var j *job
	j = &job{
		rows: merged,
		arus: contender{
			name:  "arus",
			reset: func(context.Context) error { return errors.Join(os.RemoveAll(dir), os.CopyFS(dir, os.DirFS(ready))) },
			run: func(ctx context.Context) (sample, error) {
				total := sample{Load: loadAverage()}
				j.facts = nil
				for _, w := range works {
					s, _, err := b.trips(ctx, w.what, dir, rows, first)
					if err != nil {
						return total, err
					}
					n := float64(merged) / float64(len(works))
					b.say("%-40s %.0f rows a second, %.0f a second of processor time, peak %.0f MB (at least 50,000)", w.name, n/s.Seconds, n/s.CPU, s.PeakMB)
					j.facts = append(j.facts, fact{Name: w.name, Value: round(n/s.Seconds, 0), Unit: "rows a second in the last run", Least: 50_000})
					total.Seconds, total.CPU, total.PeakMB = total.Seconds+s.Seconds, total.CPU+s.CPU, math.Max(total.PeakMB, s.PeakMB)
				}
				return total, nil
			},
			check: func(ctx context.Context) error {
				n, err := askWarehouse(ctx, dir, "SELECT count(*), count(DISTINCT id), sum(id) FROM trips")
				want := answer{}
				want.add([]any{rows, rows, rows * (rows - 1) / 2})
				if err == nil && n.sum != want.sum {
					err = errors.New("WRONG COPY: the trips are not those that there were")
				}
				return err
			},
		},
		end: func(context.Context) error { return os.RemoveAll(data) },
	}
	return j, nil
}

// warehouseQueries asks the warehouse and plain SQLite the same, in turn, in this
// process; the binary's memory is measured beside it.
func warehouseQueries(ctx context.Context, b *bench) (*job, error) {
	rows, first := tripsEach*b.options.rows, firstTrip()
	data, file := b.path("warehouse-data"), b.path("trips.db")
	dir := filepath.Join(data, "warehouse")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s, _, err := b.trips(ctx, "load", dir, rows, first)
	if err == nil {
		err = cities(ctx, dir)
	}
	if err != nil {
		return nil, err
	}
	b.say("loaded %d trips in %.1f s", rows, s.Seconds)
	t := newTrips(rows, first)
	plain, err := lite.Open(&sqlite.Driver{}, file, lite.Create, "")
	if err != nil {
		return nil, err
	}
	if err := t.plain(ctx, plain); err != nil {
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
	parquetSize, err := t.sorted(b.path("trips-parquet"))
	if err = errors.Join(err, os.RemoveAll(b.path("trips-parquet"))); err != nil {
		return nil, err
	}
	b.say("archive %.1f MB: %.2f of sorted zstd Parquet (at most 1.3), %.2f of SQLite (at most 0.35)",
		float64(archive)/1e6, float64(archive)/float64(parquetSize), float64(archive)/float64(sqliteSize))
	toSQLite := fact{Name: "archive to the same rows in SQLite", Value: round(float64(archive)/float64(sqliteSize), 2), Most: 0.35}
	asked := questions(first + 15*86400)
	var failures []error
	ratios := make([]float64, len(asked))
	var j *job
	j = &job{
		rows: rows, idle: true, runs: 1, facts: []fact{toSQLite},
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
					if q.least > 0 {
						j.facts = append(j.facts, fact{Name: q.name, Value: round(ratios[i], 1), Unit: "times as fast as plain SQLite by processor time", Least: round(q.least, 2)})
					}
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
	}
	return j, nil
}
