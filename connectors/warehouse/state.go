package warehouse

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"arus/connectors/sqlite/lite"
	"arus/connectors/warehouse/schema"
	"arus/connectors/warehouse/segment"
)

// part is one Parquet file of a table, a row of the manifest.
type part struct {
	id         int64
	file       string // below the table's directory, with slashes
	day        int64  // days since 1970 of a fact table's rows; noDay in a dimension table
	info       segment.Info
	lo, hi     []byte // the least and the greatest key
	tmin, tmax int64  // the times of a fact table's rows
	version    int    // of the schema that the file was written by
	deadRows   int64
	dead       bitmap // rows that newer ones hide

	keys bloom // only of parts that are being made; see txn.filter
}

const noDay = -1 << 31

// state is what a transaction sees of a table.
type state struct {
	layout *layout
	body   string // the schema as it is stored
	parts  []*part
	values map[string]int64
	behind bool // the schema file is of an older version
}

// The names in the table state.
const (
	stateCutoff   = "cutoff"      // rows before this time were archived
	stateArchived = "archived_at" // when archiving ran
	stateBackfill = "backfill_at" // when backfill ran
	stateSnapshot = "snapshot_at" // when a snapshot was written
	statePurged   = "purged_at"   // when retention ran
	stateUpserts  = "upserts"     // since the last snapshot
	stateNextPart = "next_part"   // the number of the next file
	stateNextRow  = "next_row"    // the next hidden key
	stateDropped  = "dropped_at"  // the schema's version in which a column was deleted last
)

