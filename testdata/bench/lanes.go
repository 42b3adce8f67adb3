package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
)

const (
	full        = "full_refresh"
	incremental = "incremental"
)

// lanes is the whole list, in the order in which they run. The first floor of a lane is the one that its ratio is of.
func lanes() []lane {
	return []lane{
		{"pg-pg", "PostgreSQL to PostgreSQL, full refresh", pgToPg},
		{"pg-pg-3x", "the same with three times the rows: does memory grow?", pgToPgMemory},
		{"pg-pg-upsert", "a tenth of the rows changed, merged into the whole table", pgUpsert},
		{"pg-pg-nothing", "incremental with nothing new", pgNothing},
		{"pg-pg-many", "50 tables of 1,000 rows", many(50, 1000)},
		{"pg-pg-tiny", "1,000 tables of 100 rows", many(1000, 100)},
		{"pg-pg-tiny-nothing", "incremental over 1,000 tables with nothing new", nothingIn(1000, 100)},
		{"pg-pg-raw", "PostgreSQL to PostgreSQL by way of JSON in staging", pgToRaw},
		{"pg-pg-wide", fmt.Sprintf("a table of %d columns", wideColumns), shaped(wide)},
		{"pg-pg-narrow", "a table of two integers", shaped(narrow)},
		{"pg-pg-text", "a table of texts of 2 KB", shaped(long)},
		{"mariadb-pg", "MariaDB to PostgreSQL, full refresh", mariaToPg},
		{"pg-mariadb", "PostgreSQL to MariaDB, full refresh", pgToMaria},
		{"pg-clickhouse", "PostgreSQL to ClickHouse, full refresh", pgToClickHouse},
		{"mongodb-pg", "MongoDB's protocol to PostgreSQL, full refresh", mongoToPg},
		{"pg-embedded", "PostgreSQL to the built-in warehouse, full refresh", pgToEmbedded},
		{"sqlite-embedded", "SQLite to the built-in warehouse, full refresh", sqliteToEmbedded},
		{"serve", fmt.Sprintf("the server with %d pipelines that have nothing to do: ready, idle, looked at", idlePipelines), serving},
		{"warehouse-load", "the built-in warehouse: first load of a fact table, five times the rows over thirty days", warehouseLoad},
		{"warehouse-upsert", "the built-in warehouse: three times 200,000 rows of keys that it has, in the same table", warehouseUpserts},
		{"warehouse-query", "fifteen queries of the built-in warehouse over that table, and of plain SQLite", warehouseQueries},
	}
}

const (
	addKey   = "ALTER TABLE floor_orders ADD PRIMARY KEY (id)"
	addIndex = "CREATE INDEX ON floor_orders (updated_at)"
	copyText = "COPY floor_orders FROM STDIN"
)

// both prepares the databases of a copy from PostgreSQL to PostgreSQL.
func both(ctx context.Context, b *bench) (src, dst string, want sum, err error) {
	if src, want, err = b.orders(ctx); err != nil {
		return src, dst, want, err
	}
	if b.size == 0 {
		if b.size, err = b.textBytes(ctx, src, "orders"); err != nil {
			return src, dst, want, err
		}
	}
	dst, err = b.target(ctx)
	return src, dst, want, err
}

func pgToPg(ctx context.Context, b *bench) (*job, error) {
	src, dst, want, err := both(ctx, b)
	if err != nil {
		return nil, err
	}
	floor := func(name, format string, more ...string) contender {
		return contender{
			name:  name,
			reset: b.emptyFloor(dst),
			run: func(ctx context.Context) (sample, error) {
				return pipe(ctx, nil,
					b.psqlClient(src, "COPY (SELECT * FROM orders) TO STDOUT"+format),
					b.psqlClient(dst, append([]string{copyText + format}, more...)...))
			},
			check: b.checkPostgres(dst, "floor_orders", want),
		}
	}
	return &job{
		rows: want.rows, bytes: b.size,
		floors: []contender{
			floor("COPY text | COPY text, plain heap", ""),
			floor("COPY binary | COPY binary, plain heap", " (FORMAT binary)"),
			floor("COPY text, then primary key and index", "", addKey, addIndex),
			floor("COPY binary, then primary key", " (FORMAT binary)", addKey),
		},
		arus: b.sync(b.postgresURL(src), b.postgresURL(dst), full, want.rows, b.noTargets(dst), b.checkPostgres(dst, "analytics.orders", want)),
		end:  b.emptyTarget(dst),
	}, nil
}

