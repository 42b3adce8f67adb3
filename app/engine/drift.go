package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"arus/app/model"
	"arus/connectors"
)

// SchemaState is what the engine keeps of schemas.
type SchemaState interface {
	// TableSchema gives a zero schema (UpdatedAt is zero) when none is stored.
	TableSchema(ctx context.Context, pipelineID, sourceTable string) (model.TableSchema, error)
	SaveTableSchema(ctx context.Context, s *model.TableSchema) error
	// RecordSchemaChanges stores what was found and returns it in its order,
	// with what was decided about changes that were found before.
	RecordSchemaChanges(ctx context.Context, pipelineID, sourceTable, runID string, found []model.SchemaChange) ([]model.SchemaChange, error)
	// FollowSchemaChanges closes changes that a run has followed.
	FollowSchemaChanges(ctx context.Context, runID string, ids []string) error
}

// drift is how the schema of a table differs from what its target holds, and
// what this run does about it.
type drift struct {
	stored  model.TableSchema
	held    []heldColumn          // of the target; nil when nothing is known of it
	present []string              // columns that the target has
	key     []string              // of this run
	changes []model.SchemaChange  // as recorded
	byName  map[string][]foundOne // changes by column
	reset   bool                  // the table is read whole and its target made anew
	fresh   bool                  // there is no target, or it is made as the source is
	follow  []string              // changes that this run follows
}

// foundOne is a change of one column, with the type that holds both.
type foundOne struct {
	model.SchemaChange
	joined connectors.Type // of TypeWidened
}

// findDrift compares the table with what its target holds, records what changed,
// and refuses what the policy does not let pass.
func (c *tableCopy) findDrift(ctx context.Context, existing connectors.Table, exists bool) error {
	stored, err := c.engine.State.TableSchema(ctx, c.job.Pipeline.ID, c.stat.TableName)
	if err != nil {
		return fmt.Errorf("read the stored schema: %w", err)
	}
	found, err := c.compareTarget(stored, existing, exists)
	if err != nil || !exists {
		return err
	}
	d := c.drift
	if c.job.Agreed {
		found = slices.DeleteFunc(found, func(f foundOne) bool { return f.Kind != model.KeyChanged })
	}
	if len(found) > 0 || d.stored.Open > 0 && !c.job.Agreed {
		list := make([]model.SchemaChange, len(found))
		for i, f := range found {
			list[i] = f.SchemaChange
		}
		if d.changes, err = c.engine.State.RecordSchemaChanges(ctx, c.job.Pipeline.ID, c.stat.TableName, c.run.ID, list); err != nil {
			return fmt.Errorf("record the schema's changes: %w", err)
		}
	}
	for i := range found {
		found[i].SchemaChange = d.changes[i]
		d.byName[found[i].Column] = append(d.byName[found[i].Column], found[i])
	}
	if c.job.FullRefresh {
		d.fresh = true
		d.followAll()
		return nil
	}
	return c.judge(ctx)
}

// compareTarget begins a table's drift: the differences between its source and
// what is stored and known of its target.
func (c *tableCopy) compareTarget(stored model.TableSchema, existing connectors.Table, exists bool) (found []foundOne, err error) {
	d := &drift{stored: stored, byName: map[string][]foundOne{}}
	c.drift = d
	if d.key, err = chooseKey(c.table, c.config.KeyColumns); err != nil {
		return nil, err
	}
	d.key = c.madeKey(d.key)
	if !exists {
		d.fresh = true
		return nil, nil
	}
	if d.held, err = parseHeld(stored); err != nil {
		return nil, err
	}
	c.settleHeld(existing)
	return c.compareSchemas(), nil
}