// readState reads a table's state within the connection's transaction.
func (t table) readState(ctx context.Context, c *lite.Conn) (*state, error) {
	s := &state{values: map[string]int64{}}
	var current schema.Table
	enums := schema.Enums{}
	err := c.Each(ctx, "SELECT body FROM schemas ORDER BY version DESC LIMIT 1", nil, func(row []driver.Value) error {
		s.body = lite.String(row[0])
		return json.Unmarshal([]byte(s.body), &current)
	})
	if err != nil {
		return nil, err
	}
	if s.body == "" {
		return nil, errors.New("the live database has no schema")
	}
	if s.behind, err = t.checkFile(&current, s.body); err != nil {
		return nil, err
	}
	err = c.Each(ctx, "SELECT column, name FROM cases ORDER BY column, id", nil, func(row []driver.Value) error {
		id := int(lite.Int(row[0]))
		enums[id] = append(enums[id], lite.String(row[1]))
		return nil
	})
	if err != nil {
		return nil, err
	}
	if s.layout, err = newLayout(&current, enums); err != nil {
		return nil, err
	}
	err = c.Each(ctx, "SELECT name, value FROM state", nil, func(row []driver.Value) error {
		s.values[lite.String(row[0])] = lite.Int(row[1])
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = s.readParts(ctx, c)
	return s, err
}

func (s *state) readParts(ctx context.Context, c *lite.Conn) error {
	byID := map[int64]*part{}
	err := c.Each(ctx, "SELECT id, file, day, rows, bytes, sums, lo, hi, dead, tmin, tmax, version FROM segments ORDER BY id", nil, func(row []driver.Value) error {
		p := &part{
			id: lite.Int(row[0]), file: lite.String(row[1]), day: noDay, lo: blob(row[6]), hi: blob(row[7]), deadRows: lite.Int(row[8]), tmin: lite.Int(row[9]), tmax: lite.Int(row[10]),
			info: segment.Info{Rows: lite.Int(row[3]), Bytes: lite.Int(row[4]), Sums: blob(row[5])}, version: int(lite.Int(row[11])),
		}
		if row[2] != nil {
			p.day = lite.Int(row[2])
		}
		if clean := path.Clean(p.file); clean != p.file || path.IsAbs(clean) || strings.HasPrefix(clean, "..") {
			return fmt.Errorf("the manifest names %q, which is no file of the table", p.file)
		}
		s.parts, byID[p.id] = append(s.parts, p), p
		return nil
	})
	if err != nil {
		return err
	}
	return c.Each(ctx, "SELECT segment, chunk, bits FROM dead", nil, func(row []driver.Value) error {
		p, bits := byID[lite.Int(row[0])], blob(row[2])
		if p == nil || len(bits) > deadChunk/8 {
			return errors.New("the marks of hidden rows do not go with the manifest")
		}
		base := int(lite.Int(row[1])) * deadChunk / 64
		for len(p.dead) < base+len(bits)/8 {
			p.dead = append(p.dead, 0)
		}
		for i := 0; i+8 <= len(bits); i += 8 {
			p.dead[base+i/8] = binary.LittleEndian.Uint64(bits[i:])
		}
		return nil
	})
}

// deadChunk is how many rows one blob of marks covers.
const deadChunk = 1 << 16

// blob copies a value that must be bytes.
func blob(v driver.Value) []byte {
	b, _ := v.([]byte)
	return append([]byte(nil), b...)
}

// keep names the files of the parts.
func (s *state) keep() map[string]bool {
	keep := map[string]bool{}
	for _, p := range s.parts {
		keep[p.file] = true
	}
	return keep
}

// archived counts the rows of the parts that are not hidden.
func (s *state) archived() int64 {
	n := int64(0)
	for _, p := range s.parts {
		n += p.info.Rows - p.deadRows
	}
	return n
}

// txn is a change of a table, all of which becomes visible by its commit. The
// table is locked.
type txn struct {
	*state
	table table
	conn  *lite.Conn
	fresh bool // the table is new: the live database gets its name by the commit

	marked  map[*part]map[int64]bool // chunks of marks that changed
	put     *lite.Stmt
	changed bool     // of the schema
	gone    []string // files that the commit makes superfluous
	visible bool     // the commit has happened, and only what follows it may have failed
	done    bool
}

// begin starts changing a table that exists.
func (t table) begin(ctx context.Context) (*txn, error) {
	c, err := t.connect(ctx, lite.ReadWrite, "BEGIN IMMEDIATE")
	if err != nil {
		return nil, err
	}
	s, err := t.readState(ctx, c)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &txn{state: s, table: t, conn: c, marked: map[*part]map[int64]bool{}, changed: s.behind}, nil
}

// create starts making a table, with its first schema.
func (t table) create(ctx context.Context, l *layout, now time.Time) (*txn, error) {
	tmp := t.file(liveFile + tmpSuffix)
	if err := t.fs.RemoveAll(tmp); err != nil {
		return nil, err
	}
	c, err := lite.Open(sqliteDriver(), tmp, lite.Create, "")
	if err != nil {
		return nil, err
	}
	x := &txn{state: &state{layout: l, values: map[string]int64{}}, table: t, conn: c, fresh: true, marked: map[*part]map[int64]bool{}}
	// Nobody sees the file before it gets its name: it needs no journal.
	for _, sql := range append([]string{"PRAGMA page_size = 8192", "PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA user_version = 1", "BEGIN"}, liveSQL()...) {
		if err := c.Exec(ctx, sql); err != nil {
			return nil, errors.Join(err, x.rollback())
		}
	}
	if err := x.setSchema(ctx, l, now); err != nil {
		return nil, errors.Join(err, x.rollback())
	}
	return x, nil
}

// historyLength is how many versions of a schema are kept.
const historyLength = 50

// setSchema makes the layout's schema the table's, in its version.
func (x *txn) setSchema(ctx context.Context, l *layout, now time.Time) error {
	body, err := json.MarshalIndent(l.table, "", "  ")
	if err != nil {
		return err
	}
	x.layout, x.body, x.changed = l, string(body), true
	for _, s := range []struct {
		sql  string
		args []driver.Value
	}{
		{"INSERT OR REPLACE INTO schemas VALUES (?, ?, ?)", []driver.Value{int64(l.table.Version), now.UnixMicro(), x.body}},
		{"DELETE FROM schemas WHERE version <= ?", []driver.Value{int64(l.table.Version - historyLength)}},
	} {
		if err := x.conn.Exec(ctx, s.sql, s.args...); err != nil {
			return err
		}
	}
	return x.setCases(ctx, l.enums)
}

// setCases stores the dictionaries.
func (x *txn) setCases(ctx context.Context, enums schema.Enums) error {
	if err := x.conn.Exec(ctx, "DELETE FROM cases"); err != nil {
		return err
	}
	for column, cases := range enums {
		for id, name := range cases {
			if err := x.conn.Exec(ctx, "INSERT INTO cases VALUES (?, ?, ?)", int64(column), int64(id), name); err != nil {
				return err
			}
		}
	}
	return nil
}

// set stores a value of the state.
func (x *txn) set(ctx context.Context, name string, value int64) error {
	if have, ok := x.values[name]; ok && have == value {
		return nil
	}
	x.values[name] = value
	return x.conn.Exec(ctx, "INSERT OR REPLACE INTO state VALUES (?, ?)", name, value)
}

// putRow makes a live row, in place of one of the same key. t is nil without a time.
func (x *txn) putRow(ctx context.Context, key []byte, t driver.Value, row []byte) error {
	if x.put == nil {
		var err error
		if x.put, err = x.conn.Prepare(ctx, "INSERT INTO rows VALUES (?, ?, ?) ON CONFLICT (k) DO UPDATE SET t = excluded.t, v = excluded.v", 3); err != nil {
			return err
		}
	}
	x.put.Set(0, key)
	x.put.Set(1, t)
	x.put.Set(2, row)
	return x.put.Exec(ctx)
}

// mark hides rows of a part.
func (x *txn) mark(p *part, rows ...int64) {
	for _, r := range rows {
		if p.dead.set(r) {
			p.deadRows++
			if x.marked[p] == nil {
				x.marked[p] = map[int64]bool{}
			}
			x.marked[p][r/deadChunk] = true
		}
	}
}

// addPart puts a finished file into the manifest.
func (x *txn) addPart(ctx context.Context, p *part) error {
	x.parts = append(x.parts, p)
	var day driver.Value
	if p.day != noDay {
		day = p.day
	}
	return x.conn.Exec(ctx, "INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		p.id, p.file, day, p.info.Rows, p.info.Bytes, p.info.Sums, p.lo, p.hi, []byte(p.keys), p.deadRows, p.tmin, p.tmax, int64(p.version))
}

// dropPart takes a file out of the manifest.
func (x *txn) dropPart(ctx context.Context, p *part) error {
	delete(x.marked, p)
	x.gone = append(x.gone, p.file)
	for i, have := range x.parts {
		if have == p {
			x.parts = append(x.parts[:i:i], x.parts[i+1:]...)
			break
		}
	}
	if err := x.conn.Exec(ctx, "DELETE FROM segments WHERE id = ?", p.id); err != nil {
		return err
	}
	return x.conn.Exec(ctx, "DELETE FROM dead WHERE segment = ?", p.id)
}

// clear empties the table.
func (x *txn) clear(ctx context.Context) error {
	for _, p := range x.parts {
		x.gone = append(x.gone, p.file)
	}
	for _, sql := range []string{"DELETE FROM rows", "DELETE FROM segments", "DELETE FROM dead", "DELETE FROM state"} {
		if err := x.conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	x.parts, x.values = nil, map[string]int64{stateNextPart: x.values[stateNextPart], stateNextRow: x.values[stateNextRow]}
	clear(x.marked)
	return nil
}

// filter is a part's set of keys.
func (x *txn) filter(ctx context.Context, p *part) (bloom, error) {
	if p.keys != nil {
		return p.keys, nil
	}
	id := bloomID{x.table.file(p.file), p.id}
	if keys := x.table.blooms.get(id); keys != nil {
		return keys, nil
	}
	v, err := x.conn.One(ctx, "SELECT keys FROM segments WHERE id = ?", p.id)
	keys := bloom(blob(v))
	if err == nil && len(keys) > 0 {
		x.table.blooms.put(id, keys)
	}
	return keys, err
}

func (x *txn) writeMarks(ctx context.Context) error {
	for p, chunks := range x.marked {
		for chunk := range chunks {
			from := int(chunk) * deadChunk / 64
			bits := make([]byte, 0, deadChunk/8)
			for _, w := range p.dead[min(from, len(p.dead)):min(from+deadChunk/64, len(p.dead))] {
				bits = binary.LittleEndian.AppendUint64(bits, w)
			}
			if err := x.conn.Exec(ctx, "INSERT OR REPLACE INTO dead VALUES (?, ?, ?)", p.id, chunk, bits); err != nil {
				return err
			}
		}
		if err := x.conn.Exec(ctx, "UPDATE segments SET dead = ? WHERE id = ?", p.deadRows, p.id); err != nil {
			return err
		}
	}
	clear(x.marked)
	return nil
}

// commit makes the change durable and visible, in one step. What comes after
// that step only tidies up, and the next writer does it if this one cannot.
func (x *txn) commit(ctx context.Context) error {
	if err := x.writeMarks(ctx); err != nil {
		return err
	}
	if x.put != nil {
		if err := x.put.Close(); err != nil {
			return err
		}
		x.put = nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := x.table.fs.Point("commit"); err != nil {
		return err
	}
	if err := x.conn.Exec(ctx, "COMMIT"); err != nil {
		return err
	}
	if x.fresh {
		if err := x.publish(ctx); err != nil {
			return err
		}
	} else {
		x.visible = true
		_ = x.conn.Exec(context.WithoutCancel(ctx), "PRAGMA wal_checkpoint(TRUNCATE)")
		_ = x.conn.Close()
	}
	x.done = true
	for _, name := range x.gone { // swept by the next writer if a reader holds one
		_ = x.table.fs.Remove(x.table.file(name))
	}
	if x.changed {
		_ = replaceFile(x.table.fs, x.table.file(schemaFile), []byte(x.body+"\n"))
	}
	return nil
}

// publish gives a new live database its name.
func (x *txn) publish(ctx context.Context) error {
	if err := x.conn.Exec(ctx, "PRAGMA journal_mode = WAL"); err != nil {
		return err
	}
	tmp := x.table.file(liveFile + tmpSuffix)
	if err := x.conn.Close(); err != nil {
		return err
	}
	if err := syncFile(tmp); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := x.table.fs.Rename(tmp, x.table.file(liveFile)); err != nil {
		return err
	}
	x.visible = true
	if err := x.table.fs.SyncDir(x.table.path); err != nil {
		return err
	}
	return x.table.fs.SyncDir(path.Dir(x.table.path))
}

// rollback leaves the table as it was.
func (x *txn) rollback() error {
	if x.done {
		return nil
	}
	x.done = true
	if x.put != nil {
		_ = x.put.Close()
	}
	err := x.conn.Close() // an open transaction goes with it
	if x.fresh {
		for _, suffix := range []string{"", "-journal", "-wal", "-shm"} {
			_ = x.table.fs.RemoveAll(x.table.file(liveFile+tmpSuffix) + suffix)
		}
	}
	return err
}
