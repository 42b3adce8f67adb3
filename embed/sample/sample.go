// Package sample makes the shop that `arus demo` copies: a SQLite file with the
// shapes that make copying hard (ties, soft deletes, decimals, JSON, many
// scripts, NULLs, a composite key, an append-only table), the same for everyone.
package sample

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite" // the "sqlite" driver
)

// DefaultRows is how many rows the shop has in all when nothing else is said.
const DefaultRows = 250_000

const (
	minRows = 100
	maxRows = 100_000_000
	seed    = 0x61727573 // of every generator; a round adds itself
)

const schema = `
CREATE TABLE customers (
  id INTEGER PRIMARY KEY,
  email TEXT NOT NULL,
  name TEXT NOT NULL,
  country CHAR(2) NOT NULL,
  phone VARCHAR(32),
  birth_date DATE,
  newsletter BOOLEAN NOT NULL,
  credit_limit DECIMAL(12,2),
  preferences JSON,
  created_at TIMESTAMP NOT NULL,
  updated_at TIMESTAMP NOT NULL,
  deleted_at TIMESTAMP
);
CREATE TABLE products (
  id INTEGER PRIMARY KEY,
  sku VARCHAR(16) NOT NULL,
  name TEXT NOT NULL,
  description TEXT,
  price DECIMAL(12,2) NOT NULL,
  weight_kg DOUBLE,
  active BOOLEAN NOT NULL,
  released_on DATE,
  attributes JSON NOT NULL,
  thumbnail BLOB,
  created_at TIMESTAMP NOT NULL,
  updated_at TIMESTAMP NOT NULL,
  deleted_at TIMESTAMP
);
CREATE TABLE orders (
  id INTEGER PRIMARY KEY,
  customer_id INTEGER NOT NULL REFERENCES customers (id),
  status TEXT NOT NULL,
  total DECIMAL(12,2) NOT NULL,
  currency CHAR(3) NOT NULL,
  gift BOOLEAN NOT NULL,
  note TEXT,
  shipping JSON,
  ordered_on DATE NOT NULL,
  created_at TIMESTAMP NOT NULL,
  updated_at TIMESTAMP NOT NULL,
  deleted_at TIMESTAMP
);
CREATE TABLE order_items (
  order_id INTEGER NOT NULL REFERENCES orders (id),
  line_no INTEGER NOT NULL,
  product_id INTEGER NOT NULL REFERENCES products (id),
  quantity INTEGER NOT NULL,
  unit_price DECIMAL(12,2) NOT NULL,
  discount DECIMAL(12,2),
  created_at TIMESTAMP NOT NULL,
  updated_at TIMESTAMP NOT NULL,
  PRIMARY KEY (order_id, line_no)
) WITHOUT ROWID;
CREATE TABLE events (
  id INTEGER PRIMARY KEY,
  customer_id INTEGER REFERENCES customers (id),
  kind TEXT NOT NULL,
  payload JSON,
  created_at TIMESTAMP NOT NULL
);`

// indexes are made after the rows, which is faster.
const indexes = `
CREATE UNIQUE INDEX customers_email ON customers (email);
CREATE UNIQUE INDEX products_sku ON products (sku);
CREATE INDEX orders_updated_at ON orders (updated_at);`

// Tables lists the shop's tables, referenced ones first.
func Tables() []string {
	return []string{"customers", "products", "orders", "order_items", "events"}
}

// Create writes a shop of rows rows in all (DefaultRows when not positive, 100
// at least) to path. The file appears whole or not at all; one that is already
// there stays as it is and is an fs.ErrExist.
func Create(ctx context.Context, path string, rows int) error {
	if rows <= 0 {
		rows = DefaultRows
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("create the sample shop: %w", &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist})
	}
	part := path + ".part"
	err := writeFile(ctx, part, min(max(rows, minRows), maxRows))
	if err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		_ = os.Remove(part)
		return fmt.Errorf("create the sample shop: %w", err)
	}
	return nil
}

// writeFile makes the whole database without a journal, since a file that was
// not finished is never used, and then makes it durable.
func writeFile(ctx context.Context, path string, rows int) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	db, err := open(path, "_pragma=journal_mode(off)&_pragma=synchronous(off)&_pragma=locking_mode(exclusive)&_pragma=cache_size(-8192)")
	if err != nil {
		return err
	}
	err = fill(ctx, db, rows)
	if closeErr := db.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	err = f.Sync()
	return errors.Join(err, f.Close())
}

