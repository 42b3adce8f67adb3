package clickhouse

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/uuid"

	"arus/connectors"
)

// Raw mode: the rows land as JSON in a staging table that stays, and the typed
// rows are made from those. The server's own JSON functions are no way to make
// them: those of old versions know no escapes, and all go through doubles or
// lose the difference between an absent and an empty text. So the run's rows
// are read back and decoded here, before the staging rows and the typed rows
// become visible one after the other.

// rawLoad is the part of a load that fills the staging table.
type rawLoad struct {
	shadow connectors.TableRef
	insert *inserter
	base   uint64 // _arus_id of the load's first row
}

const (
	rawID        = "_arus_id"
	rawExtracted = "_arus_extracted"
	rawData      = "_data"
)

// beginRaw makes the staging table's shadow and finds where its ids begin.
func (l *load) beginRaw(ctx context.Context) error {
	table := l.req.Raw.Table
	have, err := l.lookUp(ctx, table)
	if err != nil {
		return err
	}
	r := &rawLoad{base: 1}
	extracted := l.columnType(metaColumns[1], false)
	if have != nil {
		for _, name := range []string{rawID, connectors.MetaRunID, rawExtracted, rawData} {
			if _, ok := have.column(name); !ok {
				return &connectors.Error{
					Kind: connectors.KindConflict, Op: opLoad, Object: table.String(),
					Err: fmt.Errorf("the staging table has no column %s", name), Hint: "rename the table: it is not one that Arus made",
				}
			}
		}
		c, _ := have.column(rawExtracted)
		extracted = c.Native
		err := l.query(ctx, "SELECT max("+ident(rawID)+") FROM "+qualified(table), func(rows driver.Rows) error {
			err := rows.Scan(&r.base)
			r.base++
			return err
		})
		if err != nil {
			return err
		}
	}
	r.shadow = l.newShadow(table.Schema)
	sql := l.createRaw(r.shadow, false)
	if have != nil {
		sql = l.createLike(r.shadow, table, have, false)
	}
	l.made = append(l.made, r.shadow)
	if err := l.exec(ctx, sql); err != nil {
		return err
	}
	data := connectors.Column{Name: rawData, Type: connectors.Type{Kind: connectors.JSON}}
	r.insert, err = l.newInserter(ctx, r.shadow, []native{{data, "String"}}, []native{
		{connectors.Column{Name: rawID, Type: versionColumn.Type}, "UInt64"},
		{metaColumns[0], "UUID"},
		{connectors.Column{Name: rawExtracted, Type: metaColumns[1].Type}, extracted},
	})
	if err != nil {
		return err
	}
	r.insert.stamp = l.stamper(func(i int64) uint64 { return r.base + uint64(i) })
	l.raw = r
	return nil
}

// writeRaw turns a batch into rows of JSON.
func (l *load) writeRaw(ctx context.Context, batch arrow.RecordBatch) error {
	defer batch.Release()
	if int(batch.NumCols()) != len(l.req.Columns) {
		return fmt.Errorf("a batch has %d columns instead of %d", batch.NumCols(), len(l.req.Columns))
	}
	builder := array.NewStringBuilder(memory.DefaultAllocator)
	defer builder.Release()
	var row []byte
	for i := range int(batch.NumRows()) {
		row = connectors.AppendRowJSON(row[:0], batch, l.req.Columns, i)
		builder.BinaryBuilder.Append(row)
	}
	rows := builder.NewArray()
	defer rows.Release()
	schema := arrow.NewSchema([]arrow.Field{{Name: rawData, Type: arrow.BinaryTypes.String}}, nil)
	return l.raw.insert.write(ctx, array.NewRecordBatch(schema, []arrow.Array{rows}, int64(rows.Len())))
}

