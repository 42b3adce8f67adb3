package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"arus/app/control"
	"arus/connectors"
	"arus/connectors/warehouse"
)

func (env *environment) queryCommand() *cobra.Command {
	var format string
	var explain bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   `query "SELECT ..."`,
		Short: "Ask the built-in warehouse in SQL",
		Long: `Ask the built-in warehouse in SQL (SQLite's dialect, read only). The rows come as a table, or as --format
says: csv, json (one array), ndjson (an object a line, as with --json) or arrow (an Arrow IPC stream). With
--explain, or EXPLAIN before the query, the query runs and its answer is what it read: files, days, row groups,
columns. A query takes no lock: it works while a run goes on.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dataDir, err := env.dataDir()
			if err != nil {
				return err
			}
			dir := control.WarehouseDir(dataDir)
			if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
				return &connectors.Error{
					Kind: connectors.KindNotFound, Op: "query the warehouse in", Object: dir, Err: errors.New("nothing was loaded yet"),
					Hint: "run arus demo, or arus sync with --to embedded:",
				}
			}
			if env.flags.json && format == "table" {
				format = string(warehouse.NDJSON)
			}
			f, ok := warehouse.FormatOf(format)
			if !ok && format != "table" {
				return &connectors.Error{Kind: connectors.KindInvalid, Op: "query", Err: fmt.Errorf("there is no format %q", format), Hint: "write table, csv, json, ndjson or arrow"}
			}
			sql := args[0]
			if explain {
				sql = "EXPLAIN " + sql
			}
			rows, err := control.Query(cmd.Context(), dir, sql, timeout)
			if err != nil {
				return err
			}
			if ok {
				return errors.Join(rows.Write(env.Out, f, nil), rows.Close())
			}
			return errors.Join(env.printRows(rows), rows.Close())
		},
	}
	cmd.Flags().StringVar(&format, "format", "table", "how the rows are written: table, csv, json, ndjson or arrow")
	cmd.Flags().BoolVar(&explain, "explain", false, "run the query and show what it read instead of its rows")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "the longest the query may take, such as 30s; 0 = any time")
	return cmd
}

// printRows prints rows as a table for people, as they come.
func (env *environment) printRows(rows *warehouse.Rows) error {
	var t *table
	for n := 1; ; n++ {
		values, ok := rows.Next()
		if !ok {
			break
		}
		if t == nil {
			t = newTable(env.Out, rows.Columns()...)
		}
		cells := make([]any, len(values))
		for i, v := range values {
			cells[i] = cell(v)
		}
		t.row(cells...)
		if n%1000 == 0 { // widths settle per thousand rows, so that memory stays small
			if err := t.flush(); err != nil {
				return err
			}
		}
	}
	if t == nil {
		if rows.Err() == nil {
			env.say("no rows")
		}
		return rows.Err()
	}
	return errors.Join(rows.Err(), t.flush())
}

// cell shows a value to people.
func cell(v any) any {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case []byte:
		return fmt.Sprintf("x'%x'", v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return v
}
