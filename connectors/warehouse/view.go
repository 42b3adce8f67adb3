package warehouse

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
	"arus/connectors/warehouse/schema"
	"arus/connectors/warehouse/segment"
)

// View is one state of a table, which a reader keeps while others change the
// table. One goroutine uses it. Close it.
type View struct {
	*state
	table table
	conn  *lite.Conn
	open  map[*part]*openPart
}

// openPart is a Parquet file that a view has open.
type openPart struct {
	file file
	seg  *segment.File
}

// errMoved says that a file of the view's state is gone: another state is current.
var errMoved = errors.New("the table has changed meanwhile")

// viewAttempts is how often a reader meets a table that has just changed before
// it gives up.
const viewAttempts = 20

// view opens a table for reading, with all its files, so that nobody can take
// them away.
func (t table) view(ctx context.Context) (*View, error) {
	var last error
	for range viewAttempts {
		v, err := t.look(ctx)
		if err == nil {
			if err = v.pin(); err == nil {
				return v, nil
			}
			err = errors.Join(err, v.Close())
		}
		if last = err; ctx.Err() != nil || !errors.Is(err, errMoved) {
			break
		}
	}
	return nil, t.readError(fail(ctx, "open", t.name, last))
}

// look reads the table's state and opens no file.
func (t table) look(ctx context.Context) (*View, error) {
	c, err := t.connect(ctx, lite.ReadOnly, "BEGIN")
	if err != nil {
		return nil, err
	}
	s, err := t.readState(ctx, c)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &View{state: s, table: t, conn: c, open: map[*part]*openPart{}}, nil
}

func (v *View) pin() error {
	for _, p := range v.parts {
		f, err := v.table.openFile(p)
		if errors.Is(err, fs.ErrNotExist) {
			if now, lookErr := v.table.look(context.Background()); lookErr == nil {
				moved := !now.keep()[p.file]
				_ = now.Close()
				if moved {
					return errMoved
				}
			}
			return fmt.Errorf("the file %s is missing", p.file)
		}
		if err != nil {
			return err
		}
		v.open[p] = &openPart{file: f}
	}
	return nil
}

func (t table) openFile(p *part) (file, error) {
	return t.fs.Open(filepath.Join(t.path, filepath.FromSlash(p.file)))
}

// segment opens a part's columns.
func (v *View) segment(p *part) (*segment.File, error) {
	o := v.open[p]
	if o.seg == nil {
		seg, err := segment.Open(o.file, p.info)
		if err != nil {
			return nil, v.table.damaged(p, err)
		}
		o.seg = seg
	}
	return o.seg, nil
}

func (t table) damaged(p *part, err error) error {
	return &connectors.Error{Kind: connectors.KindType, Op: "read", Object: t.name, Err: fmt.Errorf("%s: %w", p.file, err), Hint: "restore the table's directory from a backup, or run a full refresh"}
}

// Close lets go of the state.
func (v *View) Close() error {
	errs := []error{v.conn.Close()}
	for _, o := range v.open {
		errs = append(errs, o.file.Close())
	}
	v.open = nil
	return errors.Join(errs...)
}

// Schema is the table's schema.
func (v *View) Schema() *schema.Table { return v.layout.table }

// Enums are the dictionaries.
func (v *View) Enums() schema.Enums { return v.layout.enums }

// Part describes one Parquet file of a view to the SQL layer.
type Part struct {
	Index int // for Scan
	File  string
	Day   int64 // days since 1970, of a fact table's rows
	Fact  bool
	Rows  int64 // with hidden ones
	Dead  int64
	Bytes int64
	MinT  int64 // the times of a fact table's rows
	MaxT  int64
}

// Parts lists the view's files in the order in which Scan reads them.
func (v *View) Parts() []Part {
	out := make([]Part, len(v.parts))
	for i, p := range v.parts {
		out[i] = Part{Index: i, File: p.file, Day: p.day, Fact: p.day != noDay, Rows: p.info.Rows, Dead: p.deadRows, Bytes: p.info.Bytes, MinT: p.tmin, MaxT: p.tmax}
	}
	return out
}

// Segment opens a file of the view for its statistics; it belongs to the view.
func (v *View) Segment(index int) (*segment.File, error) { return v.segment(v.parts[index]) }

// LiveRows counts the rows outside the files.
func (v *View) LiveRows(ctx context.Context) (int64, error) {
	n, err := v.conn.One(ctx, "SELECT count(*) FROM rows")
	return lite.Int(n), err
}

// Rows counts the table's rows.
func (v *View) Rows(ctx context.Context) (int64, error) {
	n, err := v.LiveRows(ctx)
	return n + v.archived(), err
}
