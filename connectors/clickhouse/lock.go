package clickhouse

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"

	"arus/connectors"
)

// The server has no locks, but it runs no two queries of one user with the same
// id at a time. A load's lock is an endless query whose id names the target: it
// ends with the connection, so the server lets go within a second when the
// program that held it is killed. It excludes loads by the same user on the same
// node; two users, or two nodes of a cluster, are not kept apart.

// lockQuery gives a row ten times a second, so that the server notices soon when
// nobody reads them.
const lockQuery = "SELECT sleep(0.1) FROM system.numbers"

// lockRetry is the time between two attempts at a lock that is held.
const lockRetry = 50 * time.Millisecond

// lockLinger is added to every wait: the server needs up to this to notice that
// the load before, which has ended, let go.
const lockLinger = time.Second

type lock struct {
	release func()
	lost    atomic.Bool
}

// takeLock waits for the target's lock for at most the given time.
func (d *db) takeLock(ctx context.Context, target connectors.TableRef, wait time.Duration) (*lock, error) {
	deadline := time.Now().Add(wait + lockLinger)
	for {
		l, err := d.tryLock(ctx, "arus-lock-"+targetHash(target))
		if err == nil || code(err) != codeQueryRunning {
			return l, err
		}
		if time.Now().After(deadline) {
			return nil, &connectors.Error{
				Kind: connectors.KindConflict, Op: opLoad, Object: target.String(),
				Err: errors.New("another load of this table is under way"), Hint: "wait for it to end, or stop the other Arus",
			}
		}
		if err := pause(ctx, lockRetry); err != nil {
			return nil, err
		}
	}
}

// tryLock starts the query. It outlives ctx: a cancelled load still cleans up
// under its lock.
func (d *db) tryLock(ctx context.Context, id string) (*lock, error) {
	pool, err := d.connect()
	if err != nil {
		return nil, err
	}
	settings := d.session()
	settings["max_block_size"] = 1
	settings["max_execution_time"] = 0
	held, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel) // while it is being taken
	rows, err := pool.Query(ch.Context(held, ch.WithQueryID(id), ch.WithSettings(settings)), lockQuery)
	stop()
	if err != nil {
		cancel()
		return nil, err
	}
	l := &lock{}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for rows.Next() {
		}
		l.lost.Store(true)
		_ = rows.Close()
	}()
	l.release = func() { // no KILL: the id may be the next holder's by then
		cancel()
		<-ended
	}
	return l, nil
}
