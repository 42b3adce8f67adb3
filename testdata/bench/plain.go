package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/parquet-go/parquet-go"
)

// order is a row as plain parquet-go takes it.
type order struct {
	ID         int64    `parquet:"id,zstd"`
	CustomerID int32    `parquet:"customer_id,zstd"`
	Quantity   int32    `parquet:"quantity,zstd"`
	Amount     int64    `parquet:"amount,decimal(2:12),zstd"`
	Status     string   `parquet:"status,dict,zstd"`
	Coupon     *string  `parquet:"coupon,optional,zstd"`
	Note       *string  `parquet:"note,optional,zstd"`
	Paid       bool     `parquet:"paid,zstd"`
	Rating     *float64 `parquet:"rating,optional,zstd"`
	OrderedOn  int32    `parquet:"ordered_on,date,zstd"`
	Attributes *string  `parquet:"attributes,optional,json,zstd"`
	UpdatedAt  int64    `parquet:"updated_at,timestamp(microsecond),zstd"`
}

// reader gives the orders by their key.
type reader func(ctx context.Context, each func(*order) error) error

func (b *bench) readPostgres(database string) reader {
	return func(ctx context.Context, each func(*order) error) error {
		return b.postgres(ctx, database, func(c *pgx.Conn) error {
			rows, err := c.Query(ctx, `SELECT id, customer_id, quantity, (amount * 100)::bigint, status, coupon, note, paid, rating, ordered_on - date '1970-01-01',
  attributes::text, (extract(epoch FROM updated_at) * 1000000)::bigint FROM orders ORDER BY id`)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var o order
				if err := rows.Scan(&o.ID, &o.CustomerID, &o.Quantity, &o.Amount, &o.Status, &o.Coupon, &o.Note, &o.Paid, &o.Rating, &o.OrderedOn, &o.Attributes, &o.UpdatedAt); err != nil {
					return err
				}
				if err := each(&o); err != nil {
					return err
				}
			}
			return rows.Err()
		})
	}
}

func readSQLite(path string) reader {
	return func(ctx context.Context, each func(*order) error) (err error) {
		db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		rows, err := db.QueryContext(ctx, "SELECT id, customer_id, quantity, amount, status, coupon, note, paid, rating, +ordered_on, attributes, +updated_at FROM orders ORDER BY id")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			var o order
			var amount float64
			var date, at string
			if err := rows.Scan(&o.ID, &o.CustomerID, &o.Quantity, &amount, &o.Status, &o.Coupon, &o.Note, &o.Paid, &o.Rating, &date, &o.Attributes, &at); err != nil {
				return err
			}
			day, err := time.Parse(time.DateOnly, date)
			moment, err2 := time.Parse("2006-01-02 15:04:05.999999", at)
			if err := errors.Join(err, err2); err != nil {
				return err
			}
			o.Amount, o.OrderedOn, o.UpdatedAt = int64(math.Round(amount*100)), int32(day.Unix()/86400), moment.UnixMicro()
			if err := each(&o); err != nil {
				return err
			}
		}
		return rows.Err()
	}
}

// plainParquet is what plain parquet-go takes to write the orders by their key: as they lie in memory, and
// read with the usual driver as they are written.
func (b *bench) plainParquet(read reader, by string, rows int64) []contender {
	path := b.path("plain.parquet")
	var held []order
	timed := func(work func() error) (s sample, err error) {
		s.Load = loadAverage()
		began, cpu := time.Now(), ownSeconds()
		err = work()
		s.Seconds, s.CPU = time.Since(began).Seconds(), ownSeconds()-cpu
		return s, err
	}
	check := func(context.Context) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		info, err := f.Stat()
		if err != nil {
			return errors.Join(err, f.Close())
		}
		p, err := parquet.OpenFile(f, info.Size())
		if err == nil && p.NumRows() != rows {
			err = fmt.Errorf("WRONG COPY: %d rows instead of %d", p.NumRows(), rows)
		}
		held = nil
		return errors.Join(err, f.Close(), os.Remove(path))
	}
	return []contender{
		{
			name: "plain parquet-go of rows that lie sorted in memory, with zstd",
			reset: func(ctx context.Context) error {
				held = make([]order, 0, rows)
				return read(ctx, func(o *order) error {
					held = append(held, *o)
					return nil
				})
			},
			run: func(context.Context) (sample, error) {
				defer debug.SetGCPercent(debug.SetGCPercent(1000)) // the rows in memory are not its own
				return timed(func() error {
					_, err := writeParquet(path, func(w *parquet.GenericWriter[order]) error {
						_, err := w.Write(held)
						return err
					})
					return err
				})
			},
			check: check,
		},
		{
			name: by + ", and plain parquet-go as the rows come",
			run: func(ctx context.Context) (sample, error) {
				return timed(func() error {
					_, err := writeParquet(path, func(w *parquet.GenericWriter[order]) error {
						some := make([]order, 0, 1024)
						err := read(ctx, func(o *order) error {
							if some = append(some, *o); len(some) < cap(some) {
								return nil
							}
							_, err := w.Write(some)
							some = some[:0]
							return err
						})
						_, err2 := w.Write(some)
						return errors.Join(err, err2)
					})
					return err
				})
			},
			check: check,
		},
	}
}
