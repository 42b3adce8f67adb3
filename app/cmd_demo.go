package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"arus/app/control"
	"arus/app/engine"
	"arus/app/model"
	"arus/connectors"
	"arus/embed/sample"
)

// demoQuestion is the small question the demo answers from the warehouse.
const demoQuestion = `SELECT status, count(*) AS orders, round(sum(total), 2) AS total FROM orders WHERE deleted_at IS NULL GROUP BY status ORDER BY orders DESC`

// demoReport is the outcome of the demo as JSON.
type demoReport struct {
	DataDir    string                 `json:"data_dir"`
	Sample     string                 `json:"sample"`
	First      engine.Report          `json:"first"`
	Changes    sample.Counts          `json:"changes"`
	Second     engine.Report          `json:"second"`
	Comparison []control.Verification `json:"comparison"`
	Equal      bool                   `json:"equal"`
	Question   string                 `json:"question"`
	Answer     []map[string]any       `json:"answer"`
}

func (env *environment) demoCommand() *cobra.Command {
	var rows int
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Copy a sample shop into the built-in warehouse, change it, copy it again, and compare every row",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if rows < 1 {
				return &usageError{errors.New("--rows must be at least 1")}
			}
			return env.with(cmd.Context(), func(d *data) error { return env.demo(cmd.Context(), d, rows) })
		},
	}
	cmd.Flags().IntVar(&rows, "rows", sample.DefaultRows, "about how many rows the sample shop has")
	return cmd
}

// demo makes the sample anew each time, so that the first of its two runs is a
// full load and the second an incremental one, in a fresh data directory and in
// one that has seen the demo before.
func (env *environment) demo(ctx context.Context, d *data, rows int) error {
	file := control.SampleFile(d.Store.Dir())
	r := demoReport{DataDir: d.Store.Dir(), Sample: file, Question: demoQuestion}
	env.say("making a sample shop of about %s rows at %s", count(int64(rows)), file)
	if err := makeSample(ctx, file, rows); err != nil {
		return &environmentError{err}
	}
	req := control.SyncRequest{
		From: connectors.Config{Type: string(model.SourceSQLite), Database: file},
		To:   connectors.Config{Type: string(model.DestinationEmbedded)}, Mode: model.SyncAuto, LoadMode: model.LoadDirect, FullRefresh: true,
	}
	var err error
	if r.First, err = env.demoSync(ctx, d, req, "copying it into the built-in warehouse"); err != nil {
		return err
	}
	changes, err := sample.Change(ctx, file, 1)
	if err != nil {
		return err
	}
	r.Changes = changes.Total()
	env.say("changed the shop: %d rows updated, %d inserted, %d soft-deleted", r.Changes.Updated, r.Changes.Inserted, r.Changes.SoftDeleted)
	req.FullRefresh = false
	if r.Second, err = env.demoSync(ctx, d, req, "copying what is new"); err != nil {
		return err
	}
	env.say("comparing every row of both sides")
	if r.Comparison, err = d.Verify(ctx, r.Second.Pipeline); err != nil {
		return err
	}
	r.Equal = len(r.Comparison) == len(sample.Tables())
	for _, v := range r.Comparison {
		r.Equal = r.Equal && v.Equal
	}
	if r.Answer, err = ask(ctx, control.WarehouseDir(r.DataDir), demoQuestion); err != nil {
		return err
	}
	if err := env.printDemo(r); err != nil {
		return err
	}
	if !r.Equal {
		return errors.New("the warehouse does not hold what the shop holds: see the comparison")
	}
	return nil
}

func makeSample(ctx context.Context, file string, rows int) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(file + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return sample.Create(ctx, file, rows)
}

// demoSync runs one of the demo's two syncs; a failed one ends the demo.
func (env *environment) demoSync(ctx context.Context, d *data, req control.SyncRequest, what string) (engine.Report, error) {
	env.say("%s", what)
	var stop func()
	req.Progress, stop = env.progress()
	r, err := d.Sync(ctx, req)
	stop()
	if err != nil {
		return r, err
	}
	if code := runCode(r); code != exitOK {
		return r, errors.Join(env.printReport(r), &codeError{code})
	}
	return r, nil
}

// say tells a person on standard error what goes on.
func (env *environment) say(format string, args ...any) {
	if !env.flags.quiet {
		_, _ = fmt.Fprintf(env.Err, format+"\n", args...)
	}
}

func (env *environment) printDemo(r demoReport) error {
	if env.flags.json {
		return writeJSON(env.Out, r)
	}
	t := newTable(env.Out, "TABLE", "FIRST LOAD", "ROWS/S", "CHANGED", "WATERMARK BEFORE", "WATERMARK AFTER", "COMPARED", "EQUAL")
	for i, second := range r.Second.Tables {
		first, v := r.First.Tables[i], r.Comparison[i]
		t.row(second.Table, count(first.RowsLoaded), rate(first.RowsLoaded, first.DurationMS), count(second.RowsLoaded),
			dash(second.WatermarkBefore), dash(second.WatermarkAfter), count(v.Rows), yes(v.Equal))
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, v := range r.Comparison {
		for _, e := range v.Examples {
			_, _ = fmt.Fprintf(env.Out, "%s: %s\n", v.Table, e)
		}
	}
	_, _ = fmt.Fprintf(env.Out, "\nfirst load: %s rows in %s; incremental: %s rows in %s\n\n%s\n\n", count(r.First.RowsLoaded), millis(r.First.DurationMS),
		count(r.Second.RowsLoaded), millis(r.Second.DurationMS), r.Question)
	answer := newTable(env.Out, "STATUS", "ORDERS", "TOTAL")
	for _, row := range r.Answer {
		answer.row(row["status"], cell(row["orders"]), cell(row["total"]))
	}
	if err := answer.flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(env.Out, "\nThe warehouse is in %s. Ask it more:\n  arus query --data %s \"SELECT * FROM orders LIMIT 10\"\n",
		control.WarehouseDir(r.DataDir), quoteArg(r.DataDir))
	return err
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "NO"
}

// quoteArg makes a path safe to paste into a shell.
func quoteArg(s string) string {
	if strings.ContainsAny(s, " '\"$`\\*?&;()<>|") {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}

// ask answers a question from the warehouse with rows by column name.
func ask(ctx context.Context, dir, sql string) ([]map[string]any, error) {
	rows, err := control.Query(ctx, dir, sql, 0)
	if err != nil {
		return nil, err
	}
	out := []map[string]any{}
	for {
		values, ok := rows.Next()
		if !ok {
			return out, errors.Join(rows.Err(), rows.Close())
		}
		row := make(map[string]any, len(values))
		for i, c := range rows.Columns() {
			row[c] = values[i]
		}
		out = append(out, row)
	}
}
