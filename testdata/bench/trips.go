package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/parquet-go/parquet-go"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
	"arus/connectors/warehouse"
	"arus/connectors/warehouse/schema"
)

// tripDays is over how many days the trips are spread.
const tripDays = 30

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

// trip is a row as plain parquet-go takes it, of the types that the archive has.
type trip struct {
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

// trips gives rows, each a function of its number.
type trips struct {
	rows, first       int64
	statuses, vehicle []string
	tips              []float64 // by cents
}

func newTrips(rows, first int64) *trips {
	t := &trips{rows: rows, first: first, statuses: []string{"completed", "completed", "completed", "canceled", "rejected", "no show"}, vehicle: []string{"car", "van", "bike", "scooter"}}
	for cents := range 1200 {
		t.tips = append(t.tips, float64(cents)/100)
	}
	return t
}

func (t *trips) row(i int64, out *trip) {
	h := uint64(i)*0x9e3779b97f4a7c15 + 12345
	next := func(n uint64) int64 {
		h ^= h >> 29
		h *= 0xbf58476d1ce4e5b9
		h ^= h >> 32
		return int64(h % n)
	}
	out.Tip = nil
	if cents := next(1200); cents > 200 {
		out.Tip = &t.tips[cents]
	}
	out.TS, out.ID, out.City = int32(t.first+i*tripDays*86400/t.rows), i, int32(next(100))
	out.Status, out.Vehicle, out.Driver = t.statuses[next(6)], t.vehicle[next(4)], int32(next(20000))
	out.Fare, out.Miles, out.Paid = float64(300+next(5000))/100, float32(next(400))/16, next(10) > 0
}

func appendTrip(b []array.Builder, r *trip) {
	b[0].(*array.Uint32Builder).Append(uint32(r.TS))
	b[1].(*array.Int64Builder).Append(r.ID)
	b[2].(*array.Uint16Builder).Append(uint16(r.City))
	b[3].(*array.StringBuilder).Append(r.Status)
	b[4].(*array.StringBuilder).Append(r.Vehicle)
	b[5].(*array.Int32Builder).Append(r.Driver)
	b[6].(*array.Float64Builder).Append(r.Fare)
	if r.Tip == nil {
		b[7].AppendNull()
	} else {
		b[7].(*array.Float64Builder).Append(*r.Tip)
	}
	b[8].(*array.Float32Builder).Append(r.Miles)
	b[9].(*array.BooleanBuilder).Append(r.Paid)
}

// load writes the rows whose numbers each gives, which are made beside the load.
func (t *trips) load(ctx context.Context, dir string, mode connectors.LoadMode, each func(row func(i int64) error) error) error {
	d, err := warehouse.New().OpenDestination(ctx, connectors.Config{Database: dir})
	if err != nil {
		return err
	}
	l, err := d.Begin(ctx, connectors.LoadRequest{
		Target: connectors.TableRef{Name: "trips"}, Columns: tripColumns(), Key: []string{"id"}, Mode: mode, RunID: "0190a6b2-0000-7000-8000-00000000000a", SyncedAt: time.Now(),
	})
	if err != nil {
		return err
	}
	batches := make(chan arrow.RecordBatch, 1)
	made := make(chan error, 1)
	go func() {
		b := connectors.NewBatcher(tripColumns(), connectors.Limits{Rows: 1 << 16, Bytes: 64 << 20}, func(batch arrow.RecordBatch) error {
			batches <- batch
			return nil
		})
		defer b.Release()
		var r trip
		err := each(func(i int64) error {
			t.row(i, &r)
			appendTrip(b.Builders, &r)
			return b.EndRow(64)
		})
		made <- errors.Join(err, b.Flush())
		close(batches)
	}()
	var failed error
	for batch := range batches {
		if failed != nil {
			batch.Release()
			continue
		}
		failed = l.Write(ctx, batch)
	}
	if failed = errors.Join(failed, <-made); failed != nil {
		return errors.Join(failed, l.Abort())
	}
	_, err = l.Commit(ctx)
	return err
}

func (t *trips) all(row func(i int64) error) error {
	for i := range t.rows {
		if err := row(i); err != nil {
			return err
		}
	}
	return nil
}

// first loads the warehouse in dir.
func (t *trips) firstLoad(ctx context.Context, dir string) error {
	s, err := warehouse.OpenStore(dir, time.Now)
	if err != nil {
		return err
	}
	if _, err := s.Create(ctx, tripTable()); err != nil {
		return err
	}
	return t.load(ctx, dir, connectors.Replace, t.all)
}

// cities loads the small table that a query joins.
func cities(ctx context.Context, dir string) error {
	d, err := warehouse.New().OpenDestination(ctx, connectors.Config{Database: dir})
	if err != nil {
		return err
	}
	columns := []connectors.Column{{Name: "id", Type: connectors.Type{Kind: connectors.Int64}}, {Name: "name", Type: connectors.Type{Kind: connectors.Text}}}
	l, err := d.Begin(ctx, connectors.LoadRequest{
		Target: connectors.TableRef{Name: "cities"}, Columns: columns, Key: []string{"id"}, Mode: connectors.Replace, RunID: "0190a6b2-0000-7000-8000-00000000000a", SyncedAt: time.Now(),
	})
	if err != nil {
		return err
	}
	b := connectors.NewBatcher(columns, connectors.Limits{}, func(batch arrow.RecordBatch) error { return l.Write(ctx, batch) })
	defer b.Release()
	for i := range int64(100) {
		b.Builders[0].(*array.Int64Builder).Append(i)
		b.Builders[1].(*array.StringBuilder).Append(fmt.Sprint("city ", i))
		if err := b.EndRow(16); err != nil {
			return errors.Join(err, l.Abort())
		}
	}
	if err := b.Flush(); err != nil {
		return errors.Join(err, l.Abort())
	}
	_, err = l.Commit(ctx)
	return err
}

// plain makes the same tables in a SQLite file.
func (t *trips) plain(ctx context.Context, c *lite.Conn) error {
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
	var r trip
	for i := range t.rows {
		t.row(i, &r)
		put.Set(0, int64(r.TS))
		put.Set(1, r.ID)
		put.Set(2, int64(r.City))
		put.Set(3, r.Status)
		put.Set(4, r.Vehicle)
		put.Set(5, int64(r.Driver))
		put.Set(6, r.Fare)
		if put.Set(7, nil); r.Tip != nil {
			put.Set(7, *r.Tip)
		}
		put.Set(8, float64(r.Miles))
		put.Set(9, r.Paid)
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

// sorted writes the rows of each day, sorted as the archive has them, by plain
// parquet-go with zstd, and gives the size of the files.
func (t *trips) sorted(dir string) (total int64, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, err
	}
	var out []trip
	for day := range int64(tripDays) {
		from, to := (day*t.rows+tripDays-1)/tripDays, ((day+1)*t.rows+tripDays-1)/tripDays
		out = slices.Grow(out[:0], int(to-from))[:to-from]
		for i := from; i < to; i++ {
			t.row(i, &out[i-from])
		}
		slices.SortStableFunc(out, func(a, b trip) int {
			switch {
			case a.City != b.City:
				return int(a.City - b.City)
			case a.Status < b.Status:
				return -1
			case a.Status > b.Status:
				return 1
			}
			return 0
		})
		n, err := writeParquet(filepath.Join(dir, fmt.Sprint(day, ".parquet")), func(w *parquet.GenericWriter[trip]) error {
			_, err := w.Write(out)
			return err
		})
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// writeParquet writes a file by plain parquet-go, durably, and gives its size.
func writeParquet[T any](path string, fill func(*parquet.GenericWriter[T]) error) (int64, error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	w := parquet.NewGenericWriter[T](f)
	if err := errors.Join(fill(w), w.Close(), f.Sync()); err != nil {
		return 0, errors.Join(err, f.Close())
	}
	info, err := f.Stat()
	if err != nil {
		return 0, errors.Join(err, f.Close())
	}
	return info.Size(), f.Close()
}

// upsertedTrips is how many rows an upsert of the bench has.
const upsertedTrips = 200_000

// tripWork is what the bench does in a process of its own, so that its memory can
// be told: "bench trips WHAT DIRECTORY ROWS FIRST".
const tripWork = "trips"

// spent is what such a process says of itself.
type spent struct {
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu"`
	Bytes   int64   `json:"bytes"`
}

func runTrips(ctx context.Context, args []string) error {
	if len(args) != 4 {
		return errors.New("trips WHAT DIRECTORY ROWS FIRST")
	}
	rows, err := strconv.ParseInt(args[2], 10, 64)
	first, err2 := strconv.ParseInt(args[3], 10, 64)
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	debug.SetGCPercent(50) // as the program has it
	t, dir, s := newTrips(rows, first), args[1], spent{}
	began, cpu := time.Now(), ownSeconds()
	switch args[0] {
	case "load":
		err = t.firstLoad(ctx, dir)
	case "parquet":
		s.Bytes, err = t.sorted(dir)
	case "days": // keys of one stretch of days
		err = t.load(ctx, dir, connectors.Merge, func(row func(int64) error) error {
			for i := range min(int64(upsertedTrips), rows) {
				if err := row((rows/3 + i) % rows); err != nil {
					return err
				}
			}
			return nil
		})
	case "all": // keys of all days
		err = t.load(ctx, dir, connectors.Merge, func(row func(int64) error) error {
			for i := int64(0); i < rows; i += max(1, rows/upsertedTrips) {
				if err := row(i); err != nil {
					return err
				}
			}
			return nil
		})
	default:
		err = fmt.Errorf("no work %q", args[0])
	}
	if err != nil {
		return err
	}
	s.Seconds, s.CPU = time.Since(began).Seconds(), ownSeconds()-cpu
	return json.NewEncoder(os.Stdout).Encode(s)
}

// trips does one of these works.
func (b *bench) trips(ctx context.Context, what, dir string, rows, first int64) (sample, spent, error) {
	var s spent
	self, err := os.Executable()
	if err != nil {
		return sample{}, s, err
	}
	out, text, err := child(ctx, stage{path: self, args: []string{tripWork, what, dir, fmt.Sprint(rows), fmt.Sprint(first)}})
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	out.Seconds, out.CPU = s.Seconds, s.CPU
	return out, s, err
}
