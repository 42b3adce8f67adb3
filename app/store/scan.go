package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

// Page cuts a list. Limit 0 means 100; more than 1000 at a time are never returned.
type Page struct{ Limit, Offset int }

func (p Page) args() (limit, offset int) {
	limit = p.Limit
	if limit <= 0 {
		limit = 100
	}
	return min(limit, 1000), max(p.Offset, 0)
}

// querier is what *sql.DB and *transaction share for reading.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

type scanner interface{ Scan(dest ...any) error }

// collect runs a query and scans every row. No row is an empty list, not an error.
func collect[T any](ctx context.Context, q querier, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := []T{}
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	return list, rows.Err()
}

// changed reports ErrNotFound when a statement by id touched nothing.
func changed(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// stampLayout is also what the SQL defaults write; its width is fixed, so that times sort as text.
const stampLayout = "2006-01-02T15:04:05.000Z"

// stamp writes a time, the zero time as NULL.
func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(stampLayout)
}

// orNull writes an unset value as NULL.
func orNull[T comparable](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	return v
}

// asJSON writes a value as JSON text.
func asJSON(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

// listJSON writes a list as a JSON array, a nil one as [].
func listJSON(list []string) string {
	b, err := json.Marshal(append([]string{}, list...))
	if err != nil {
		return "[]" // a list of strings always has a JSON form
	}
	return string(b)
}

// null scans a column that may be NULL, which becomes def: the seed leaves most columns nullable.
func null[T any](dest *T, def T) sql.Scanner { return nullScanner[T]{dest, def} }

type nullScanner[T any] struct {
	dest *T
	def  T
}

func (n nullScanner[T]) Scan(value any) error {
	var v sql.Null[T]
	if err := v.Scan(value); err != nil {
		return err
	}
	*n.dest = n.def
	if v.Valid {
		*n.dest = v.V
	}
	return nil
}

// timeScanner scans RFC 3339 text, NULL as the zero time.
type timeScanner struct{ dest *time.Time }

func (t timeScanner) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		*t.dest = time.Time{}
		return nil
	case string:
		at, err := time.Parse(time.RFC3339Nano, v)
		if err != nil {
			return fmt.Errorf("read a time: %w", err)
		}
		*t.dest = at.UTC()
		return nil
	default:
		return fmt.Errorf("read a time: found %T", value)
	}
}

// jsonScanner scans JSON text into dest, NULL leaves it alone.
type jsonScanner struct{ dest any }

func (j jsonScanner) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		return nil
	case string:
		return json.Unmarshal([]byte(v), j.dest)
	default:
		return fmt.Errorf("read JSON: found %T", value)
	}
}
