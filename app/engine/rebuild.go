package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"arus/app/model"
	"arus/connectors"
)

// runRebuild makes the targets of raw tables anew from their staging tables
// alone. The source is not asked: the columns are those that the state keeps.
func (e *Engine) runRebuild(ctx context.Context, job *Job, run model.Run, log *runLog) ([]TableReport, error) {
	destination, err := job.OpenDestination(ctx)
	if err != nil {
		return nil, err
	}
	defer cutAfter(ctx, destination)()
	defer func() { _ = destination.Close() }()
	builder, ok := destination.(connectors.Rebuilder)
	if !ok {
		return nil, &connectors.Error{
			Kind: connectors.KindUnsupported, Op: "rebuild", Object: job.Pipeline.Name,
			Err: errors.New("this destination cannot build tables from raw rows"), Hint: "run a full refresh",
		}
	}
	var reports []TableReport
	for _, cfg := range job.Pipeline.Tables {
		if !cfg.Enabled || len(job.Only) > 0 && !slices.Contains(job.Only, cfg.Key()) || len(job.Only) == 0 && cfg.LoadMode != model.LoadRaw {
			continue
		}
		c := &tableCopy{engine: e, job: job, runLog: log, config: cfg, table: Configured(cfg), run: run, destination: destination}
		reports = append(reports, c.separately(ctx, func(ctx context.Context) error { return c.rebuild(ctx, builder) }))
	}
	return reports, nil
}

func (c *tableCopy) rebuild(ctx context.Context, builder connectors.Rebuilder) error {
	refuse := func(hint, format string, args ...any) error {
		return &connectors.Error{Kind: connectors.KindConflict, Op: "rebuild", Object: c.stat.TableName, Err: fmt.Errorf(format, args...), Hint: hint}
	}
	target := c.job.Names.Target(c.table, c.config)
	c.stat.Target = target.String()
	if c.config.LoadMode != model.LoadRaw {
		return refuse("run a full refresh", "the table is loaded directly and has no raw rows")
	}
	stored, err := c.engine.State.TableSchema(ctx, c.job.Pipeline.ID, c.stat.TableName)
	if err != nil {
		return fmt.Errorf("read the stored schema: %w", err)
	}
	columns, err := HeldColumns(stored)
	if err != nil {
		return err
	}
	if stored.UpdatedAt.IsZero() {
		return refuse("run the pipeline first", "it is not known which columns its target holds")
	}
	if len(stored.Key) == 0 {
		return refuse("run a full refresh", "the table has no key, so raw rows that replace each other cannot be told apart")
	}
	c.plan.key = stored.Key
	if c.marks() {
		columns = append(columns, markColumn())
	}
	req := connectors.RebuildRequest{
		Raw: c.job.Names.Raw(c.job.SourceName, c.table), Target: target, Columns: columns, Key: stored.Key, Base: stored.BaseRunID,
	}
	result, err := builder.Rebuild(ctx, req)
	if err != nil && ctx.Err() == nil && !connectors.Retryable(err) {
		req.Fitting = true
		refused := err
		if result, err = builder.Rebuild(ctx, req); err == nil {
			c.log(ctx, slog.LevelWarn, "raw rows that are dead letters are left out, since the table still refuses one of them: "+refused.Error())
		}
	}
	if err != nil {
		return err
	}
	c.stat.RowsExtracted, c.stat.RowsLoadedAnalytics = result.Rows, result.Rows
	c.log(ctx, slog.LevelInfo, fmt.Sprintf("built %s anew from its raw rows: %d rows", target, result.Rows))
	return nil
}
