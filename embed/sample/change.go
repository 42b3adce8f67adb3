package sample

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
)

// Counts is what a round of changes did to one table.
type Counts struct {
	Updated, Inserted, SoftDeleted int
}

// Changes counts by table.
type Changes map[string]Counts

// Total adds up the tables.
func (c Changes) Total() Counts {
	var sum Counts
	for _, n := range c {
		sum.Updated += n.Updated
		sum.Inserted += n.Inserted
		sum.SoftDeleted += n.SoftDeleted
	}
	return sum
}

// ErrRound is what Change gives for a round the shop has seen already.
var ErrRound = errors.New("the shop has had this round of changes")

// Round is the last round of changes the shop at path has had, 0 for none.
func Round(ctx context.Context, path string) (int, error) {
	db, err := openExisting(path)
	if err != nil {
		return 0, fmt.Errorf("read the sample shop's round: %w", err)
	}
	defer func() { _ = db.Close() }()
	var round int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&round); err != nil {
		return 0, fmt.Errorf("read the sample shop's round: %w", err)
	}
	return round, nil
}

// Change lets a day go by in the shop: in one transaction it updates, inserts
// and soft-deletes rows, all later than those of any round before. Round n
// (from 1) of the same shop always does the same.
func Change(ctx context.Context, path string, round int) (Changes, error) {
	changes, err := changeFile(ctx, path, round)
	if err != nil {
		return nil, fmt.Errorf("change the sample shop: %w", err)
	}
	return changes, nil
}

func openExisting(path string) (*sql.DB, error) {
	if _, err := os.Stat(path); err != nil { // SQLite would make it
		return nil, err
	}
	return open(path, "mode=rw&_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=foreign_keys(on)")
}

func changeFile(ctx context.Context, path string, round int) (Changes, error) {
	db, err := openExisting(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }()
	var last int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&last); err != nil {
		return nil, err
	}
	if round <= last {
		return nil, fmt.Errorf("round %d after round %d: %w", round, last, ErrRound)
	}
	c := &changer{tx: tx, generator: newGenerator(round), at: lastStamp + int64(round)*day, changes: Changes{}}
	for _, step := range []func(context.Context) error{c.customers, c.products, c.orders, c.events} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", round)); err != nil {
		return nil, err
	}
	return c.changes, tx.Commit()
}

// changer is one round of changes.
type changer struct {
	*generator
	tx        *sql.Tx
	at        int64 // when the round happens
	changes   Changes
	lastBuyer int // the highest customer id
}

// now is the round's instant for about half of the rows, and a second or two
// later for the others.
func (c *changer) now() int64 { return c.at + second*int64(max(0, c.rng.IntN(5)-2)) }

// ids is a table's ids, in order.
// numbers is the one column of a query.
func numbers[T int | int64](ctx context.Context, tx *sql.Tx, query string) ([]T, error) {
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var list []T
	for rows.Next() {
		var n T
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, rows.Err()
}

func (c *changer) next(ctx context.Context, table string) (id int, err error) {
	err = c.tx.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) + 1 FROM "+table).Scan(&id)
	return id, err
}

// touch picks rows of a table that are not deleted, updates the first with
// update and soft-deletes the rest. About one row in a hundred changes and one
// in five hundred goes, but at least three and one.
func (c *changer) touch(ctx context.Context, table string, update func(ctx context.Context, id int, at string) error) error {
	ids, err := numbers[int](ctx, c.tx, "SELECT id FROM "+table+" WHERE deleted_at IS NULL ORDER BY id")
	if err != nil {
		return err
	}
	updates, deletes := max(3, len(ids)/100), max(1, len(ids)/500)
	for i := range min(updates+deletes, len(ids)) { // the first places of a shuffle
		j := i + c.rng.IntN(len(ids)-i)
		ids[i], ids[j] = ids[j], ids[i]
	}
	updates = min(updates, len(ids))
	deletes = min(deletes, len(ids)-updates)
	for _, id := range ids[:updates] {
		if err := update(ctx, id, c.stamp(c.now())); err != nil {
			return err
		}
	}
	for _, id := range ids[updates : updates+deletes] {
		if err := c.exec(ctx, "UPDATE "+table+" SET deleted_at = ?1, updated_at = ?1 WHERE id = ?2", c.stamp(c.now()), id); err != nil {
			return err
		}
	}
	n := c.changes[table]
	n.Updated += updates
	n.SoftDeleted += deletes
	c.changes[table] = n
	return nil
}

