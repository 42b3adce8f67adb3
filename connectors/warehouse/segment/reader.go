package segment

import (
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/parquet-go/parquet-go"

	"arus/connectors"
)

// File is an open file.
type File struct {
	file  *parquet.File
	index map[int]int // by column ID: its place in the file
}

// ErrDamaged is what a file gives whose bytes are not those that were written.
var ErrDamaged = errors.New("the file is damaged")

// Open reads a file's footer. Whatever is read of the file later is compared with
// its checksums.
func Open(r io.ReaderAt, info Info) (*File, error) {
	if blocks := (info.Bytes + blockSize - 1) / blockSize; int64(len(info.Sums)) != 4*blocks {
		return nil, fmt.Errorf("%w: it has %d bytes of checksums for %d blocks", ErrDamaged, len(info.Sums), blocks)
	}
	r = &checked{r: r, size: info.Bytes, sums: info.Sums, table: castagnoli(), block: -1}
	f, err := parquet.OpenFile(r, info.Bytes, parquet.SkipBloomFilters(true), parquet.ReadBufferSize(1<<16))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if f.NumRows() != info.Rows {
		return nil, fmt.Errorf("%w: it has %d rows and not %d", ErrDamaged, f.NumRows(), info.Rows)
	}
	out := &File{file: f, index: map[int]int{}}
	for i, c := range f.Root().Columns() {
		out.index[c.ID()-1] = i
	}
	return out, nil
}

// Parquet is the open file itself, for its statistics and indexes.
func (f *File) Parquet() *parquet.File { return f.file }

// Place is where a column stands in the file's row groups; ok is false for one
// that came after the file was written.
func (f *File) Place(id int) (place int, ok bool) {
	place, ok = f.index[id]
	return place, ok
}

// Rows counts the rows.
func (f *File) Rows() int64 { return f.file.NumRows() }

// Range is a stretch of rows, from the first to the one after the last.
type Range struct{ From, To int64 }

// Reader reads columns of a file forwards, a stretch of rows at a time.
type Reader struct {
	cursors []*cursor
}

// NewReader prepares reading. Columns that the file does not have are an error,
// as are those whose type differs.
func (f *File) NewReader(columns []Column) (*Reader, error) {
	r := &Reader{}
	for _, c := range columns {
		at, ok := f.index[c.ID]
		if !ok {
			return nil, fmt.Errorf("the file has no column %d", c.ID)
		}
		node, err := nodeOf(c.Type)
		if err != nil {
			return nil, err
		}
		have := f.file.Root().Columns()[at]
		if have.Type().String() != node.Type().String() {
			return nil, fmt.Errorf("column %d (%s) is stored as %s, and the schema says %s, which is %s", c.ID, c.Name, have.Type(), c.Type, node.Type())
		}
		r.cursors = append(r.cursors, &cursor{file: f, column: at, kind: have.Type().Kind(), typ: c.Type, group: -1})
	}
	return r, nil
}

// Fill appends the rows of a range to the builder of column i of the reader. The
// ranges of a column follow each other.
func (r *Reader) Fill(i int, b array.Builder, rows Range) error {
	return r.cursors[i].fill(b, rows)
}

// Close gives back what the reader holds.
func (r *Reader) Close() error {
	var errs []error
	for _, c := range r.cursors {
		errs = append(errs, c.close())
	}
	return errors.Join(errs...)
}

// cursor is the place of a reader in one column.
type cursor struct {
	file   *File
	column int
	kind   parquet.Kind
	typ    connectors.Type

	group      int   // the row group that is open, -1 before the first
	start, end int64 // its rows in the file
	pages      parquet.Pages

	page        parquet.Page
	first, last int64 // the page's rows in the file
	row         int64 // the next row that is not yet consumed
	value       int   // its place among the page's values, without nulls
	levels      []byte
	nulls       bool
	data        pageData
}

func (c *cursor) close() error {
	c.drop()
	if c.pages == nil {
		return nil
	}
	err := c.pages.Close()
	c.pages = nil
	return err
}

func (c *cursor) drop() {
	if c.page != nil {
		parquet.Release(c.page)
		c.page = nil
	}
}

// seek opens the page that holds a row.
func (c *cursor) seek(row int64) error {
	if c.page != nil && row < c.last {
		c.skip(row)
		return nil
	}
	groups := c.file.file.RowGroups()
	if c.group < 0 || row >= c.end {
		if err := c.close(); err != nil {
			return err
		}
		if c.group < 0 {
			c.end = 0
		}
		for c.group < 0 || row >= c.end {
			if c.group++; c.group >= len(groups) {
				return fmt.Errorf("%w: it has no row %d", ErrDamaged, row)
			}
			c.start = c.end
			c.end += groups[c.group].NumRows()
		}
		c.pages = groups[c.group].ColumnChunks()[c.column].Pages()
		c.last = c.start
	}
	if row > c.last {
		if err := c.pages.SeekToRow(row - c.start); err != nil {
			return err
		}
		c.last = row
	}
	c.drop()
	page, err := c.pages.ReadPage()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	c.page = page
	c.first, c.last = c.last, c.last+page.NumRows()
	c.row, c.value = c.first, 0
	c.levels, c.nulls = page.DefinitionLevels(), page.NumNulls() > 0
	if err := c.data.load(page, c.kind); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	c.skip(row)
	return nil
}

// skip moves on within the page.
func (c *cursor) skip(row int64) {
	if !c.nulls {
		c.value += int(row - c.row)
	} else {
		for _, level := range c.levels[c.row-c.first : row-c.first] {
			c.value += int(level)
		}
	}
	c.row = row
}

func (c *cursor) fill(b array.Builder, rows Range) error {
	b.Reserve(int(rows.To - rows.From))
	for at := rows.From; at < rows.To; {
		if err := c.seek(at); err != nil {
			return err
		}
		end := min(rows.To, c.last)
		var levels []byte
		if c.nulls {
			levels = c.levels[at-c.first : end-c.first]
		}
		if err := c.data.append(b, c.typ, levels, c.value, int(end-at)); err != nil {
			return err
		}
		c.skip(end)
		at = end
	}
	return nil
}
