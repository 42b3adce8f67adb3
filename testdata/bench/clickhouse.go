package main

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"strings"

	"github.com/jackc/pgx/v5"
)

const (
	// The text of a row as the other servers make it, where times are kept as text because a server without fractions of
	// a second holds them so.
	rowClickHouse = `concat(toString(id), '|', toString(customer_id), '|', toString(quantity), '|', toString(intDiv(toInt64(amount * 100), 100)), '.',
  substring(toString(100 + toInt64(amount * 100) % 100), 2), '|', status, '|', ifNull(coupon, '~'), '|', ifNull(note, '~'), '|', toString(paid), '|',
  ifNull(concat(toString(intDiv(toInt64(rating * 1000), 1000)), '.', substring(toString(1000 + toInt64(rating * 1000) % 1000), 2)), '~'), '|',
  toString(ordered_on), '|', ifNull(attributes, '~'), '|', substring(concat(replaceOne(replaceOne(toString(updated_at), 'T', ' '), 'Z', ''),
  if(position(toString(updated_at), '.') = 0, '.', ''), '000000'), 1, 26))`
)

// clickHouseClient runs one statement by clickhouse-client, fed from a file where one is named.
func (b *bench) clickHouseClient(statement, file string) (stage, error) {
	if b.clickhouse == nil {
		return stage{}, fmt.Errorf("%w: %s_URL is not set: %s", errSkip, envClickHouse, why(envClickHouse))
	}
	path, err := lookup("clickhouse-client", "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin")
	if err != nil {
		return stage{}, fmt.Errorf("%w: %w", errSkip, err)
	}
	password, _ := b.clickhouse.User.Password()
	args := []string{"--host", b.clickhouse.Hostname(), "--port", portOr(b.clickhouse, "9000"), "--user", b.clickhouse.User.Username(), "--query", statement}
	if password != "" {
		args = append(args, "--password", password)
	}
	return stage{path: path, args: args, stdin: file}, nil
}

func (b *bench) execClickHouse(ctx context.Context, statements ...string) error {
	for _, s := range statements {
		if _, err := b.askClickHouse(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) askClickHouse(ctx context.Context, statement string) (string, error) {
	st, err := b.clickHouseClient(statement, "")
	if err != nil {
		return "", err
	}
	_, text, err := child(ctx, st)
	return strings.TrimSpace(string(text)), err
}

func (b *bench) sumClickHouse(ctx context.Context, table string) (s sum, err error) {
	const hash = "bitShiftRight(reinterpretAsUInt64(reverse(substring(toString(MD5(" + rowClickHouse + ")), 1, 8))), 4)"
	// In two halves, since the sum of all does not fit 64 bits.
	text, err := b.askClickHouse(ctx, "SELECT count(), sum(intDiv(h, 1073741824)), sum(h % 1073741824) FROM (SELECT "+hash+" AS h FROM "+table+")")
	if err != nil {
		return s, err
	}
	var high, low uint64
	if _, err := fmt.Sscan(text, &s.rows, &high, &low); err != nil {
		return s, fmt.Errorf("read the checksum %q: %w", text, err)
	}
	total := new(big.Int).SetUint64(high)
	s.hash = total.Lsh(total, 30).Add(total, new(big.Int).SetUint64(low)).String()
	return s, nil
}

func pgToClickHouse(ctx context.Context, b *bench) (*job, error) {
	if _, err := b.clickHouseClient("", ""); err != nil {
		return nil, err
	}
	src, _, want, err := both(ctx, b)
	if err != nil {
		return nil, err
	}
	dst := b.name("dst")
	native, tsv := b.path("orders.native"), b.path("orders.clickhouse.tsv")
	b.made["clickhouse:"+dst] = true
	drop := func(ctx context.Context) error { return b.execClickHouse(ctx, "DROP TABLE IF EXISTS "+dst+".orders") }
	check := func(table string) func(context.Context) error {
		return func(ctx context.Context) error {
			got, err := b.sumClickHouse(ctx, dst+"."+table)
			if err != nil {
				return err
			}
			return want.compare(got)
		}
	}
	// The ready files hold what a copy by Arus left, so that the floor loads the very same columns.
	data, err := b.fresh()
	if err != nil {
		return nil, err
	}
	if _, _, err := b.copy(ctx, data, b.postgresURL(src), b.clickHouseURL(), full, "--target-schema", dst); err != nil {
		return nil, err
	}
	if err := b.execClickHouse(ctx, "CREATE TABLE "+dst+".floor_orders AS "+dst+".orders"); err != nil {
		return nil, err
	}
	for file, format := range map[string]string{native: "Native", tsv: "TabSeparated"} {
		st, err := b.clickHouseClient("SELECT * FROM "+dst+".orders FORMAT "+format, "")
		if err != nil {
			return nil, err
		}
		if err := intoFile(ctx, st, file); err != nil {
			return nil, err
		}
	}
	floor := func(format, file string) contender {
		return contender{
			name:  "clickhouse-client INSERT FORMAT " + format + " of a ready file",
			reset: func(ctx context.Context) error { return b.execClickHouse(ctx, "TRUNCATE TABLE "+dst+".floor_orders") },
			run: func(ctx context.Context) (sample, error) {
				st, err := b.clickHouseClient("INSERT INTO "+dst+".floor_orders FORMAT "+format, file)
				if err != nil {
					return sample{}, err
				}
				s, _, err := child(ctx, st)
				return s, err
			},
			check: check("floor_orders"),
		}
	}
	return &job{
		rows: want.rows, bytes: b.size,
		floors: []contender{floor("TabSeparated", tsv), floor("Native", native)},
		arus:   b.sync(b.postgresURL(src), b.clickHouseURL(), full, want.rows, drop, check("orders"), "--target-schema", dst),
		end: func(ctx context.Context) error {
			return errors.Join(b.execClickHouse(ctx, "DROP DATABASE IF EXISTS "+dst), os.Remove(native), os.Remove(tsv))
		},
	}, nil
}

// intoFile runs a process whose output is a file.
func intoFile(ctx context.Context, st stage, path string) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, st.path, st.args...)
	cmd.Stdout, cmd.Stderr = f, os.Stderr
	return errors.Join(cmd.Run(), f.Close())
}

