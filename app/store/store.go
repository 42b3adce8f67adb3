package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"
	_ "modernc.org/sqlite" // registers the driver

	"arus/embed"
)

// The files of a data directory that belong to the store.
const (
	FileName   = "arus.db"
	LockName   = "arus.lock"
	BackupsDir = "backups"
)

// Options are the choices of Open.
type Options struct {
	Now func() time.Time // the clock, time.Now when nil
}

// Store is the open state file. It is safe for concurrent use.
type Store struct {
	dir    string
	now    func() time.Time
	lock   *fileLock
	pools  []*sql.DB // in the order of their closing: the last one does the checkpoint, and must be able to write
	writer handle
	reader handle
	tx     *transaction // set inside Atomically

	changes *changes
}

// handle is what statements go through: a pool, or inside Atomically the one transaction.
type handle interface {
	querier
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) scanner
}

// Open makes the data directory and its state file when they are missing, takes the directory's lock, brings the tables up
// to date (after a backup copy, when there is something to lose) and returns the store. Errors are ErrLocked, ErrCorrupt,
// ErrTooNew or the reason the directory cannot be used; after an error nothing stays open or locked.
func Open(ctx context.Context, dir string, opts Options) (*Store, error) {
	steps, err := fs.Sub(embed.Migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("read the embedded migrations: %w", err)
	}
	return open(ctx, dir, opts, steps)
}

func open(ctx context.Context, dir string, opts Options, steps fs.FS) (_ *Store, err error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	dir, err = makeDir(dir)
	if err != nil {
		return nil, err
	}
	// Times are kept to the millisecond, so what a method returns equals what is read back later.
	s := &Store{dir: dir, now: func() time.Time { return opts.Now().UTC().Truncate(time.Millisecond) }}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.lock, err = acquire(dir); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, unfinishedName)); err == nil {
		return nil, fmt.Errorf("open the data directory %s: %w", dir, ErrUnfinishedRestore)
	}
	file := filepath.Join(dir, FileName)
	if err := makeFile(file); err != nil {
		return nil, fmt.Errorf("create the state file: %w", err)
	}
	writer, err := openPool(ctx, file, 1, writerPragmas, "immediate")
	if err != nil {
		return nil, fmt.Errorf("open the state file %s: %w", file, translate(err))
	}
	s.writer, s.pools = pool{writer, &changes{}}, []*sql.DB{writer}
	if err := s.migrate(ctx, writer, steps); err != nil {
		return nil, fmt.Errorf("bring the state file %s up to date: %w", file, translate(err))
	}
	reader, err := openPool(ctx, file, 4, readerPragmas, "deferred")
	if err != nil {
		return nil, fmt.Errorf("open the state file %s for reading: %w", file, translate(err))
	}
	s.pools = []*sql.DB{reader, writer}
	if s.changes, err = openChanges(ctx, reader); err != nil {
		return nil, fmt.Errorf("open the state file %s: %w", file, translate(err))
	}
	s.writer, s.reader = pool{writer, s.changes}, pool{reader, s.changes}
	return s, nil
}

// Close waits for running statements, folds the write-ahead log into the state file and gives up the directory. Closing twice is
// no error.
func (s *Store) Close() error {
	var errs []error
	for _, db := range s.pools {
		errs = append(errs, db.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.release())
	}
	return errors.Join(errs...)
}

// Dir returns the data directory as an absolute path.
func (s *Store) Dir() string { return s.dir }

// synchronous=FULL: what a person was told is saved outlives a power cut. Writes are few, their cost does not show.
var (
	writerPragmas = []string{"busy_timeout(5000)", "auto_vacuum(2)", "foreign_keys(1)", "journal_mode(WAL)", "synchronous(FULL)"}
	readerPragmas = []string{"busy_timeout(5000)", "foreign_keys(1)", "query_only(1)"}
)