// buildFromRaw decodes the load's staging rows into the shadow of the target.
// The order in which they are read does not matter: a row's version is its
// number in the staging table.
func (l *load) buildFromRaw(ctx context.Context) error {
	if err := l.raw.insert.flush(ctx); err != nil {
		return err
	}
	var numbers []uint64
	l.insert.stamp = l.stamper(func(i int64) uint64 {
		return l.first + numbers[i-l.insert.rows] - l.raw.base
	})
	var ofWrite error
	batcher := connectors.NewBatcher(l.req.Columns, connectors.Limits{}, func(batch arrow.RecordBatch) error {
		ofWrite = l.insert.write(ctx, batch)
		numbers = numbers[:0]
		return ofWrite
	})
	defer batcher.Release()
	decoder, err := newRowDecoder(l.req.Columns, batcher.Builders)
	if err != nil {
		return err
	}
	sql := "SELECT " + ident(rawID) + ", " + ident(rawData) + " FROM " + qualified(l.raw.shadow)
	err = l.query(ctx, sql, func(rows driver.Rows) error {
		var id uint64
		var data string
		if err := rows.Scan(&id, &data); err != nil {
			return err
		}
		if err := decoder.row(data); err != nil {
			return err
		}
		numbers = append(numbers, id)
		return batcher.EndRow(len(data))
	})
	if err == nil {
		err = batcher.Flush()
	}
	if ofWrite != nil {
		return ofWrite
	}
	return err
}

// attachRaw makes the staging rows durable where they stay.
func (l *load) attachRaw(ctx context.Context) error {
	if err := l.exec(ctx, l.createRaw(l.req.Raw.Table, true)); err != nil {
		return err
	}
	return l.attachAll(ctx, l.req.Raw.Table, l.raw.shadow)
}

// rowDecoder reads rows as connectors.AppendRowJSON writes them: the fields
// stand in the order of the columns, without space between them.
type rowDecoder struct {
	columns []connectors.Column
	keys    []string // "name":
	cells   []func(text string) error
	nulls   []func()
}

func newRowDecoder(columns []connectors.Column, builders []array.Builder) (*rowDecoder, error) {
	d := &rowDecoder{columns: columns}
	for i, c := range columns {
		cell := textCell(c.Type, builders[i])
		if cell == nil {
			return nil, fmt.Errorf("column %q: a %s has no form in staging rows", c.Name, c.Type)
		}
		d.keys = append(d.keys, string(connectors.AppendJSONString(nil, c.Name))+":")
		d.cells = append(d.cells, cell)
		d.nulls = append(d.nulls, builders[i].AppendNull)
	}
	return d, nil
}

var errRow = errors.New("the staging row is not as it was written")

func (d *rowDecoder) row(data string) error {
	at, opening := 0, byte('{')
	for i, c := range d.columns {
		fault := func(err error) error { return &valueError{kind: connectors.KindType, column: c.Name, err: err} }
		if at >= len(data) || data[at] != opening || !strings.HasPrefix(data[at+1:], d.keys[i]) {
			if c.Type.Kind == connectors.JSON { // left out: it is NULL
				d.nulls[i]()
				continue
			}
			return fault(errRow)
		}
		opening = ','
		from := at + 1 + len(d.keys[i])
		at = skipJSON(data, from)
		if at < 0 || at >= len(data) || data[at] != ',' && data[at] != '}' {
			return fault(errRow)
		}
		text := data[from:at]
		nested := c.Type.Kind == connectors.JSON || c.Type.Kind == connectors.Array
		switch {
		case text == "null" && c.Type.Kind != connectors.JSON:
			d.nulls[i]()
			continue
		case !nested && text[0] == '"':
			var err error
			if text, err = unquoteJSON(text); err != nil {
				return fault(err)
			}
		}
		if err := d.cells[i](text); err != nil {
			return fault(err)
		}
	}
	if opening == '{' {
		at++ // every column was left out
	}
	if data[at:] != "}" {
		return errRow
	}
	return nil
}