// pgToRaw lands the rows as JSON first and makes the typed table of them in the server.
func pgToRaw(ctx context.Context, b *bench) (*job, error) {
	src, dst, want, err := both(ctx, b)
	if err != nil {
		return nil, err
	}
	columns, err := b.columnNames(ctx, src)
	if err != nil {
		return nil, err
	}
	list := strings.Join(columns, ", ")
	return &job{
		rows: want.rows, bytes: b.size,
		floors: []contender{{
			name: "COPY of row_to_json into staging, then INSERT ... SELECT and primary key",
			reset: func(ctx context.Context) error {
				return errors.Join(b.emptyFloor(dst)(ctx), b.exec(ctx, dst, "DROP TABLE IF EXISTS floor_staging",
					"CREATE TABLE floor_staging (id bigserial PRIMARY KEY, extracted timestamptz NOT NULL DEFAULT now(), data jsonb NOT NULL)"))
			},
			run: func(ctx context.Context) (sample, error) {
				return pipe(ctx, nil,
					b.psqlClient(src, "COPY (SELECT row_to_json(o) FROM orders o) TO STDOUT"),
					b.psqlClient(dst, "COPY floor_staging (data) FROM STDIN",
						"INSERT INTO floor_orders SELECT "+list+" FROM (SELECT (jsonb_populate_record(NULL::floor_orders, data)).* FROM floor_staging) AS r", addKey))
			},
			check: b.checkPostgres(dst, "floor_orders", want),
		}},
		arus: b.sync(b.postgresURL(src), b.postgresURL(dst), full, want.rows, func(ctx context.Context) error {
			return errors.Join(b.noTargets(dst)(ctx), b.exec(ctx, dst, "SET client_min_messages = warning", "DROP SCHEMA IF EXISTS staging CASCADE"))
		}, b.checkPostgres(dst, "analytics.orders", want), "--load", "raw"),
		end: func(ctx context.Context) error {
			if b.options.keep {
				return nil
			}
			return errors.Join(b.exec(ctx, dst, "SET client_min_messages = warning", "DROP TABLE IF EXISTS floor_staging", "DROP SCHEMA IF EXISTS staging CASCADE"), b.emptyTarget(dst)(ctx))
		},
	}, nil
}

// sumOf is the checksum of chosen columns of any table, as PostgreSQL prints its rows.
func (b *bench) sumOf(ctx context.Context, database, table, columns string) (s sum, err error) {
	err = b.postgres(ctx, database, func(c *pgx.Conn) error {
		return c.QueryRow(ctx, "SELECT count(*), coalesce(sum(('x' || left(md5(r::text), 15))::bit(60)::bigint), 0)::text FROM (SELECT "+columns+" FROM "+table+") AS r").Scan(&s.rows, &s.hash)
	})
	return s, err
}
