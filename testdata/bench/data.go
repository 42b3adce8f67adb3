package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // what every server has
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/jackc/pgx/v5"
	_ "modernc.org/sqlite" // makes the SQLite file that a lane reads
)

// The table is twelve columns of the kinds that shops have. A hundredth of the texts holds what encoders have to escape.
const (
	minRows = 1000

	ordersPostgres = `(
  id bigint NOT NULL,
  customer_id integer NOT NULL,
  quantity integer NOT NULL,
  amount decimal(12,2) NOT NULL,
  status varchar(40) NOT NULL,
  coupon varchar(40),
  note text,
  paid boolean NOT NULL,
  rating double precision,
  ordered_on date NOT NULL,
  attributes jsonb,
  updated_at timestamptz NOT NULL
)`
	ordersMariaDB = `(
  id bigint NOT NULL,
  customer_id int NOT NULL,
  quantity int NOT NULL,
  amount decimal(12,2) NOT NULL,
  status varchar(40) NOT NULL,
  coupon varchar(40),
  note text,
  paid tinyint(1) NOT NULL,
  rating double,
  ordered_on date NOT NULL,
  attributes json,
  updated_at datetime(6) NOT NULL%s
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin`
	keysMariaDB  = ",\n  PRIMARY KEY (id),\n  KEY orders_updated_at (updated_at)"
	ordersSQLite = `(
  id INTEGER PRIMARY KEY,
  customer_id INTEGER NOT NULL,
  quantity INTEGER NOT NULL,
  amount DECIMAL(12,2) NOT NULL,
  status VARCHAR(40) NOT NULL,
  coupon VARCHAR(40),
  note TEXT,
  paid BOOLEAN NOT NULL,
  rating DOUBLE,
  ordered_on DATE NOT NULL,
  attributes JSON,
  updated_at DATETIME NOT NULL
)`

	// h scatters the row number; it is plain arithmetic, so that no version of a server changes the rows.
	fillPostgres = `INSERT INTO orders
SELECT i,
  (h %% 50000 + 1)::int,
  (h / 7 %% 20 + 1)::int,
  (h %% 10000000)::numeric(12,2) / 100,
  (ARRAY['new','paid','packed','shipped','delivered','returned'])[h / 11 %% 6 + 1],
  CASE WHEN h / 13 %% 10 > 0 THEN 'COUPON-' || upper(left(m, 12)) END,
  CASE WHEN h / 17 %% 10 > 0 THEN 'Order ' || i || ' for ' || m || ', ring twice, leave at the back door' ||
    CASE WHEN h / 19 %% 100 = 0 THEN E' \t\n\\ "it''s" caf\u00e9 \U0001F642' ELSE '' END END,
  h / 23 %% 3 > 0,
  CASE WHEN h / 29 %% 10 > 0 THEN (h / 31 %% 40)::float8 / 8 END,
  date '2020-01-01' + (h / 37 %% 2000)::int,
  CASE WHEN h / 41 %% 10 > 0 THEN jsonb_build_object('channel', (ARRAY['web','app','shop'])[h / 43 %% 3 + 1], 'weight', h / 47 %% 5000,
    'tags', jsonb_build_array(left(m, 4), right(m, 4))) END,
  timestamptz '2024-01-01 00:00:00+00' + i * interval '1 second' + (h / 53 %% 1000000) * interval '1 microsecond'
FROM (SELECT i, i * 2654435761 %% 4294967291 AS h, md5(i::text) AS m FROM generate_series(1, %d::bigint) AS i) AS r`

	// The same text of a row on every server; its columns' types may differ as much as the systems make them.
	rowPostgres = `concat_ws('|', id, customer_id, quantity, amount::numeric(12,2), status, coalesce(coupon, '~'), coalesce(note, '~'),
  paid::int, coalesce(rating::numeric(12,3)::text, '~'), ordered_on::date, coalesce(attributes::jsonb::text, '~'), to_char(updated_at, 'YYYY-MM-DD HH24:MI:SS.US'))`
	rowMariaDB = `concat_ws('|', id, customer_id, quantity, amount, cast(status AS binary), coalesce(cast(coupon AS binary), '~'), coalesce(cast(note AS binary), '~'),
  paid, coalesce(cast(rating AS decimal(12,3)), '~'), ordered_on, coalesce(cast(attributes AS binary), '~'), date_format(updated_at, '%Y-%m-%d %H:%i:%s.%f'))`
	rowSQLite = `id || '|' || customer_id || '|' || quantity || '|' || printf('%.2f', amount) || '|' || status || '|' || coalesce(coupon, '~') || '|' || coalesce(note, '~') || '|' ||
  paid || '|' || CASE WHEN rating IS NULL THEN '~' ELSE printf('%.3f', rating) END || '|' || ordered_on || '|' || coalesce(attributes, '~') || '|' ||
  substr(updated_at || CASE WHEN instr(updated_at, '.') = 0 THEN '.' ELSE '' END || '000000', 1, 26)`

	// The rows as LOAD DATA takes them.
	fileColumns = `id, customer_id, quantity, amount, status, coupon, note, paid::int, rating, ordered_on, attributes, to_char(updated_at, 'YYYY-MM-DD HH24:MI:SS.US')`
)

