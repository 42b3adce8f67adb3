package mysql

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	driver "github.com/go-sql-driver/mysql"

	"arus/connectors"
)

const (
	chunkBytes     = 256 << 10 // what goes to the server at once
	statementBytes = 4 << 20   // an INSERT's length, where the server permits it
	loadBytes      = 64 << 20  // a LOAD DATA statement's share: a cluster limits what one transaction may bring
)

var errAborted = errors.New("the load was aborted")

// appender streams rows into one table: by LOAD DATA LOCAL INFILE, or by
// multi-row INSERTs where the server forbids it. Nothing starts before the
// first row.
type appender struct {
	ss      *session
	table   connectors.TableRef
	object  string              // the target's name, for errors
	columns []connectors.Column // of the batches
	json    bool                // the rows as one JSON column, _data
	careful bool                // nothing is sent before finish
	replace bool                // a later row replaces an earlier one of the same key
	fixed   [][2]string         // columns with one value for all rows, and that value as a literal

	file    *infile
	insert  bool // use INSERT
	buf     []byte
	pending int // rows in buf
	bytes   int // since the statement began
	sent    int64
	before  int64 // sent before the statement began
}

// write appends the rows of a batch, which stays the caller's.
func (a *appender) write(ctx context.Context, batch arrow.RecordBatch) error {
	if err := a.start(ctx); err != nil {
		return err
	}
	x := fieldSyntax
	if a.insert {
		x = literalSyntax
	}
	bind := x.rowsOf
	if a.json {
		bind = x.jsonRows
	}
	encode, err := bind(a.object, a.columns, batch)
	if err != nil {
		return err
	}
	if a.insert {
		return a.insertRows(ctx, encode, int(batch.NumRows()))
	}
	for i := range int(batch.NumRows()) {
		if a.buf, err = encode(a.buf, i); err != nil {
			return err
		}
		a.buf = append(a.buf, '\n')
		a.sent++
		if len(a.buf) < chunkBytes || a.careful {
			continue
		}
		if a.bytes += len(a.buf); a.bytes >= loadBytes {
			if err := a.finishFile(ctx); err != nil {
				return err
			}
			if err := a.start(ctx); err != nil {
				return err
			}
		} else if a.buf, err = a.file.send(ctx, a.buf); err != nil {
			return err
		}
	}
	return nil
}

func (a *appender) start(ctx context.Context) error {
	if a.file != nil || a.insert {
		return ctx.Err()
	}
	if !a.ss.flavour.local {
		a.insert = true
		return nil
	}
	f, err := startInfile(ctx, a.ss, a.loadData())
	if e, ok := errors.AsType[*driver.MySQLError](err); ok && (e.Number == 1148 || e.Number == 3948 || e.Number == 4166) {
		a.insert = true
		return nil
	}
	a.file = f
	return err
}

// finish waits until the server has taken every row and checks that it changed none.
func (a *appender) finish(ctx context.Context) error {
	switch {
	case a.insert:
		err := a.execInsert(ctx, len(a.buf))
		if err == nil {
			a.before = a.sent
		}
		return err
	case a.file == nil:
		return nil
	}
	return a.finishFile(ctx)
}

func (a *appender) finishFile(ctx context.Context) error {
	affected, err := a.file.finish(ctx, a.buf)
	a.file, a.buf, a.bytes = nil, nil, 0
	if err != nil {
		return err
	}
	if err := a.ss.warnings(ctx); err != nil {
		return err
	}
	if sent := a.sent - a.before; affected < sent || affected > sent && !a.replace {
		return fmt.Errorf("%d rows were sent and %d arrived", sent, affected)
	}
	a.before = a.sent
	return nil
}

// forget drops the rows since the last finish. Those that the server has already are the caller's to undo.
func (a *appender) forget(ctx context.Context) (err error) {
	if a.file != nil {
		_, err = a.file.finish(ctx, nil)
	}
	a.file, a.buf, a.pending, a.bytes, a.sent = nil, nil, 0, 0, a.before
	return err
}

// abort ends what is under way.
func (a *appender) abort() {
	if a.file != nil {
		a.file.abort()
		a.file = nil
	}
}

// names lists the columns that a row's fields go to.
func (a *appender) names() []string {
	if a.json {
		return []string{rawData}
	}
	return connectors.ColumnNames(a.columns)
}

func (a *appender) loadData() func(reader string) string {
	var fields, sets []string
	for i, name := range a.names() {
		// The file is in utf8mb4, which would garble bytes: they come in hexadecimal digits.
		if !a.json && a.columns[i].Type.Kind == connectors.Bytes {
			v := fmt.Sprintf("@arus%d", i)
			fields = append(fields, v)
			sets = append(sets, ident(name)+" = UNHEX("+v+")")
			continue
		}
		fields = append(fields, ident(name))
	}
	for _, f := range a.fixed {
		sets = append(sets, ident(f[0])+" = "+f[1])
	}
	set := ""
	if len(sets) > 0 {
		set = " SET " + strings.Join(sets, ", ")
	}
	replace := ""
	if a.replace {
		replace = " REPLACE"
	}
	return func(reader string) string {
		return "LOAD DATA LOCAL INFILE " + literal("Reader::"+reader) + replace + " INTO TABLE " + qualified(a.table) +
			` CHARACTER SET utf8mb4 FIELDS TERMINATED BY x'09' ENCLOSED BY '' ESCAPED BY x'5C' LINES TERMINATED BY x'0A' (` +
			strings.Join(fields, ", ") + ")" + set
	}
}