func pgToPgMemory(ctx context.Context, b *bench) (*job, error) {
	src, err := b.source(ctx, "big", 3*b.options.rows)
	if err != nil {
		return nil, err
	}
	dst, err := b.target(ctx)
	if err != nil {
		return nil, err
	}
	want, err := b.sumPostgres(ctx, src, "orders")
	if err != nil {
		return nil, err
	}
	size, err := b.textBytes(ctx, src, "orders")
	if err != nil {
		return nil, err
	}
	return &job{
		rows: want.rows, bytes: size, runs: 1,
		arus: b.sync(b.postgresURL(src), b.postgresURL(dst), full, want.rows, b.noTargets(dst), b.checkPostgres(dst, "analytics.orders", want)),
		end: func(ctx context.Context) error {
			if err := b.emptyTarget(dst)(ctx); err != nil || b.options.keep {
				return err
			}
			delete(b.made, src)
			return b.exec(ctx, "", "DROP DATABASE "+src+" WITH (FORCE)")
		},
	}, nil
}

func pgUpsert(ctx context.Context, b *bench) (*job, error) {
	original, dst, _, err := both(ctx, b)
	if err != nil {
		return nil, err
	}
	src := b.name("changing")
	if err := b.createPostgres(ctx, src, original); err != nil {
		return nil, err
	}
	columns, err := b.columnNames(ctx, src)
	if err != nil {
		return nil, err
	}
	var set []string
	for _, c := range columns[1:] {
		set = append(set, c+" = excluded."+c)
	}
	// Both targets start as the whole table with its key; Arus's is its own first load.
	err = b.emptyFloor(dst)(ctx)
	if err == nil {
		_, err = pipe(ctx, nil, b.psqlClient(src, "COPY orders TO STDOUT (FORMAT binary)"), b.psqlClient(dst, copyText+" (FORMAT binary)", addKey, "VACUUM (ANALYZE) floor_orders"))
	}
	if err != nil {
		return nil, err
	}
	data, err := b.fresh()
	if err != nil {
		return nil, err
	}
	if err := b.noTargets(dst)(ctx); err != nil {
		return nil, err
	}
	if _, _, err := b.copy(ctx, data, b.postgresURL(src), b.postgresURL(dst), incremental); err != nil {
		return nil, err
	}
	if err := b.exec(ctx, dst, "VACUUM (ANALYZE) analytics.orders"); err != nil {
		return nil, err
	}

	rows := b.options.rows / 10
	var want sum
	var since string // the changes of this round are from here on
	check := func(table string) func(context.Context) error {
		return func(ctx context.Context) error { return b.checkPostgres(dst, table, want)(ctx) }
	}
	return &job{
		rows: rows, bytes: b.size / 10,
		// Another tenth in each round, with distinct times after all earlier ones.
		before: func(ctx context.Context, round int) (err error) {
			since = fmt.Sprintf("timestamptz '%d-01-01 00:00:00+00'", 2030+round)
			if err := b.exec(ctx, src, fmt.Sprintf("UPDATE orders SET amount = amount + 1, updated_at = %s + id * interval '1.000001 second' WHERE id %% 10 = %d AND id <= %d", since, round%10, rows*10),
				"VACUUM (ANALYZE) orders"); err != nil {
				return err
			}
			want, err = b.sumPostgres(ctx, src, "orders")
			return err
		},
		floors: []contender{{
			name: "COPY to a temporary table, INSERT ON CONFLICT",
			run: func(ctx context.Context) (sample, error) {
				return pipe(ctx, nil,
					b.psqlClient(src, "COPY (SELECT * FROM orders WHERE updated_at >= "+since+") TO STDOUT"),
					b.psqlClient(dst, "CREATE TEMP TABLE changed (LIKE floor_orders)", "COPY changed FROM STDIN",
						"INSERT INTO floor_orders SELECT * FROM changed ON CONFLICT (id) DO UPDATE SET "+strings.Join(set, ", ")))
			},
			check: check("floor_orders"),
		}},
		arus: contender{
			name: "arus",
			run: func(ctx context.Context) (sample, error) {
				s, o, err := b.copy(ctx, data, b.postgresURL(src), b.postgresURL(dst), incremental)
				if err == nil {
					err = o.expect(incremental, rows)
				}
				return s, err
			},
			check: check("analytics.orders"),
		},
		end: b.emptyTarget(dst),
	}, nil
}