// sum is what tells two tables apart. It does not depend on the order of the rows.
type sum struct {
	rows int64
	hash string
}

func (want sum) compare(got sum) error {
	switch {
	case want.rows != got.rows:
		return fmt.Errorf("WRONG COPY: %d rows instead of %d", got.rows, want.rows)
	case want.hash != got.hash:
		return fmt.Errorf("WRONG COPY: %d rows, but their checksum is %s instead of %s", got.rows, got.hash, want.hash)
	}
	return nil
}

func (b *bench) sumPostgres(ctx context.Context, database, table string) (s sum, err error) {
	err = b.postgres(ctx, database, func(c *pgx.Conn) error {
		query := "SELECT count(*), coalesce(sum(('x' || left(md5(" + rowPostgres + "), 15))::bit(60)::bigint), 0)::text FROM " + table
		return c.QueryRow(ctx, query).Scan(&s.rows, &s.hash)
	})
	return s, err
}

func (b *bench) sumMariaDB(ctx context.Context, table string) (s sum, err error) {
	db, err := b.mariadb()
	if err != nil {
		return s, err
	}
	query := "SELECT count(*), coalesce(sum(cast(conv(left(md5(" + rowMariaDB + "), 15), 16, 10) AS unsigned)), 0) FROM " + table
	return s, db.QueryRowContext(ctx, query).Scan(&s.rows, &s.hash)
}

// sumEmbedded reads the warehouse of a data directory by `arus query` and sums here what the servers sum themselves.
func (b *bench) sumEmbedded(ctx context.Context, data, table string) (s sum, err error) {
	total := new(big.Int)
	var row struct {
		R *string `json:"r"`
	}
	err = lines(ctx, stage{path: b.arus, args: []string{"query", "--data", data, "--json", "SELECT " + rowSQLite + " AS r FROM " + table}}, func(line []byte) error {
		row.R = nil
		if err := json.Unmarshal(line, &row); err != nil {
			return err
		}
		s.rows++
		if row.R == nil {
			return nil // a value is missing that cannot be: the sum will show it
		}
		hash := md5.Sum([]byte(*row.R)) //nolint:gosec // what every server has
		total.Add(total, new(big.Int).SetUint64(binary.BigEndian.Uint64(hash[:])>>4))
		return nil
	})
	s.hash = total.String()
	return s, err
}

