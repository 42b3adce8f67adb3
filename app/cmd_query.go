package app

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"arus/app/control"
	"arus/connectors"
)

func (env *environment) queryCommand() *cobra.Command {
	return &cobra.Command{
		Use:   `query "SELECT ..."`,
		Short: "Ask the built-in warehouse in SQL",
		Long: `Ask the built-in warehouse in SQL (SQLite's dialect, read only). With --json the rows come as JSON
lines, one object each. A query takes no lock: it works while a run goes on.`,
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
			show, end := env.rowPrinter()
			if err := control.Query(cmd.Context(), dir, args[0], show); err != nil {
				return errors.Join(end(), err)
			}
			return end()
		},
	}
}

// rowPrinter prints rows as they come: JSON lines, or a table for people.
func (env *environment) rowPrinter() (show func(columns []string, values []any) error, end func() error) {
	if env.flags.json {
		w := bufio.NewWriter(env.Out)
		return func(columns []string, values []any) error { return writeRow(w, columns, values) }, w.Flush
	}
	var t *table
	rows := 0
	show = func(columns []string, values []any) error {
		if t == nil {
			t = newTable(env.Out, columns...)
		}
		cells := make([]any, len(values))
		for i, v := range values {
			cells[i] = cell(v)
		}
		t.row(cells...)
		if rows++; rows%1000 == 0 { // widths settle per thousand rows, so that memory stays small
			return t.flush()
		}
		return nil
	}
	return show, func() error {
		if t == nil {
			env.say("no rows")
			return nil
		}
		return t.flush()
	}
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

// writeRow writes one row as a JSON object with its columns in order; bytes
// that are no text become base64.
func writeRow(w *bufio.Writer, columns []string, values []any) error {
	line := []byte{'{'}
	for i, c := range columns {
		if i > 0 {
			line = append(line, ',')
		}
		line = connectors.AppendJSONString(line, c)
		line = append(line, ':')
		v := values[i]
		if b, ok := v.([]byte); ok && utf8.Valid(b) {
			v = string(b)
		}
		text, err := json.Marshal(v)
		if err != nil { // an infinite number
			text = connectors.AppendJSONString(nil, fmt.Sprint(v))
		}
		line = append(line, text...)
	}
	_, err := w.Write(append(line, '}', '\n'))
	return err
}