func open(path, query string) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	p := filepath.ToSlash(abs)
	if !strings.HasPrefix(p, "/") {
		p = "/" + p // a Windows drive
	}
	u := url.URL{Scheme: "file", Path: p, RawQuery: query}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// sizes says how many rows each table gets; they add up to rows.
type sizes struct {
	customers, products, orders, items, events int
}

func sizesOf(rows int) sizes {
	s := sizes{customers: rows * 6 / 100, products: rows * 2 / 100, orders: rows * 22 / 100, events: rows * 20 / 100}
	s.items = rows - s.customers - s.products - s.orders - s.events
	return s
}

// fill makes the tables and their first rows in one transaction.
func fill(ctx context.Context, db *sql.DB, rows int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, schema); err != nil {
		return err
	}
	s := sizesOf(rows)
	g := newGenerator(0)
	for _, step := range []func(context.Context, *sql.Tx, *generator, sizes) error{fillCustomers, fillProducts, fillOrders, fillEvents} {
		if err := step(ctx, tx, g, s); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, indexes); err != nil {
		return err
	}
	return tx.Commit()
}

// updated is when the i-th of n rows was last touched: some time after its
// creation, often on a full hour that others share, and for the first and the
// last few rows the very end of the initial data, so that the highest
// watermark is a tie.
func (g *generator) updated(i, n int, created int64) int64 {
	if i == 0 || i >= n-4 {
		return lastStamp
	}
	at := min(created+g.rng.Int64N(60*day), lastStamp-day)
	if g.rng.IntN(6) == 0 {
		at -= at % hour
	}
	return max(at, created)
}

func fillCustomers(ctx context.Context, tx *sql.Tx, g *generator, s sizes) error {
	ins := newInserter(tx, "customers", customerColumns)
	defer ins.close()
	for i := range s.customers {
		created := spread(g.rng, i, s.customers)
		row := g.customer(i+1, created, g.updated(i, s.customers, created))
		if err := ins.add(ctx, row); err != nil {
			return err
		}
	}
	return ins.flush(ctx)
}

func fillProducts(ctx context.Context, tx *sql.Tx, g *generator, s sizes) error {
	ins := newInserter(tx, "products", productColumns)
	defer ins.close()
	for i := range s.products {
		created := spread(g.rng, i, s.products)
		row, price := g.product(i+1, created, g.updated(i, s.products, created))
		g.prices = append(g.prices, price)
		if err := ins.add(ctx, row); err != nil {
			return err
		}
	}
	return ins.flush(ctx)
}

func fillOrders(ctx context.Context, tx *sql.Tx, g *generator, s sizes) error {
	orders, items := newInserter(tx, "orders", orderColumns), newInserter(tx, "order_items", itemColumns)
	defer orders.close()
	defer items.close()
	left := s.items
	for i := range s.orders {
		created := spread(g.rng, i, s.orders)
		customer := 1 + g.rng.IntN(max(1, s.customers*i/s.orders)) // one who was there already
		lines := lineCount(g.rng, left, s.orders-i)
		left -= lines
		order, rows := g.order(i+1, customer, lines, created, g.updated(i, s.orders, created))
		if err := orders.add(ctx, order); err != nil {
			return err
		}
		for _, row := range rows {
			if err := items.add(ctx, row); err != nil {
				return err
			}
		}
	}
	return errors.Join(orders.flush(ctx), items.flush(ctx))
}

// lineCount shares out the lines left over the orders left: at least one each,
// twice the average at most, and all of them in the end.
func lineCount(rng *rand.Rand, lines, orders int) int {
	if orders == 1 {
		return lines
	}
	spare := lines - orders
	return 1 + min(rng.IntN(2*spare/orders+2), spare)
}

func fillEvents(ctx context.Context, tx *sql.Tx, g *generator, s sizes) error {
	ins := newInserter(tx, "events", eventColumns)
	defer ins.close()
	for i := range s.events {
		created := spread(g.rng, i, s.events)
		if i >= s.events-4 {
			created = lastStamp
		}
		if err := ins.add(ctx, g.event(i+1, s.customers, created)); err != nil {
			return err
		}
	}
	return ins.flush(ctx)
}
