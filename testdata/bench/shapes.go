package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// shape is a table that is unlike the orders: what is wide, narrow or long costs in other places.
type shape struct {
	name    string
	rows    int64
	columns string // of CREATE TABLE, without the key
	values  string // of the row i with its hash h
}

const wideColumns = 300

// wide is a table of 300 columns: integers, decimals, texts, times and nulls in turn.
func wide(rows int64) shape {
	types := []string{"integer", "numeric(12,2)", "text", "timestamptz", "double precision", "boolean"}
	values := []string{
		"(h / %d %% 100000)::int", "(h / %d %% 100000)::numeric(12,2) / 100", "'v' || h / %d %% 1000000",
		"timestamptz '2024-01-01 00:00:00+00' + (h / %d %% 10000000) * interval '1 second'", "(h / %d %% 4000)::float8 / 8", "h / %d %% 2 = 0",
	}
	var columns, fill []string
	for i := range wideColumns - 1 {
		columns = append(columns, fmt.Sprintf("c%03d %s", i+1, types[i%len(types)]))
		value := fmt.Sprintf(values[i%len(values)], i+1)
		if i%10 == 9 {
			value = "CASE WHEN h / 3 % 2 = 0 THEN " + value + " END"
		}
		fill = append(fill, value)
	}
	return shape{"wide", max(rows/30, 1), strings.Join(columns, ", "), strings.Join(fill, ", ")}
}

func narrow(rows int64) shape {
	return shape{"narrow", rows * 3, "value integer NOT NULL", "(h % 1000000)::int"}
}

// long is a table of texts of 2 KB.
func long(rows int64) shape {
	return shape{"text", max(rows/10, 1), "body text NOT NULL", "repeat(m, 64)"}
}

// shaped is the lane of a shape, from PostgreSQL to PostgreSQL.
func shaped(of func(rows int64) shape) func(context.Context, *bench) (*job, error) {
	return func(ctx context.Context, b *bench) (*job, error) {
		s := of(b.options.rows)
		src := b.name(s.name)
		b.say("making %d rows of the shape %s in PostgreSQL", s.rows, s.name)
		if err := b.createPostgres(ctx, src, ""); err != nil {
			return nil, err
		}
		table := "(id bigint NOT NULL, " + s.columns + ")"
		err := b.exec(ctx, src, "CREATE TABLE items "+table,
			fmt.Sprintf("INSERT INTO items SELECT i, "+strings.ReplaceAll(s.values, "%", "%%")+
				" FROM (SELECT i, i * 2654435761 %% 4294967291 AS h, md5(i::text) AS m FROM generate_series(1, %d::bigint) AS i) AS r", s.rows),
			"ALTER TABLE items ADD PRIMARY KEY (id)", "VACUUM (FREEZE, ANALYZE) items")
		if err != nil {
			return nil, err
		}
		dst, err := b.target(ctx)
		if err != nil {
			return nil, err
		}
		size, err := b.textBytes(ctx, src, "items")
		if err != nil {
			return nil, err
		}
		names := []string{"id"}
		for c := range strings.SplitSeq(s.columns, ", ") {
			names = append(names, strings.Fields(c)[0])
		}
		columns := strings.Join(names, ", ")
		want, err := b.sumOf(ctx, src, "items", columns)
		if err != nil {
			return nil, err
		}
		check := func(table string) func(context.Context) error {
			return func(ctx context.Context) error {
				got, err := b.sumOf(ctx, dst, table, columns)
				if err != nil {
					return err
				}
				return want.compare(got)
			}
		}
		floor := func(name, format string) contender {
			return contender{
				name: name,
				reset: func(ctx context.Context) error {
					return b.exec(ctx, dst, "DROP TABLE IF EXISTS floor_items", "CREATE TABLE floor_items "+table)
				},
				run: func(ctx context.Context) (sample, error) {
					return pipe(ctx, nil, b.psqlClient(src, "COPY (SELECT * FROM items) TO STDOUT"+format),
						b.psqlClient(dst, "COPY floor_items FROM STDIN"+format, "ALTER TABLE floor_items ADD PRIMARY KEY (id)"))
				},
				check: check("floor_items"),
			}
		}
		return &job{
			rows: want.rows, bytes: size,
			floors: []contender{floor("COPY text, then primary key", ""), floor("COPY binary, then primary key", " (FORMAT binary)")},
			arus:   b.sync(b.postgresURL(src), b.postgresURL(dst), full, want.rows, b.noTargets(dst), check("analytics.items")),
			end: func(ctx context.Context) error {
				if b.options.keep {
					return nil
				}
				delete(b.made, src)
				return errors.Join(b.exec(ctx, dst, "DROP TABLE IF EXISTS floor_items", "DROP SCHEMA IF EXISTS analytics CASCADE"), b.exec(ctx, "", "DROP DATABASE "+src+" WITH (FORCE)"))
			},
		}, nil
	}
}