// source makes a PostgreSQL database with the orders on first use.
func (b *bench) source(ctx context.Context, name string, rows int64) (database string, err error) {
	database = b.name(name)
	if b.made[database] {
		return database, nil
	}
	b.say("making %d rows in PostgreSQL", rows)
	if err := b.createPostgres(ctx, database, ""); err != nil {
		return "", err
	}
	return database, b.exec(ctx, database,
		"CREATE TABLE orders "+ordersPostgres,
		fmt.Sprintf(fillPostgres, rows),
		"ALTER TABLE orders ADD PRIMARY KEY (id)",
		"CREATE INDEX orders_updated_at ON orders (updated_at)",
		"VACUUM (FREEZE, ANALYZE) orders",
	)
}

// orders is the database that most lanes read, with its checksum.
func (b *bench) orders(ctx context.Context) (string, sum, error) {
	database, err := b.source(ctx, "src", b.options.rows)
	if err != nil {
		return "", sum{}, err
	}
	if b.sum.rows == 0 {
		if b.sum, err = b.sumPostgres(ctx, database, "orders"); err == nil && b.sum.rows != b.options.rows {
			err = fmt.Errorf("the source has %d rows instead of %d", b.sum.rows, b.options.rows)
		}
	}
	return database, b.sum, err
}

// target makes the PostgreSQL database that is loaded, on first use.
func (b *bench) target(ctx context.Context) (string, error) {
	database := b.name("dst")
	if b.made[database] {
		return database, nil
	}
	return database, b.createPostgres(ctx, database, "")
}

// manySource is the small tables t0001, t0002, ...; all hold the same rows.
func (b *bench) manySource(ctx context.Context, count, rows int) (database string, tables []string, err error) {
	for i := range count {
		tables = append(tables, fmt.Sprintf("t%04d", i+1))
	}
	database = b.name(fmt.Sprintf("many%d", count))
	if b.made[database] {
		return database, tables, nil
	}
	b.say("making %d tables of %d rows in PostgreSQL", count, rows)
	if err := b.createPostgres(ctx, database, ""); err != nil {
		return "", nil, err
	}
	statements := []string{"CREATE TABLE orders " + ordersPostgres, fmt.Sprintf(fillPostgres, rows)}
	for _, t := range tables {
		statements = append(statements, "CREATE TABLE "+t+" AS SELECT * FROM orders", "ALTER TABLE "+t+" ADD PRIMARY KEY (id)")
	}
	return database, tables, b.exec(ctx, database, append(statements, "DROP TABLE orders", "VACUUM (FREEZE, ANALYZE)")...)
}

// loadFile writes the rows for LOAD DATA on first use and counts their bytes.
func (b *bench) loadFile(ctx context.Context) (string, error) {
	path := b.path("orders.tsv")
	if b.made[path] {
		return path, nil
	}
	database, _, err := b.orders(ctx)
	if err != nil {
		return "", err
	}
	b.say("writing the rows to a file")
	err = b.postgres(ctx, database, func(c *pgx.Conn) error {
		return toFile(path, func(w io.Writer) error {
			_, err := c.PgConn().CopyTo(ctx, w, "COPY (SELECT "+fileColumns+" FROM orders ORDER BY id) TO STDOUT")
			return err
		})
	})
	b.made[path] = err == nil
	return path, err
}

// mariaSource makes the same rows in MariaDB on first use.
func (b *bench) mariaSource(ctx context.Context) (string, error) {
	database := b.name("src")
	mark := "mariadb:" + database
	if b.made[mark] {
		return database, nil
	}
	if _, err := b.mariadb(); err != nil {
		return "", err
	}
	file, err := b.loadFile(ctx)
	if err != nil {
		return "", err
	}
	b.say("loading the rows into MariaDB")
	err = b.execMariaDB(ctx, "CREATE DATABASE "+database, "CREATE TABLE "+database+".orders "+fmt.Sprintf(ordersMariaDB, keysMariaDB))
	if err != nil {
		return "", err
	}
	if _, err := pipe(ctx, nil, b.mariadbClient(loadData(file, database+".orders"))); err != nil {
		return "", err
	}
	if err := b.execMariaDB(ctx, "ANALYZE TABLE "+database+".orders"); err != nil {
		return "", err
	}
	got, err := b.sumMariaDB(ctx, database+".orders")
	if err == nil {
		err = b.sum.compare(got)
	}
	b.made[mark] = err == nil
	return database, err
}