// settleHeld makes the held columns those that the target really has: it may
// have been loaded before schemas were kept, or have been changed by hand.
func (c *tableCopy) settleHeld(existing connectors.Table) {
	d := c.drift
	d.present = connectors.ColumnNames(existing.Columns)
	if d.held != nil {
		d.held = slices.DeleteFunc(d.held, func(h heldColumn) bool { _, ok := existing.Column(h.Name); return !ok })
		return
	}
	for _, col := range c.made {
		if _, ok := existing.Column(col.Name); ok {
			d.held = append(d.held, holdColumns([]connectors.Column{col})...)
		}
	}
	for _, col := range existing.Columns {
		if existing.Declared {
			break // what no load brought is none of the loads' business
		}
		known := slices.ContainsFunc(d.held, func(h heldColumn) bool { return strings.EqualFold(h.Name, col.Name) })
		if !known && col.Name != connectors.MetaDeletedAt {
			h := holdColumns([]connectors.Column{col})[0]
			h.Gone = true
			d.held = append(d.held, h)
		}
	}
}

// compareSchemas lists the differences between the source's table and the held
// columns.
func (c *tableCopy) compareSchemas() []foundOne {
	d := c.drift
	var found []foundOne
	add := func(kind model.ChangeKind, column, from, to string, joined connectors.Type) {
		found = append(found, foundOne{model.SchemaChange{Kind: kind, Column: column, From: from, To: to}, joined})
	}
	_, settles := c.source.(connectors.Settler)
	for _, col := range c.made {
		at := findHeld(d.held, col.Name)
		if at < 0 {
			add(model.ColumnAdded, col.Name, "", col.Type.String(), col.Type)
			continue
		}
		h := d.held[at]
		was := h.Type.logical()
		joined, ok := connectors.Widen(was, col.Type)
		switch {
		case was.Equal(col.Type):
		case !ok:
			add(model.TypeIncompatible, col.Name, was.String(), col.Type.String(), was)
		case !joined.Equal(was):
			add(model.TypeWidened, col.Name, was.String(), joined.String(), joined)
		case !settles && was.String() != col.Type.String(): // types that follow the values come and go
			add(model.TypeNarrowed, col.Name, was.String(), col.Type.String(), was)
		}
		if col.Nullable && !h.Nullable && !slices.Contains(d.key, col.Name) {
			add(model.NullAllowed, col.Name, "not null", "null", was)
		}
	}
	for _, h := range d.held {
		if !h.Gone && findColumn(c.made, h.Name) < 0 {
			add(model.ColumnRemoved, h.Name, h.Type.logical().String(), "", connectors.Type{})
		}
	}
	if !d.stored.UpdatedAt.IsZero() && !slices.Equal(d.stored.Key, d.key) {
		add(model.KeyChanged, "", strings.Join(d.stored.Key, ", "), strings.Join(d.key, ", "), connectors.Type{})
	}
	return found
}

// does says what this run does about a change: a person's decision goes before
// the policy.
func (c *tableCopy) does(change model.SchemaChange) model.DriftPolicy {
	switch change.Status {
	case model.ChangeApplied:
		return model.DriftEvolve
	case model.ChangeIgnored:
		return model.DriftReport
	}
	return c.job.driftPolicy()
}

// driftPolicy is the pipeline's own policy, else the one for those without.
func (j *Job) driftPolicy() model.DriftPolicy {
	switch {
	case j.Pipeline.Options.Drift != "":
		return j.Pipeline.Options.Drift
	case j.Drift != "":
		return j.Drift
	}
	return model.DriftEvolve
}

// judge refuses what may not pass, and finds out whether a person has decided
// that the target is to be made anew.
func (c *tableCopy) judge(ctx context.Context) error {
	d := c.drift
	var frozen []string
	c.changes = nil // of this attempt
	for _, change := range d.changes {
		does := c.does(change)
		if does == model.DriftFreeze {
			frozen = append(frozen, describeChange(change))
		}
		if change.RunID == c.run.ID {
			c.changes = append(c.changes, change)
			c.log(ctx, slog.LevelWarn, "the source's schema has changed: "+describeChange(change))
		}
		switch change.Kind {
		case model.TypeIncompatible, model.TypeNarrowed, model.KeyChanged:
			d.reset = d.reset || change.Status == model.ChangeApplied
		}
	}
	if len(frozen) > 0 {
		return &connectors.Error{
			Kind: connectors.KindConflict, Op: "load", Object: c.stat.TableName,
			Err:  fmt.Errorf("the pipeline's schema is frozen and the source's has changed: %s", strings.Join(frozen, "; ")),
			Hint: "decide about each change (arus drift apply or ignore), or run a full refresh",
		}
	}
	if d.reset {
		d.fresh = true
		d.followAll()
	}
	return nil
}