func (c *changer) exec(ctx context.Context, query string, args ...any) error {
	_, err := c.tx.ExecContext(ctx, query, args...)
	return err
}

// insert adds count rows that newRow gives, with ids that go on from the highest.
func (c *changer) insert(ctx context.Context, table string, columns []string, count int, newRow func(id int, at int64) []any) error {
	id, err := c.next(ctx, table)
	if err != nil {
		return err
	}
	ins := newInserter(c.tx, table, columns)
	defer ins.close()
	for i := range count {
		if err := ins.add(ctx, newRow(id+i, c.now())); err != nil {
			return err
		}
	}
	n := c.changes[table]
	n.Inserted += count
	c.changes[table] = n
	return ins.flush(ctx)
}

func (c *changer) customers(ctx context.Context) error {
	err := c.touch(ctx, "customers", func(ctx context.Context, id int, at string) error {
		return c.exec(ctx, "UPDATE customers SET newsletter = NOT newsletter, credit_limit = ?, preferences = ?, updated_at = ? WHERE id = ?",
			c.or(4, money(int64(c.rng.IntN(2_000_000)))), c.or(4, c.preferences("en")), at, id)
	})
	if err != nil {
		return err
	}
	if c.lastBuyer, err = c.next(ctx, "customers"); err != nil {
		return err
	}
	count := max(2, c.lastBuyer/200)
	c.lastBuyer += count - 1
	return c.insert(ctx, "customers", customerColumns, count, func(id int, at int64) []any { return c.customer(id, at, at) })
}

func (c *changer) products(ctx context.Context) error {
	err := c.touch(ctx, "products", func(ctx context.Context, id int, at string) error {
		return c.exec(ctx, "UPDATE products SET price = ?, active = NOT active, updated_at = ? WHERE id = ?",
			money(int64(99+c.rng.IntN(60_000))), at, id)
	})
	if err != nil {
		return err
	}
	count, err := c.next(ctx, "products")
	if err != nil {
		return err
	}
	err = c.insert(ctx, "products", productColumns, max(2, count/500), func(id int, at int64) []any {
		row, _ := c.product(id, at, at)
		return row
	})
	if err != nil {
		return err
	}
	c.prices, err = numbers[int64](ctx, c.tx, "SELECT CAST(round(price * 100) AS INTEGER) FROM products ORDER BY id")
	return err
}

// orders moves orders on, adds one to the first line of every second of them,
// and takes new orders.
func (c *changer) orders(ctx context.Context) error {
	lines := 0
	err := c.touch(ctx, "orders", func(ctx context.Context, id int, at string) error {
		if lines++; lines%2 == 0 {
			return c.exec(ctx, "UPDATE orders SET status = ?, updated_at = ? WHERE id = ?", pick(c.generator, statuses), at, id)
		}
		if err := c.exec(ctx, "UPDATE order_items SET quantity = quantity + 1, updated_at = ? WHERE order_id = ? AND line_no = 1", at, id); err != nil {
			return err
		}
		return c.exec(ctx, `UPDATE orders SET status = ?1, updated_at = ?2, total =
			(SELECT round(sum(quantity * unit_price - coalesce(discount, 0)), 2) FROM order_items WHERE order_id = ?3)
			WHERE id = ?3`, pick(c.generator, statuses), at, id)
	})
	if err != nil {
		return err
	}
	id, err := c.next(ctx, "orders")
	if err != nil {
		return err
	}
	items := newInserter(c.tx, "order_items", itemColumns)
	defer items.close()
	var all [][]any
	err = c.insert(ctx, "orders", orderColumns, max(2, id/200), func(id int, at int64) []any {
		order, rows := c.order(id, 1+c.rng.IntN(c.lastBuyer), 1+c.rng.IntN(4), at, at)
		all = append(all, rows...)
		return order
	})
	if err != nil {
		return err
	}
	for _, row := range all {
		if err := items.add(ctx, row); err != nil {
			return err
		}
	}
	c.changes["order_items"] = Counts{Updated: (lines + 1) / 2, Inserted: len(all)}
	return items.flush(ctx)
}

func (c *changer) events(ctx context.Context) error {
	id, err := c.next(ctx, "events")
	if err != nil {
		return err
	}
	return c.insert(ctx, "events", eventColumns, max(5, id/100), func(id int, at int64) []any {
		return c.event(id, c.lastBuyer, at)
	})
}