func openPool(ctx context.Context, file string, size int, pragmas []string, txlock string) (*sql.DB, error) {
	path := filepath.ToSlash(file)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/data becomes file:///C:/data
	}
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{"_pragma": pragmas, "_txlock": {txlock}}.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	// A look at the schema makes SQLite read the file, so that a damaged one is noticed here.
	var n int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&n); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func makeDir(dir string) (string, error) {
	if dir == "" {
		return "", errors.New("open the data directory: no directory was given")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("open the data directory %s: %w", dir, err)
	}
	err = os.MkdirAll(abs, 0o700)
	if errors.Is(err, syscall.ENOTDIR) {
		return "", fmt.Errorf("open the data directory %s: it, or a part of its path, is a file and not a directory", abs)
	}
	if err == nil {
		_, err = os.ReadDir(abs)
	}
	if err != nil {
		return "", fmt.Errorf("open the data directory %s: %w", abs, err)
	}
	return abs, nil
}

// makeFile makes the file, or leaves an existing one as it is, for its owner only. SQLite gives its side files the same mode.
func makeFile(file string) error {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if runtime.GOOS != "windows" {
		err = f.Chmod(0o600)
	}
	return errors.Join(err, f.Close())
}

// Atomically runs fn with a store whose writes all happen together, when fn returns nil, or not at all. Its reads see what it
// wrote. Nothing else writes meanwhile, so fn must not wait for anything but the store it was given.
func (s *Store) Atomically(ctx context.Context, fn func(*Store) error) error {
	return s.write(ctx, func(tx *transaction) error {
		inner := *s
		inner.writer, inner.reader, inner.tx = tx, tx, tx
		return fn(&inner)
	})
}

// write runs fn in a transaction on the single writer: all of it happens, or nothing.
func (s *Store) write(ctx context.Context, fn func(*transaction) error) error {
	if s.tx != nil {
		return within(ctx, s.tx, fn)
	}
	return s.inTx(ctx, s.pools[len(s.pools)-1], nil, fn)
}

// read runs fn against one snapshot, so that several queries agree with each other.
func (s *Store) read(ctx context.Context, fn func(*transaction) error) error {
	if s.tx != nil {
		return fn(s.tx)
	}
	return s.inTx(ctx, s.pools[0], &sql.TxOptions{ReadOnly: true}, fn)
}

// within makes fn a part of a transaction that can fail on its own.
func within(ctx context.Context, tx *transaction, fn func(*transaction) error) error {
	if _, err := tx.ExecContext(ctx, "SAVEPOINT part"); err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		_, undo := tx.ExecContext(context.WithoutCancel(ctx), "ROLLBACK TO part")
		_, end := tx.ExecContext(context.WithoutCancel(ctx), "RELEASE part")
		return errors.Join(err, undo, end)
	}
	_, err := tx.ExecContext(ctx, "RELEASE part")
	return err
}

func (s *Store) inTx(ctx context.Context, db *sql.DB, opts *sql.TxOptions, fn func(*transaction) error) error {
	tx := &transaction{changes: s.changes, touched: map[int]bool{}}
	if seenOf(ctx) != nil {
		tx.at = s.changes.now()
	}
	var err error
	if tx.Tx, err = db.BeginTx(ctx, opts); err != nil {
		return err
	}
	defer func() {
		_ = tx.Rollback() // after a commit this does nothing
		tx.over()
	}()
	if err = fn(tx); err == nil {
		err = tx.Commit()
	}
	if errors.Is(err, sql.ErrTxDone) && ctx.Err() != nil { // the cancel has rolled it back already
		err = ctx.Err()
	}
	return err
}

// newID returns a UUIDv7: ids sort by the time they were made.
func newID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make an id: %w", err)
	}
	return id.String(), nil
}

// giveID fills an empty id.
func giveID(id *string) (err error) {
	if *id == "" {
		*id, err = newID()
	}
	return err
}
