package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	mongooptions "go.mongodb.org/mongo-driver/v2/mongo/options"
)

// The orders as documents: a decimal is a text, because the test server has no decimals.
const rowMongoDB = `concat_ws('|', _id, customer_id, quantity, amount::numeric(12,2), status, coalesce(coupon, '~'), coalesce(note, '~'),
  paid::int, coalesce(rating::numeric(12,3)::text, '~'), ordered_on::date, to_char(updated_at::timestamptz, 'YYYY-MM-DD HH24:MI:SS.MS'))`

// mongoToPg copies a fifth of the rows: 200,000 documents of 1,000,000 orders.
func mongoToPg(ctx context.Context, b *bench) (*job, error) {
	if b.mongodb == nil {
		return nil, fmt.Errorf("%w: %s_URL is not set: %s", errSkip, envMongoDB, why(envMongoDB))
	}
	rows := max(b.options.rows/5, 1)
	src, dst, _, err := both(ctx, b)
	if err != nil {
		return nil, err
	}
	client, err := mongo.Connect(mongooptions.Client().ApplyURI(b.mongodb.String()))
	if err != nil {
		return nil, err
	}
	database := b.name("src")
	docs := client.Database(database).Collection("orders")
	var want sum
	err = b.postgres(ctx, src, func(c *pgx.Conn) error {
		const hash = "SELECT count(*), coalesce(sum(('x' || left(md5(concat_ws('|', id, customer_id, quantity, amount, status, coalesce(coupon, '~'), coalesce(note, '~'), paid::int, " +
			"coalesce(rating::numeric(12,3)::text, '~'), ordered_on, to_char(date_trunc('milliseconds', updated_at), 'YYYY-MM-DD HH24:MI:SS.MS'))), 15))::bit(60)::bigint), 0)::text FROM orders WHERE id <= $1"
		if err := c.QueryRow(ctx, hash, rows).Scan(&want.rows, &want.hash); err != nil {
			return err
		}
		b.say("making %d documents", rows)
		return fillMongoDB(ctx, c, docs, rows)
	})
	end := func(ctx context.Context) error {
		return errors.Join(client.Database(database).Drop(ctx), client.Disconnect(ctx))
	}
	if err != nil {
		return nil, errors.Join(err, end(context.WithoutCancel(ctx)))
	}
	return &job{
		rows: want.rows, bytes: b.size / 5,
		floors: []contender{{
			name: "reading the cursor to nothing",
			run: func(ctx context.Context) (s sample, err error) {
				s.Load = loadAverage()
				began := time.Now()
				cursor, err := docs.Find(ctx, bson.D{}, mongooptions.Find().SetBatchSize(10_000))
				if err != nil {
					return s, err
				}
				var n int64
				for cursor.Next(ctx) {
					n++
				}
				s.Seconds = time.Since(began).Seconds()
				if n != rows {
					err = fmt.Errorf("the cursor had %d documents instead of %d", n, rows)
				}
				return s, errors.Join(err, cursor.Err(), cursor.Close(ctx))
			},
		}},
		arus: b.sync(b.mongodb.String()+database, b.postgresURL(dst), full, want.rows, b.noTargets(dst), func(ctx context.Context) error {
			var got sum
			err := b.postgres(ctx, dst, func(c *pgx.Conn) error {
				return c.QueryRow(ctx, "SELECT count(*), coalesce(sum(('x' || left(md5("+rowMongoDB+"), 15))::bit(60)::bigint), 0)::text FROM analytics.orders").Scan(&got.rows, &got.hash)
			})
			if err != nil {
				return err
			}
			return want.compare(got)
		}),
		end: func(ctx context.Context) error { return errors.Join(b.emptyTarget(dst)(ctx), end(ctx)) },
	}, nil
}

func fillMongoDB(ctx context.Context, c *pgx.Conn, docs *mongo.Collection, rows int64) error {
	found, err := c.Query(ctx, `SELECT id, customer_id, quantity, amount::text, status, coupon, note, paid, rating, ordered_on::text, updated_at FROM orders WHERE id <= $1 ORDER BY id`, rows)
	if err != nil {
		return err
	}
	defer found.Close()
	names := []string{"_id", "customer_id", "quantity", "amount", "status", "coupon", "note", "paid", "rating", "ordered_on", "updated_at"}
	var batch []any
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		_, err := docs.InsertMany(ctx, batch)
		batch = batch[:0]
		return err
	}
	for found.Next() {
		values, err := found.Values()
		if err != nil {
			return err
		}
		doc := make(bson.D, len(names))
		for i, name := range names {
			doc[i] = bson.E{Key: name, Value: values[i]}
		}
		if batch = append(batch, doc); len(batch) == 1000 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := found.Err(); err != nil {
		return err
	}
	return flush()
}
