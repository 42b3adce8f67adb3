package app

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/uuid"

	"arus/connectors"
	"arus/connectors/all"
	"arus/testdata/servers"
)

// TestARowStandsOnceInStaging loads rows in raw mode whose commit nobody heard
// of, and loads them again in the same run, with and without a key, in one piece
// and in parts: the staging table has every row of the run once, and what other
// runs left there stays.
func TestARowStandsOnceInStaging(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) (raw, schema string){
		"postgres": func(t *testing.T) (string, string) { return servers.PostgresDatabase(t), "analytics" },
		"mariadb": func(t *testing.T) (string, string) {
			to := mariadbTarget(t)
			u, err := url.Parse(to.url)
			if err != nil {
				t.Fatal(err)
			}
			return to.url, strings.TrimPrefix(u.Path, "/")
		},
		"clickhouse": func(t *testing.T) (string, string) {
			to := clickhouseMatrix(t)
			return to.url, to.schema
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw, schema := open(t)
			registry := all.Registry()
			cfg, err := registry.ParseURL(raw)
			if err != nil {
				t.Fatal(err)
			}
			d, err := registry[cfg.Type].OpenDestination(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = d.Close() }()
			columns := []connectors.Column{{Name: "id", Type: connectors.Type{Kind: connectors.Int64}}, {Name: "note", Type: connectors.Type{Kind: connectors.Text}, Nullable: true}}
			for i, c := range []struct {
				name   string
				mode   connectors.LoadMode
				key    []string
				resume string
			}{
				{"replace", connectors.Replace, nil, ""},
				{"merge", connectors.Merge, []string{"id"}, ""},
				{"parts", connectors.Replace, []string{"id"}, "token"},
			} {
				staging := connectors.TableRef{Schema: schema, Name: fmt.Sprintf("s%d_raw", i)}
				req := connectors.LoadRequest{
					Target: connectors.TableRef{Schema: schema, Name: fmt.Sprintf("t%d", i)}, Columns: columns, Key: c.key, Mode: c.mode,
					SyncedAt: time.Now().UTC().Truncate(time.Microsecond), Raw: &connectors.RawTarget{Table: staging}, Resume: c.resume,
				}
				load := func(run string, again bool) {
					t.Helper()
					req.RunID, req.Again = run, again
					l, err := d.Begin(t.Context(), req)
					if err != nil {
						t.Fatalf("%s: %v", c.name, err)
					}
					into := l
					if c.resume != "" {
						if into, _, err = l.(connectors.PartLoad).Part(t.Context(), "one"); err != nil {
							t.Fatalf("%s: %v", c.name, err)
						}
					}
					b := connectors.NewBatcher(columns, connectors.Limits{}, func(batch arrow.RecordBatch) error { return into.Write(t.Context(), batch) })
					defer b.Release()
					for id := range int64(100) {
						b.Builders[0].(*array.Int64Builder).Append(id)
						b.Builders[1].(*array.StringBuilder).Append("row")
						if err := b.EndRow(16); err != nil {
							t.Fatalf("%s: %v", c.name, err)
						}
					}
					if err := b.Flush(); err != nil {
						t.Fatalf("%s: %v", c.name, err)
					}
					if into != l {
						if _, err := into.Commit(t.Context()); err != nil {
							t.Fatalf("%s: %v", c.name, err)
						}
					}
					result, err := l.Commit(t.Context())
					if err != nil || result.RawRows != 100 {
						t.Fatalf("%s: %d raw rows, %v", c.name, result.RawRows, err)
					}
				}
				one, two := uuid.Must(uuid.NewV7()).String(), uuid.Must(uuid.NewV7()).String()
				load(one, false)
				load(two, false)
				load(two, true)
				load(two, true)
				if n := countIn(t, raw, staging); n != 200 {
					t.Errorf("%s: %d rows in staging of two runs of 100", c.name, n)
				}
				if n := countIn(t, raw, req.Target); n != 100 {
					t.Errorf("%s: %d rows in the target, not 100", c.name, n)
				}
			}
		})
	}
}

// countIn counts the rows of a table as a source reads them.
func countIn(t *testing.T, raw string, ref connectors.TableRef) int64 {
	t.Helper()
	s := openByURL(t, raw)
	tables, err := s.Tables(t.Context(), connectors.TableFilter{Schemas: []string{ref.Schema}, Names: []string{ref.Name}})
	if err != nil || len(tables) != 1 {
		t.Fatalf("%s: %d tables, %v", ref, len(tables), err)
	}
	n := int64(0)
	if err := s.Read(t.Context(), connectors.ReadRequest{Table: tables[0], Columns: tables[0].Columns[:1]}, func(batch arrow.RecordBatch) error {
		defer batch.Release()
		n += batch.NumRows()
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return n
}
