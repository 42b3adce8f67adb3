package engine

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"

	"arus/app/model"
	"arus/connectors"
)

// bigTable is the number of rows above which what one incremental run loaded is
// not counted in the target: the count reads all of it.
const bigTable = 10_000_000

// checkQuality compares what the destination holds with what was sent, and
// stores the findings. It never fails the table.
func (c *tableCopy) checkQuality(ctx context.Context) {
	options := c.job.Pipeline.Options.Quality
	if options.Off || c.landed.total == 0 && c.landed.read == 0 {
		return
	}
	checks, err := c.countTarget(ctx)
	if err != nil {
		c.log(ctx, slog.LevelWarn, "the load was not checked: "+err.Error())
	}
	if options.Checksum {
		check, err := c.compareWindow(ctx)
		if err != nil {
			c.log(ctx, slog.LevelWarn, "the loaded rows were not compared with the source: "+err.Error())
		} else {
			checks = append(checks, check)
		}
	}
	if len(checks) == 0 {
		return
	}
	for i := range checks {
		q := &checks[i]
		q.PipelineID, q.RunID, q.TableName = c.job.Pipeline.ID, c.run.ID, c.stat.TableName
		if q.Status != model.CheckPassed {
			c.log(ctx, slog.LevelWarn, fmt.Sprintf("%s %s: %s", q.Type, q.Status, q.Message))
		}
	}
	c.checks = checks
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	if err := c.engine.State.SaveQuality(end, checks); err != nil {
		c.log(ctx, slog.LevelWarn, "record the checks: "+err.Error())
	}
}

// threshold is the discrepancy in percent that is tolerated.
func (j *Job) threshold() float64 {
	if t := j.Pipeline.Options.Quality.ThresholdPct; t != nil {
		return *t
	}
	return j.Threshold
}

// countTarget counts the rows and the nulls of what was loaded: the whole target
// after a load of everything, else the rows of this run, unless the server told
// of each of them when it merged them.
func (c *tableCopy) countTarget(ctx context.Context) ([]model.QualityCheck, error) {
	counter, ok := c.destination.(connectors.Counter)
	if !ok {
		return nil, nil
	}
	out, replaced := c.landed, c.plan.load == connectors.Replace
	if !replaced && (out.loaded == 0 && out.dead == 0 || c.table.RowEstimate > bigTable) {
		return nil, nil
	}
	var required []string
	for _, col := range c.shape.load {
		if c.required(col) {
			required = append(required, col.Name)
		}
	}
	req := connectors.CountRequest{Target: c.job.Names.Target(c.table, c.config), Nulls: required}
	if !replaced {
		req.RunID = c.run.ID
	}
	counts := connectors.Counts{Rows: out.total, Nulls: make([]int64, len(required))}
	if !out.proven { // a count reads all of the target
		turn := c.turn(c.destination)
		turn.take(ctx)
		defer turn.give()
		var err error
		if counts, err = counter.Count(ctx, req); err != nil {
			return nil, err
		}
	}
	checks := []model.QualityCheck{rowCount(out.total+out.dead, counts.Rows, c.job.threshold())}
	if len(required) > 0 {
		checks = append(checks, nullCheck(required, counts.Nulls))
	}
	return checks, nil
}

// required says whether every row has to have a value in the column.
func (c *tableCopy) required(col connectors.Column) bool {
	return !col.Nullable || slices.Contains(c.plan.key, col.Name)
}

// rowCount compares the rows to load, dead letters among them, with those that
// are there.
func rowCount(sent, held int64, threshold float64) model.QualityCheck {
	q := model.QualityCheck{Type: model.CheckRowCount, Status: model.CheckPassed, RowsExtracted: sent, RowsLoaded: held}
	if sent == held {
		return q
	}
	q.DiscrepancyPct = 100 * math.Abs(float64(sent-held)) / float64(max(sent, 1))
	q.Status = model.CheckWarning
	if q.DiscrepancyPct > threshold {
		q.Status = model.CheckFailed
	}
	q.Message = fmt.Sprintf("%d rows were to be loaded and the target holds %d of them, %.4g %% off; %.4g %% are tolerated", sent, held, q.DiscrepancyPct, threshold)
	return q
}

func nullCheck(required []string, nulls []int64) model.QualityCheck {
	q := model.QualityCheck{Type: model.CheckNulls, Status: model.CheckPassed, RequiredColumns: strings.Join(required, ", ")}
	var found []string
	for i, n := range nulls {
		if n > 0 {
			found = append(found, fmt.Sprintf("%s(%d)", required[i], n))
		}
	}
	if len(found) > 0 {
		q.Status, q.NullColumns = model.CheckWarning, strings.Join(found, ", ")
		q.Message = "required columns without a value: " + q.NullColumns
	}
	return q
}

// compareWindow reads the loaded window on both sides and compares every value.
// Rows that the source has changed meanwhile have left its window: only rows
// that are missing or differ in the target count.
func (c *tableCopy) compareWindow(ctx context.Context) (model.QualityCheck, error) {
	q := model.QualityCheck{Type: model.CheckChecksum, Status: model.CheckPassed}
	if c.transforms != nil {
		return q, fmt.Errorf("the table's transforms make other rows of them")
	}
	if c.job.Readback == nil {
		return q, fmt.Errorf("the destination cannot be read")
	}
	back, err := c.job.Readback(ctx)
	if err != nil {
		return q, err
	}
	defer func() { _ = back.Close() }()
	ref := c.job.Names.Target(c.table, c.config)
	found, err := back.Tables(ctx, connectors.TableFilter{Schemas: []string{ref.Schema}, Names: []string{ref.Name}})
	if err != nil {
		return q, err
	}
	if len(found) == 0 {
		return q, fmt.Errorf("%s is not found for reading", ref)
	}
	left := c.table
	left.Columns = c.shape.read
	window := c.loadWindow()
	d, err := Compare(ctx, Side{Source: c.source, Table: left, Window: window}, Side{Source: back, Table: found[0], Window: window}, c.plan.key)
	if err != nil {
		return q, err
	}
	off := d.Missing + d.Changed
	q.RowsExtracted, q.RowsLoaded = d.Rows, d.Rows-off
	if off == 0 {
		return q, nil
	}
	q.DiscrepancyPct = 100 * float64(off) / float64(max(d.Rows, 1))
	q.Status = model.CheckFailed
	if window == nil || c.stat.RowsFailed > 0 || len(c.replaced) > 0 || c.removes() {
		q.Status = model.CheckWarning // the source may have moved on, or rows were set aside and mended on purpose
	}
	q.Message = fmt.Sprintf("%d rows are missing in the target and %d differ from the source: %s", d.Missing, d.Changed, strings.Join(d.Examples, "; "))
	return q, nil
}