// mariaTarget makes the MariaDB database that is loaded, on first use.
func (b *bench) mariaTarget(ctx context.Context) (string, error) {
	database := b.name("dst")
	mark := "mariadb:" + database
	if b.made[mark] {
		return database, nil
	}
	err := b.execMariaDB(ctx, "CREATE DATABASE "+database+" CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
	b.made[mark] = err == nil
	return database, err
}

func loadData(file, table string) string {
	return "LOAD DATA LOCAL INFILE '" + file + "' INTO TABLE " + table + ` CHARACTER SET utf8mb4 FIELDS TERMINATED BY '\t' ESCAPED BY '\\' LINES TERMINATED BY '\n'`
}

// sqliteSource makes the same rows in an SQLite file on first use.
func (b *bench) sqliteSource(ctx context.Context) (path string, err error) {
	path = b.path("orders.sqlite")
	if b.made[path] {
		return path, nil
	}
	database, _, err := b.orders(ctx)
	if err != nil {
		return "", err
	}
	b.say("writing the rows to an SQLite file")
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=synchronous(off)")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.ExecContext(ctx, "CREATE TABLE orders "+ordersSQLite); err != nil {
		return "", err
	}
	err = b.postgres(ctx, database, func(c *pgx.Conn) error { return fillSQLite(ctx, c, db) })
	if err != nil {
		return "", err
	}
	_, err = db.ExecContext(ctx, "CREATE INDEX orders_updated_at ON orders (updated_at)")
	b.made[path] = err == nil
	return path, err
}

func fillSQLite(ctx context.Context, c *pgx.Conn, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	insert, err := tx.PrepareContext(ctx, "INSERT INTO orders VALUES (?,?,?,?,?,?,?,?,?,?,?,?)")
	if err != nil {
		return err
	}
	defer func() { _ = insert.Close() }()
	rows, err := c.Query(ctx, `SELECT id, customer_id, quantity, amount::text, status, coupon, note, paid::int, rating, ordered_on::text, attributes::text,
  to_char(updated_at, 'YYYY-MM-DD HH24:MI:SS.US') FROM orders ORDER BY id`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return err
		}
		if _, err := insert.ExecContext(ctx, values...); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return tx.Commit()
}

// textBytes is the size of the rows as COPY writes them: the measure for MB/s, whatever the servers make of them.
func (b *bench) textBytes(ctx context.Context, database string, tables ...string) (int64, error) {
	var n counter
	err := b.postgres(ctx, database, func(c *pgx.Conn) error {
		for _, t := range tables {
			if _, err := c.PgConn().CopyTo(ctx, &n, "COPY "+t+" TO STDOUT"); err != nil {
				return err
			}
		}
		return nil
	})
	return int64(n), err
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// toCopy turns what `mariadb -N -B` prints into what COPY reads. The two escape alike; only the client prints NULL as a
// word, which no text of these rows is.
func toCopy(w io.Writer, r io.Reader) error {
	in, out := bufio.NewReaderSize(r, 1<<20), bufio.NewWriterSize(w, 1<<20)
	null := []byte("NULL")
	for {
		line, err := in.ReadSlice('\n')
		if err != nil && (!errors.Is(err, io.EOF) || len(line) > 0) {
			return fmt.Errorf("convert: %w", err)
		}
		if err != nil {
			return out.Flush()
		}
		line = line[:len(line)-1]
		for {
			field, rest, more := bytes.Cut(line, []byte{'\t'})
			if bytes.Equal(field, null) {
				field = []byte(`\N`)
			}
			_, _ = out.Write(field) // the error comes from Flush
			if !more {
				break
			}
			_ = out.WriteByte('\t')
			line = rest
		}
		if err := out.WriteByte('\n'); err != nil {
			return err
		}
	}
}
