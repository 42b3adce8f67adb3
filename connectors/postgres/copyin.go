package postgres

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	chunkSize  = 256 << 10 // what Write hands over at once
	chunkCount = 3         // being filled, waiting, being sent
)

var errAborted = errors.New("the load was aborted")

// copyIn is a COPY FROM STDIN running beside the goroutine that feeds it. It
// owns the connection until wait or abort has returned.
type copyIn struct {
	full   chan []byte // chunks on their way to the server
	free   chan []byte // chunks to be filled again
	done   chan struct{}
	cancel context.CancelFunc
	tag    pgconn.CommandTag
	err    error // after done

	cur, rest []byte // of the reader: the chunk being sent, and what is left of it
	end       error  // what Read gives after the last chunk; set before full is closed
}

// startCopy begins a COPY. It outlives ctx, whose values it keeps: only abort
// ends it early.
func startCopy(ctx context.Context, conn *pgconn.PgConn, sql string) *copyIn {
	c := &copyIn{full: make(chan []byte, 1), free: make(chan []byte, chunkCount), done: make(chan struct{}), end: io.EOF}
	for range chunkCount {
		c.free <- nil
	}
	ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(c.done)
		c.tag, c.err = conn.CopyFrom(ctx, c, sql)
	}()
	return c
}

// buffer waits for a chunk to fill.
func (c *copyIn) buffer(ctx context.Context) ([]byte, error) {
	select {
	case b := <-c.free:
		if b == nil {
			b = make([]byte, 0, chunkSize+chunkSize/4)
		}
		return b[:0], nil
	case <-c.done:
		return nil, c.failure()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// send hands a chunk over.
func (c *copyIn) send(ctx context.Context, chunk []byte) error {
	select {
	case c.full <- chunk:
		return nil
	case <-c.done:
		return c.failure()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *copyIn) failure() error {
	if c.err == nil {
		return errors.New("the server ended the COPY early")
	}
	return c.err
}

// Read gives the driver the next bytes.
func (c *copyIn) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		if cap(c.cur) > 0 {
			if cap(c.cur) > 4*chunkSize {
				c.cur = nil // one huge row should not stay for ever
			}
			c.free <- c.cur
			c.cur = nil
		}
		chunk, ok := <-c.full
		if !ok {
			return 0, c.end
		}
		c.cur, c.rest = chunk, chunk
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// wait ends the data and gives the number of rows that the server took.
func (c *copyIn) wait(ctx context.Context) (int64, error) {
	close(c.full)
	select {
	case <-c.done:
	case <-ctx.Done():
		c.cancel()
		<-c.done
	}
	c.cancel()
	return c.tag.RowsAffected(), c.err
}

// abort makes the server drop what it took. The connection survives if the
// server answers in time.
func (c *copyIn) abort() {
	c.end = errAborted
	close(c.full)
	timer := time.NewTimer(cancelGrace / 2)
	defer timer.Stop()
	select {
	case <-c.done:
	case <-timer.C:
	}
	c.cancel()
	<-c.done
}
