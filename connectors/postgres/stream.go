package postgres

import (
	"context"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// streamRows is how many rows are enough for an upsert of their own.
const streamRows = 16 << 10

// stream upserts rows while others are still on their way: the server's work on
// some goes on beside the reading of the next, in the one transaction. An upsert
// brings no less than an eighth of what came before it, so that they stay few
// however many rows there are.
type stream struct {
	waiting int64 // rows in the filling table, or on their way there
	brought int64 // rows that were upserted
	end     context.CancelFunc
	done    chan error // of the upsert under way; nil when there is none
}

// streams says whether the load's rows may be upserted as they come.
func (l *load) streams() bool {
	return l.req.Mode == connectors.Merge && l.req.Raw == nil && l.into == "" && (l.target == nil || !l.target.mark.Moves())
}

// writeStreaming sends a batch once the last upsert is over, and begins the next
// when there are enough rows for it.
func (l *load) writeStreaming(ctx context.Context, batch arrow.RecordBatch) error {
	if err := l.merged(ctx); err != nil {
		return err
	}
	if err := l.write(ctx, batch); err != nil {
		return err
	}
	s := l.stream
	if s.waiting += batch.NumRows(); s.waiting < max(streamRows, s.brought/8) {
		return nil
	}
	rows, err := l.finishCopy(ctx)
	if err != nil {
		return err
	}
	l.rows += rows
	s.brought += rows
	s.waiting = 0
	own, end := context.WithCancel(context.WithoutCancel(ctx)) // it goes on when the call is over
	s.end, s.done = end, make(chan error, 1)
	go func() {
		err := l.merge(own, qualified(l.req.Target))
		if err == nil {
			err = exec(own, l.conn, "TRUNCATE "+l.filling)
		}
		s.done <- err
	}()
	return nil
}

// merged waits until the connection is free of an upsert.
func (l *load) merged(ctx context.Context) error {
	s := l.stream
	if s == nil || s.done == nil {
		return nil
	}
	stop := context.AfterFunc(ctx, s.end)
	err := <-s.done
	stop()
	s.end()
	s.done = nil
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