func pgNothing(ctx context.Context, b *bench) (*job, error) {
	src, dst, want, err := both(ctx, b)
	if err != nil {
		return nil, err
	}
	data, err := b.fresh()
	if err != nil {
		return nil, err
	}
	if err := b.noTargets(dst)(ctx); err != nil {
		return nil, err
	}
	if _, _, err := b.copy(ctx, data, b.postgresURL(src), b.postgresURL(dst), incremental); err != nil {
		return nil, err
	}
	return &job{
		rows: want.rows, bytes: b.size, idle: true,
		arus: contender{
			name: "arus",
			run: func(ctx context.Context) (sample, error) {
				s, o, err := b.copy(ctx, data, b.postgresURL(src), b.postgresURL(dst), incremental)
				if err == nil {
					err = o.expect(incremental, 0)
				}
				return s, err
			},
			check: b.checkPostgres(dst, "analytics.orders", want),
		},
		end: b.emptyTarget(dst),
	}, nil
}

// many copies small tables. A pipe for each of them in turn is the floor, of few tables only: it takes as long for each.
func many(count, rows int) func(context.Context, *bench) (*job, error) {
	return func(ctx context.Context, b *bench) (*job, error) {
		src, tables, size, check, err := b.smallTables(ctx, count, rows)
		if err != nil {
			return nil, err
		}
		dst := b.name("dst")
		var floors []contender
		if count <= 100 {
			floors = append(floors, contender{
				name: "a COPY text pipe for each table in turn, plain heaps",
				reset: func(ctx context.Context) error {
					var statements []string
					for _, t := range tables {
						statements = append(statements, "DROP TABLE IF EXISTS floor_"+t, "CREATE TABLE floor_"+t+" "+ordersPostgres)
					}
					return b.exec(ctx, dst, statements...)
				},
				run: func(ctx context.Context) (total sample, err error) {
					total.Load = loadAverage()
					for _, t := range tables {
						s, err := pipe(ctx, nil, b.psqlClient(src, "COPY (SELECT * FROM "+t+") TO STDOUT"), b.psqlClient(dst, "COPY floor_"+t+" FROM STDIN"))
						if err != nil {
							return total, err
						}
						total.Seconds += s.Seconds
						total.CPU += s.CPU
					}
					return total, nil
				},
				check: check("floor_"),
			})
		}
		return &job{
			rows: int64(count) * int64(rows), bytes: size, floors: floors,
			arus: b.sync(b.postgresURL(src), b.postgresURL(dst), full, int64(count)*int64(rows), b.noTargets(dst), check("analytics.")),
			end: func(ctx context.Context) error {
				for _, t := range tables {
					if err := b.exec(ctx, dst, "SET client_min_messages = warning", "DROP TABLE IF EXISTS floor_"+t); err != nil {
						return err
					}
				}
				return b.emptyTarget(dst)(ctx)
			},
		}, nil
	}
}

