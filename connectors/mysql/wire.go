package mysql

import (
	"context"
	sqldriver "database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	driver "github.com/go-sql-driver/mysql"
)

const maxWirePacket = 1<<24 - 1

var errProtocol = errors.New("the server's answer breaks the protocol")

// rows is a result set in the text protocol. next gives the fields of one row,
// nil for NULL, valid until the next call; at the end io.EOF.
type rows interface {
	next(fields [][]byte) (size int, err error)
	close() error
}

// stream starts a query for reading many rows. On a plain connection the rows
// come from the socket itself; the driver boxes every value, which costs more
// than decoding it.
func (ss *session) stream(ctx context.Context, statement string) (rows, error) {
	if ss.plain && len(statement) < maxWirePacket-1 {
		w := &wireRows{conn: ss.socket}
		err := w.start(statement)
		return w, err
	}
	r, err := ss.conn.(sqldriver.QueryerContext).QueryContext(context.WithoutCancel(ctx), statement, nil)
	if err != nil {
		return nil, err
	}
	return &driverRows{rows: r, values: make([]sqldriver.Value, len(r.Columns()))}, nil
}

// wireRows reads a result set of COM_QUERY from the socket. The driver is idle
// meanwhile: the protocol is synchronous, so that nothing of its own is under way.
type wireRows struct {
	conn *bufferedConn
	big  []byte // a packet that does not fit the read buffer
	seq  byte
}

func (w *wireRows) start(statement string) error {
	packet := make([]byte, 5, 5+len(statement))
	n := len(statement) + 1
	packet[0], packet[1], packet[2], packet[4] = byte(n), byte(n>>8), byte(n>>16), 3 // COM_QUERY
	if _, err := w.conn.Conn.Write(append(packet, statement...)); err != nil {
		return err
	}
	w.seq = 1
	p, err := w.packet()
	if err != nil {
		return err
	}
	switch p[0] {
	case 0xff:
		return serverError(p)
	case 0x00, 0xfb:
		return errProtocol // no result set, or a request for a file
	}
	columns, _, ok := lengthEncoded(p)
	if !ok {
		return errProtocol
	}
	for range columns {
		if _, err := w.packet(); err != nil {
			return err
		}
	}
	// Servers without CLIENT_DEPRECATE_EOF close the column list with a packet of its own.
	if p, err = w.peek(); err != nil {
		return err
	}
	if len(p) == 5 && p[0] == 0xfe {
		_, err = w.packet()
	}
	return err
}

func (w *wireRows) next(fields [][]byte) (int, error) {
	p, err := w.packet()
	if err != nil {
		return 0, err
	}
	size := len(p)
	switch {
	case p[0] == 0xff:
		return 0, serverError(p)
	case p[0] == 0xfe && size < maxWirePacket:
		return 0, io.EOF
	}
	for i := range fields {
		if len(p) == 0 {
			return 0, errProtocol
		}
		n := uint64(p[0])
		switch {
		case n < 0xfb:
			p = p[1:]
		case n == 0xfb:
			fields[i], p = nil, p[1:]
			continue
		default:
			var ok bool
			if n, p, ok = lengthEncoded(p); !ok {
				return 0, errProtocol
			}
		}
		if n > uint64(len(p)) {
			return 0, errProtocol
		}
		fields[i], p = p[:n:n], p[n:]
	}
	return size, nil
}

func (w *wireRows) close() error { return nil }