// skipJSON finds the end of the value at from, with the space around it; -1
// when it has none.
func skipJSON(s string, from int) int {
	depth := 0
	for i := from; i < len(s); i++ {
		switch s[i] {
		case '"':
			for i++; i < len(s) && s[i] != '"'; i++ {
				if s[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
		case '}', ']', ',':
			if depth == 0 {
				if i == from {
					return -1
				}
				return i
			}
			if s[i] != ',' {
				depth--
			}
		}
	}
	return -1
}

// unquoteJSON undoes AppendJSONString.
func unquoteJSON(s string) (string, error) {
	if strings.IndexByte(s, '\\') < 0 {
		return s[1 : len(s)-1], nil
	}
	var text string
	err := json.Unmarshal([]byte(s), &text)
	return text, err
}

// textCell appends a value given in canonical text.
func textCell(t connectors.Type, builder array.Builder) func(text string) error {
	switch b := builder.(type) {
	case *array.BooleanBuilder:
		return func(text string) error {
			v, err := strconv.ParseBool(text)
			b.Append(v)
			return err
		}
	case *array.Int8Builder:
		return signed(8, func(v int64) { b.Append(int8(v)) })
	case *array.Int16Builder:
		return signed(16, func(v int64) { b.Append(int16(v)) })
	case *array.Int32Builder:
		return signed(32, func(v int64) { b.Append(int32(v)) })
	case *array.Int64Builder:
		return signed(64, b.Append)
	case *array.Uint8Builder:
		return unsigned(8, func(v uint64) { b.Append(uint8(v)) })
	case *array.Uint16Builder:
		return unsigned(16, func(v uint64) { b.Append(uint16(v)) })
	case *array.Uint32Builder:
		return unsigned(32, func(v uint64) { b.Append(uint32(v)) })
	case *array.Uint64Builder:
		return unsigned(64, b.Append)
	case *array.Float32Builder:
		return floating(32, func(v float64) { b.Append(float32(v)) })
	case *array.Float64Builder:
		return floating(64, b.Append)
	case *array.Decimal128Builder:
		return func(text string) error {
			v, err := connectors.ParseDecimal128(text, t.Precision, t.Scale)
			b.Append(v)
			return err
		}
	case *array.Decimal256Builder:
		return func(text string) error {
			v, err := connectors.ParseDecimal256(text, t.Precision, t.Scale)
			b.Append(v)
			return err
		}
	case *array.StringBuilder:
		return func(text string) error { b.Append(text); return nil }
	case *array.BinaryBuilder:
		return func(text string) error {
			v, err := base64.StdEncoding.DecodeString(text)
			b.Append(v)
			return err
		}
	case *array.Date32Builder:
		return func(text string) error {
			v, err := connectors.ParseDate(text)
			b.Append(v)
			return err
		}
	case *array.TimestampBuilder:
		return func(text string) error {
			v, _, err := connectors.ParseTimestamp(text)
			b.Append(v)
			return err
		}
	case *array.Time64Builder:
		return func(text string) error {
			v, err := connectors.ParseTime(text)
			b.Append(v)
			return err
		}
	case *array.FixedSizeBinaryBuilder:
		return func(text string) error {
			v, err := uuid.Parse(text)
			b.Append(v[:])
			return err
		}
	}
	return nil
}

func signed(bits int, add func(int64)) func(string) error {
	return func(text string) error {
		v, err := strconv.ParseInt(text, 10, bits)
		add(v)
		return err
	}
}

func unsigned(bits int, add func(uint64)) func(string) error {
	return func(text string) error {
		v, err := strconv.ParseUint(text, 10, bits)
		add(v)
		return err
	}
}

func floating(bits int, add func(float64)) func(string) error {
	return func(text string) error {
		v, err := strconv.ParseFloat(strings.Replace(text, "Infinity", "Inf", 1), bits)
		add(v)
		return err
	}
}