// checkKey refuses to merge by another key than the target has. A load of
// everything makes the target anew.
func (c *tableCopy) checkKey() error {
	d := c.drift
	at := slices.IndexFunc(d.changes, func(ch model.SchemaChange) bool { return ch.Kind == model.KeyChanged })
	if d.fresh || at < 0 {
		return nil
	}
	change := d.changes[at]
	if c.plan.load == connectors.Replace && c.does(change) == model.DriftEvolve {
		d.follow = append(d.follow, change.ID)
		return nil
	}
	return &connectors.Error{
		Kind: connectors.KindConflict, Op: "load", Object: c.stat.TableName,
		Err:  errors.New(describeChange(change) + ", and rows cannot be told apart by the old one any more"),
		Hint: "run a full refresh of the table: arus run PIPELINE --full-refresh --table " + c.stat.TableName,
	}
}

func (d *drift) followAll() {
	for _, change := range d.changes {
		d.follow = append(d.follow, change.ID)
	}
}

func describeChange(c model.SchemaChange) string {
	switch c.Kind {
	case model.ColumnAdded:
		return fmt.Sprintf("column %s of type %s is new", c.Column, c.To)
	case model.ColumnRemoved:
		return fmt.Sprintf("column %s of type %s is gone", c.Column, c.From)
	case model.TypeWidened:
		return fmt.Sprintf("column %s was %s and needs %s now", c.Column, c.From, c.To)
	case model.TypeNarrowed:
		return fmt.Sprintf("column %s was %s and is %s now", c.Column, c.From, c.To)
	case model.TypeIncompatible:
		return fmt.Sprintf("column %s was %s and is %s now, which has other values", c.Column, c.From, c.To)
	case model.NullAllowed:
		return fmt.Sprintf("column %s takes NULL now", c.Column)
	case model.KeyChanged:
		return fmt.Sprintf("the key was (%s) and is (%s) now", c.From, c.To)
	}
	return string(c.Kind)
}

// keepSchema stores what the target holds now. It goes before the checkpoint: a
// crash between the two leaves a schema that is true.
func (c *tableCopy) keepSchema(ctx context.Context, out outcome) error {
	d := c.drift
	columns, same, err := c.schemaKept()
	if err != nil {
		return fmt.Errorf("record the schema: %w", err)
	}
	s := d.stored
	s.PipelineID, s.SourceTable = c.job.Pipeline.ID, c.stat.TableName
	replaced := c.plan.load == connectors.Replace
	if replaced {
		s.BaseRunID = c.run.ID
		if out.base != "" {
			s.BaseRunID = out.base
		}
		s.ReconciledAt = c.engine.Now()
	}
	s.Columns, s.Key = columns, c.plan.key
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	if !same || replaced {
		if err := c.engine.State.SaveTableSchema(end, &s); err != nil {
			return fmt.Errorf("record the schema: %w", err)
		}
	}
	d.stored = s
	if len(d.follow) == 0 {
		return nil
	}
	if err := c.engine.State.FollowSchemaChanges(end, c.run.ID, d.follow); err != nil {
		return fmt.Errorf("record the schema's changes: %w", err)
	}
	return nil
}

// schemaKept is what the target holds in the form that the state keeps, and says
// whether the state has it already.
func (c *tableCopy) schemaKept() (columns []byte, same bool, err error) {
	s := c.drift.stored
	columns, err = json.Marshal(c.shape.held)
	return columns, string(s.Columns) == string(columns) && slices.Equal(s.Key, c.plan.key) && !s.UpdatedAt.IsZero(), err
}

// reconciled records that the target has no row that the source has not.
func (c *tableCopy) reconciled(ctx context.Context, at time.Time) error {
	c.drift.stored.ReconciledAt = at
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	if err := c.engine.State.SaveTableSchema(end, &c.drift.stored); err != nil {
		return fmt.Errorf("record the comparison of keys: %w", err)
	}
	return nil
}