// fill makes n unread bytes available in the read buffer, which must be large enough.
func (w *wireRows) fill(n int) error {
	c := w.conn
	if c.w-c.r >= n {
		return nil
	}
	if len(c.buf)-c.r < n {
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
	}
	for c.w-c.r < n {
		m, err := c.Conn.Read(c.buf[c.w:])
		c.w += m
		if m == 0 && err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

func (w *wireRows) header() (size int, err error) {
	if err := w.fill(4); err != nil {
		return 0, err
	}
	h := w.conn.buf[w.conn.r:]
	return int(h[0]) | int(h[1])<<8 | int(h[2])<<16, nil
}

// packet gives the payload of the next packet, valid until the next call.
func (w *wireRows) packet() ([]byte, error) {
	size, err := w.header()
	if err != nil {
		return nil, err
	}
	c := w.conn
	if size == 0 {
		return nil, errProtocol
	}
	if size+4 <= len(c.buf) {
		if err := w.fill(size + 4); err != nil {
			return nil, err
		}
		if c.buf[c.r+3] != w.seq {
			return nil, errProtocol
		}
		w.seq++
		p := c.buf[c.r+4 : c.r+4+size]
		c.r += 4 + size
		return p, nil
	}
	w.big = w.big[:0]
	for {
		if err := w.fill(4); err != nil {
			return nil, err
		}
		if c.buf[c.r+3] != w.seq {
			return nil, errProtocol
		}
		w.seq++
		c.r += 4
		start := len(w.big)
		if cap(w.big) < start+size {
			w.big = append(make([]byte, 0, max(2*cap(w.big), start+size)), w.big...)
		}
		w.big = w.big[:start+size]
		if _, err := io.ReadFull(c, w.big[start:]); err != nil {
			return nil, err
		}
		if size < maxWirePacket {
			return w.big, nil
		}
		if size, err = w.header(); err != nil {
			return nil, err
		}
	}
}

// peek gives the next packet without consuming it when it is a short one, else nothing.
func (w *wireRows) peek() ([]byte, error) {
	size, err := w.header()
	if err != nil || size > 64 {
		return nil, err
	}
	if err := w.fill(size + 4); err != nil {
		return nil, err
	}
	return w.conn.buf[w.conn.r+4 : w.conn.r+4+size], nil
}

// lengthEncoded reads a length-encoded integer.
func lengthEncoded(p []byte) (n uint64, rest []byte, ok bool) {
	width := 0
	switch p[0] {
	case 0xfc:
		width = 2
	case 0xfd:
		width = 3
	case 0xfe:
		width = 8
	case 0xfb, 0xff:
		return 0, nil, false
	default:
		return uint64(p[0]), p[1:], true
	}
	if len(p) < 1+width {
		return 0, nil, false
	}
	for i := width; i > 0; i-- {
		n = n<<8 | uint64(p[i])
	}
	return n, p[1+width:], true
}

func serverError(p []byte) error {
	if len(p) < 3 {
		return errProtocol
	}
	e := &driver.MySQLError{Number: binary.LittleEndian.Uint16(p[1:3])}
	p = p[3:]
	if len(p) >= 6 && p[0] == '#' {
		copy(e.SQLState[:], p[1:6])
		p = p[6:]
	}
	e.Message = string(p)
	return e
}

// driverRows are the rows of an encrypted connection, as the driver gives them.
type driverRows struct {
	rows    sqldriver.Rows
	values  []sqldriver.Value
	scratch []byte
}

func (d *driverRows) next(fields [][]byte) (size int, err error) {
	if err := d.rows.Next(d.values); err != nil {
		return 0, err
	}
	d.scratch = d.scratch[:0]
	if cap(d.scratch) < 32*len(fields) {
		d.scratch = make([]byte, 0, 32*len(fields)) // numbers below never outgrow it, so that fields stay valid
	}
	for i, v := range d.values {
		start := len(d.scratch)
		switch v := v.(type) {
		case nil:
			fields[i] = nil
			continue
		case []byte:
			if v == nil {
				v = d.scratch[start:start]
			}
			fields[i] = v
			size += len(v)
			continue
		case int64:
			d.scratch = strconv.AppendInt(d.scratch, v, 10)
		case uint64:
			d.scratch = strconv.AppendUint(d.scratch, v, 10)
		case float64:
			d.scratch = strconv.AppendFloat(d.scratch, v, 'g', -1, 64)
		case float32:
			d.scratch = strconv.AppendFloat(d.scratch, float64(v), 'g', -1, 32)
		default:
			return 0, fmt.Errorf("the driver gave a %T", v)
		}
		fields[i] = d.scratch[start:]
		size += len(fields[i])
	}
	return size, nil
}

func (d *driverRows) close() error { return d.rows.Close() }

// parseInt reads a decimal integer; ok is false when it is none or leaves [lo, hi].
func parseInt(b []byte, lo, hi int64) (int64, bool) {
	neg := len(b) > 0 && b[0] == '-'
	if neg {
		b = b[1:]
	}
	u, ok := parseUint(b, math.MaxUint64)
	if !ok || u > 1<<63 || u == 1<<63 && !neg {
		return 0, false
	}
	v := int64(u)
	if neg {
		v = -v
	}
	return v, v >= lo && v <= hi
}

func parseUint(b []byte, hi uint64) (uint64, bool) {
	if len(b) == 0 || len(b) > 20 {
		if len(b) > 20 { // zerofill
			for len(b) > 20 && b[0] == '0' {
				b = b[1:]
			}
		}
		if len(b) == 0 || len(b) > 20 {
			return 0, false
		}
	}
	var v uint64
	for i, c := range b {
		d := uint64(c - '0')
		if d > 9 {
			return 0, false
		}
		if i == 19 && (v > math.MaxUint64/10 || v*10 > math.MaxUint64-d) {
			return 0, false
		}
		v = v*10 + d
	}
	return v, v <= hi
}