// insertRows collects rows into INSERT statements that stay below the server's packet limit.
func (a *appender) insertRows(ctx context.Context, encode rowEncoder, n int) error {
	limit := statementBytes
	if p := a.ss.flavour.maxPacket - 1024; p < limit {
		limit = p
	}
	var tail strings.Builder
	for _, f := range a.fixed {
		tail.WriteString("," + f[1])
	}
	tail.WriteString(")")
	for i := range n {
		if len(a.buf) == 0 {
			a.buf = append(a.buf, a.insertHead()...)
		}
		start := len(a.buf)
		if a.pending > 0 {
			a.buf = append(a.buf, ',')
		}
		a.buf = append(a.buf, '(')
		var err error
		if a.buf, err = encode(a.buf, i); err != nil {
			return err
		}
		a.buf = append(a.buf, tail.String()...)
		a.sent++
		if len(a.buf) > limit && a.pending > 0 {
			row := append([]byte(nil), a.buf[start+1:]...)
			if err := a.execInsert(ctx, start); err != nil {
				return err
			}
			a.buf = append(append(a.buf, a.insertHead()...), row...)
		}
		a.pending++
	}
	return nil
}

func (a *appender) insertHead() string {
	verb := "INSERT"
	if a.replace {
		verb = "REPLACE"
	}
	names := a.names()
	for _, f := range a.fixed {
		names = append(names, f[0])
	}
	return verb + " INTO " + qualified(a.table) + " (" + connectors.QuoteList(names, '`') + ") VALUES "
}

// execInsert runs the first n bytes of the buffer, which hold all pending rows.
func (a *appender) execInsert(ctx context.Context, n int) error {
	if a.pending == 0 {
		return nil
	}
	affected, err := a.ss.exec(ctx, string(a.buf[:n]))
	if err != nil {
		return err
	}
	if affected < int64(a.pending) || affected > int64(a.pending) && !a.replace {
		return fmt.Errorf("%d rows were sent and %d arrived", a.pending, affected)
	}
	a.buf, a.pending = a.buf[:0], 0
	return a.ss.warnings(ctx)
}

// warnings makes an error of anything that the last statement changed silently:
// with LOCAL, LOAD DATA turns even errors into warnings.
func (ss *session) warnings(ctx context.Context) error {
	rows, err := ss.query(ctx, "SHOW WARNINGS LIMIT 16")
	if err != nil {
		return err
	}
	for _, r := range rows {
		var number uint16
		if _, err := fmt.Sscan(r[1].String, &number); err != nil {
			return err
		}
		if number == 1287 || number == 1681 { // deprecated syntax
			continue
		}
		return &driver.MySQLError{Number: number, Message: r[2].String}
	}
	return nil
}

// infile is a LOAD DATA statement in progress and the reader that feeds it.
type infile struct {
	full   chan []byte
	free   chan []byte
	cur    []byte // what the driver still has to send
	whole  []byte // cur's buffer
	asked  chan struct{}
	ask    sync.Once
	stop   chan struct{}
	cancel context.CancelFunc

	done     chan struct{} // closed when the statement has ended; then the rest is valid
	affected int64
	err      error
}

// startInfile returns when the server asks for the rows, or refuses to.
func startInfile(ctx context.Context, ss *session, statement func(reader string) string) (*infile, error) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &infile{
		full: make(chan []byte, 2), free: make(chan []byte, 4), asked: make(chan struct{}),
		stop: make(chan struct{}), done: make(chan struct{}), cancel: cancel,
	}
	reader := "arus_" + rand.Text()
	driver.RegisterReaderHandler(reader, func() io.Reader { return f })
	go func() {
		defer close(f.done)
		defer driver.DeregisterReaderHandler(reader)
		f.affected, f.err = ss.exec(own, statement(reader))
	}()
	select {
	case <-f.asked:
		return f, nil
	case <-f.done:
		cancel()
		if f.err == nil {
			f.err = errProtocol
		}
		return nil, f.err
	case <-ctx.Done():
		f.abort()
		return nil, ctx.Err()
	}
}

// Read gives the driver what to send.
func (f *infile) Read(p []byte) (int, error) {
	f.ask.Do(func() { close(f.asked) })
	for len(f.cur) == 0 {
		if f.whole != nil {
			f.free <- f.whole[:0] // never blocks: there are fewer buffers than places
			f.whole = nil
		}
		select {
		case b, ok := <-f.full:
			if !ok {
				return 0, io.EOF
			}
			f.cur, f.whole = b, b
		case <-f.stop:
			return 0, errAborted
		}
	}
	n := copy(p, f.cur)
	f.cur = f.cur[n:]
	return n, nil
}

// send hands a buffer over and gives an empty one back.
func (f *infile) send(ctx context.Context, b []byte) ([]byte, error) {
	select {
	case f.full <- b:
	case <-f.done:
		return b, f.ended()
	case <-ctx.Done():
		return b, ctx.Err()
	}
	select {
	case b = <-f.free:
		return b, nil
	default:
		return make([]byte, 0, chunkBytes+chunkBytes/4), nil
	}
}

func (f *infile) ended() error {
	if f.err == nil {
		return errProtocol // it ended before the last row
	}
	return f.err
}

// finish sends the last bytes and waits for the server's answer.
func (f *infile) finish(ctx context.Context, last []byte) (int64, error) {
	defer f.cancel()
	if len(last) > 0 {
		if _, err := f.send(ctx, last); err != nil {
			f.abort()
			return 0, err
		}
	}
	close(f.full)
	select {
	case <-f.done:
	case <-ctx.Done():
		f.cancel()
		<-f.done
		if f.err != nil {
			return 0, ctx.Err()
		}
	}
	return f.affected, f.err
}

func (f *infile) abort() {
	close(f.stop)
	f.cancel()
	<-f.done
}