// nothingIn is what a schedule of a few minutes does most of the time.
func nothingIn(count, rows int) func(context.Context, *bench) (*job, error) {
	return func(ctx context.Context, b *bench) (*job, error) {
		src, _, size, check, err := b.smallTables(ctx, count, rows)
		if err != nil {
			return nil, err
		}
		dst := b.name("dst")
		data, err := b.fresh()
		if err != nil {
			return nil, err
		}
		if err := b.noTargets(dst)(ctx); err != nil {
			return nil, err
		}
		if _, _, err := b.copy(ctx, data, b.postgresURL(src), b.postgresURL(dst), incremental); err != nil {
			return nil, err
		}
		return &job{
			rows: int64(count) * int64(rows), bytes: size, idle: true,
			arus: contender{
				name: "arus",
				run: func(ctx context.Context) (sample, error) {
					s, o, err := b.copy(ctx, data, b.postgresURL(src), b.postgresURL(dst), incremental)
					if err == nil {
						err = o.expect(incremental, 0)
					}
					return s, err
				},
				check: check("analytics."),
			},
			end: b.emptyTarget(dst),
		}, nil
	}
}

// smallTables makes the tables and says how a copy of them is checked.
func (b *bench) smallTables(ctx context.Context, count, rows int) (src string, tables []string, size int64, check func(prefix string) func(context.Context) error, err error) {
	if src, tables, err = b.manySource(ctx, count, rows); err != nil {
		return src, nil, 0, nil, err
	}
	dst, err := b.target(ctx)
	if err != nil {
		return src, nil, 0, nil, err
	}
	one, err := b.textBytes(ctx, src, tables[0])
	if err != nil {
		return src, nil, 0, nil, err
	}
	want, err := b.sumPostgres(ctx, src, tables[0])
	return src, tables, one * int64(count), func(prefix string) func(context.Context) error {
		return func(ctx context.Context) error {
			for _, t := range tables {
				if err := b.checkPostgres(dst, prefix+t, want)(ctx); err != nil {
					return err
				}
			}
			return nil
		}
	}, err
}

func mariaToPg(ctx context.Context, b *bench) (*job, error) {
	src, err := b.mariaSource(ctx)
	if err != nil {
		return nil, err
	}
	_, dst, want, err := both(ctx, b)
	if err != nil {
		return nil, err
	}
	floor := func(name string, more ...string) contender {
		return contender{
			name:  name,
			reset: b.emptyFloor(dst),
			run: func(ctx context.Context) (sample, error) {
				return pipe(ctx, toCopy, b.mariadbClient("SELECT * FROM "+src+".orders"), b.psqlClient(dst, append([]string{copyText}, more...)...))
			},
			check: b.checkPostgres(dst, "floor_orders", want),
		}
	}
	return &job{
		rows: want.rows, bytes: b.size,
		floors: []contender{
			floor("mariadb --quick | convert | COPY text, plain heap"),
			floor("the same, then primary key and index", addKey, addIndex),
		},
		arus: b.sync(b.mariadbURL(src), b.postgresURL(dst), full, want.rows, b.noTargets(dst), b.checkPostgres(dst, "analytics.orders", want)),
		end:  b.emptyTarget(dst),
	}, nil
}

func pgToMaria(ctx context.Context, b *bench) (*job, error) {
	dst, err := b.mariaTarget(ctx)
	if err != nil {
		return nil, err
	}
	file, err := b.loadFile(ctx)
	if err != nil {
		return nil, err
	}
	src, want, err := b.orders(ctx)
	if err != nil {
		return nil, err
	}
	if b.size == 0 {
		if b.size, err = b.textBytes(ctx, src, "orders"); err != nil {
			return nil, err
		}
	}
	check := func(table string) func(context.Context) error {
		return func(ctx context.Context) error {
			got, err := b.sumMariaDB(ctx, dst+"."+table)
			if err != nil {
				return err
			}
			return want.compare(got)
		}
	}
	floor := func(name, keys string) contender {
		return contender{
			name: name,
			reset: func(ctx context.Context) error {
				return b.execMariaDB(ctx, "DROP TABLE IF EXISTS "+dst+".floor_orders", "CREATE TABLE "+dst+".floor_orders "+fmt.Sprintf(ordersMariaDB, keys))
			},
			run: func(ctx context.Context) (sample, error) {
				return pipe(ctx, nil, b.mariadbClient(loadData(file, dst+".floor_orders")))
			},
			check: check("floor_orders"),
		}
	}
	drop := func(ctx context.Context) error {
		return b.execMariaDB(ctx, "DROP TABLE IF EXISTS "+dst+".orders")
	}
	return &job{
		rows: want.rows, bytes: b.size,
		floors: []contender{
			floor("LOAD DATA of a ready file, no keys", ""),
			floor("LOAD DATA of a ready file into keys", keysMariaDB),
		},
		arus: b.sync(b.postgresURL(src), b.mariadbURL(dst), full, want.rows, drop, check("orders"), "--target-schema", dst),
		end: func(ctx context.Context) error {
			if err := drop(ctx); err != nil {
				return err
			}
			return b.execMariaDB(ctx, "DROP TABLE IF EXISTS "+dst+".floor_orders")
		},
	}, nil
}

