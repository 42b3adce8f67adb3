// Package upsert reads and writes AresDB's upsert batches: rows of some columns
// of a table in binary form. Nothing of a batch is believed before it was checked
// against the batch's length, sections of columns do not overlap, and what is
// decoded takes memory in proportion to the batch.
package upsert

import (
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors/warehouse/schema"
)

// Mode says how a value meets the one that a row has.
type Mode uint8

// The modes, by their numbers on the wire.
const (
	Overwrite     Mode = iota // unless it is null
	OverwriteNull             // null too
	Add
	Min
	Max
)

// Version is what a batch begins with.
const Version = 0xFEED0001

const (
	// MaxRows is how many rows a batch has at most.
	MaxRows = 1 << 20
	// MaxValues is how many values a batch has at most, those that are all null
	// and take no room in it included.
	MaxValues = 1 << 23
)

// How a column's values stand in a batch.
const (
	allNull   = 0 // not at all
	allValues = 1
	someNull  = 2 // after a bitmap of those that are there
)

const (
	fixedHeader  = 28
	columnHeader = 4 + 4 + 4 + 4 + 2 + 1 // of a column: its offset, two reserved words, type, ID, modes
)

// Column is one column of a batch.
type Column struct {
	ID   int
	Type schema.Type
	Mode Mode
	// Values in the stored form (see schema.Type.Stored): enums by number, points
	// and shapes as text, arrays as JSON in which enums are numbers. nil when all
	// are null.
	Values arrow.Array
}

// Batch is a decoded batch.
type Batch struct {
	Rows    int
	Arrival uint32 // seconds
	Columns []Column
}

// Release frees the columns.
func (b *Batch) Release() {
	for _, c := range b.Columns {
		if c.Values != nil {
			c.Values.Release()
		}
	}
}

func invalid(format string, args ...any) error {
	return &schema.Error{Class: schema.Invalid, Message: fmt.Sprintf(format, args...)}
}

// header is where the parts of a batch stand.
type header struct {
	rows, columns                     int
	arrival                           uint32
	offsets, types, ids, modes, total int
}

func parseHeader(data []byte) (header, error) {
	le := binary.LittleEndian
	if len(data) < 4 {
		return header{}, invalid("Failed to read upsert batch version number: the body has %d bytes", len(data))
	}
	if v := le.Uint32(data); v != Version {
		return header{}, invalid("Unsupported upsert batch version %x", v)
	}
	if len(data) < fixedHeader {
		return header{}, invalid("Failed to read upsert batch header: the body has %d bytes", len(data))
	}
	rows := int32(le.Uint32(data[4:]))
	if rows < 0 {
		return header{}, invalid("Number of rows should be >= 0")
	}
	h := header{rows: int(rows), columns: int(le.Uint16(data[8:])), arrival: le.Uint32(data[24:]), offsets: fixedHeader}
	h.types = h.offsets + 4*(h.columns+1) + 8*h.columns
	h.ids = h.types + 4*h.columns
	h.modes = h.ids + 2*h.columns
	h.total = h.modes + h.columns
	if h.total > len(data) {
		return header{}, invalid("Failed to read upsert batch header: the body has %d bytes and its header %d", len(data), h.total)
	}
	if h.rows > 8*len(data) {
		return header{}, invalid("Number of rows %d is more than the body of %d bytes can have", h.rows, len(data))
	}
	if h.rows > MaxRows || h.rows*max(h.columns, 1) > MaxValues {
		return header{}, invalid("%d rows of %d columns are too many for one upsert batch: send at most %d rows and %d values", h.rows, h.columns, MaxRows, MaxValues)
	}
	return h, nil
}

// Decode reads a batch. Release it.
func Decode(data []byte) (*Batch, error) {
	h, err := parseHeader(data)
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	b := &Batch{Rows: h.rows, Arrival: h.arrival}
	seen := make(map[int]bool, h.columns)
	at := h.total
	for i := range h.columns {
		from, to := int(le.Uint32(data[h.offsets+4*i:])), int(le.Uint32(data[h.offsets+4*i+4:]))
		code, id, flags := le.Uint32(data[h.types+4*i:]), int(le.Uint16(data[h.ids+2*i:])), data[h.modes+i]
		typ, ok := schema.TypeOfCode(code)
		c := Column{ID: id, Type: typ, Mode: Mode(flags >> 3 & 7)}
		switch {
		case !ok:
			err = invalid("Unsupported data type value %#x of column %d", code, id)
		case seen[id]:
			err = invalid("Column %d stands in the upsert batch twice", id)
		case from < at || to < from || to > len(data):
			err = invalid("Column %d of the upsert batch stands from %d to %d of %d bytes", id, from, to, len(data))
		case c.Mode > Max || flags>>6 != 0 || flags&7 > someNull:
			err = invalid("Column %d of the upsert batch has the invalid mode %#x", id, flags)
		case flags&7 != allNull:
			s := section{data: data[:to], at: from, rows: h.rows}
			if c.Values, err = s.decode(typ, flags&7 == someNull); err != nil {
				err = invalid("Column %d of the upsert batch: %v", id, err)
			}
		}
		if err != nil {
			b.Release()
			return nil, err
		}
		seen[id], at = true, to
		b.Columns = append(b.Columns, c)
	}
	return b, nil
}