func pgToEmbedded(ctx context.Context, b *bench) (*job, error) {
	src, _, want, err := both(ctx, b)
	if err != nil {
		return nil, err
	}
	return b.intoEmbedded(b.postgresURL(src), want, b.plainParquet(b.readPostgres(src), "pgx", want.rows)), nil
}

func sqliteToEmbedded(ctx context.Context, b *bench) (*job, error) {
	file, err := b.sqliteSource(ctx)
	if err != nil {
		return nil, err
	}
	_, _, want, err := both(ctx, b)
	if err != nil {
		return nil, err
	}
	return b.intoEmbedded("sqlite://"+file, want, b.plainParquet(readSQLite(file), "database/sql", want.rows)), nil
}

// intoEmbedded loads the built-in warehouse, whose files are Parquet. The data directory stays until it is checked.
func (b *bench) intoEmbedded(from string, want sum, floors []contender) *job {
	var data string
	remove := func(context.Context) error {
		if data == "" {
			return nil
		}
		return os.RemoveAll(data)
	}
	return &job{
		rows: want.rows, bytes: b.size, floors: floors,
		arus: contender{
			name: "arus",
			reset: func(ctx context.Context) (err error) {
				if err := remove(ctx); err != nil {
					return err
				}
				data, err = b.fresh()
				return err
			},
			run: func(ctx context.Context) (sample, error) {
				s, o, err := b.copy(ctx, data, from, "embedded:", full)
				if err == nil {
					err = o.expect(full, want.rows)
				}
				return s, err
			},
			check: func(ctx context.Context) error {
				got, err := b.sumEmbedded(ctx, data, "orders")
				if err != nil {
					return err
				}
				return want.compare(got)
			},
		},
		end: remove,
	}
}

func (b *bench) checkPostgres(database, table string, want sum) func(context.Context) error {
	return func(ctx context.Context) error {
		got, err := b.sumPostgres(ctx, database, table)
		if err != nil {
			return err
		}
		return want.compare(got)
	}
}

// emptyFloor makes the floor's target anew.
func (b *bench) emptyFloor(database string) func(context.Context) error {
	return func(ctx context.Context) error {
		return b.exec(ctx, database, "DROP TABLE IF EXISTS floor_orders", "CREATE TABLE floor_orders "+ordersPostgres)
	}
}

// noTargets removes what Arus loaded, so that each measurement is a first load.
func (b *bench) noTargets(database string) func(context.Context) error {
	return func(ctx context.Context) error {
		return b.exec(ctx, database, "SET client_min_messages = warning", "DROP SCHEMA IF EXISTS analytics CASCADE")
	}
}

func (b *bench) emptyTarget(database string) func(context.Context) error {
	return func(ctx context.Context) error {
		if b.options.keep {
			return nil
		}
		return b.exec(ctx, database, "DROP TABLE IF EXISTS floor_orders", "DROP SCHEMA IF EXISTS analytics CASCADE")
	}
}

func (b *bench) columnNames(ctx context.Context, database string) (names []string, err error) {
	err = b.postgres(ctx, database, func(c *pgx.Conn) error {
		rows, err := c.Query(ctx, "SELECT attname::text FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum")
		if err != nil {
			return err
		}
		names, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	return names, err
}

// toFile writes a file through fill and closes it.
func toFile(path string, fill func(io.Writer) error) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := fill(f); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
