package engine

import (
	"errors"
	"fmt"
	"strings"

	"arus/app/model"
	"arus/connectors"
)

// Names says what targets are called: the schemas of the destination, what the
// pipeline set on purpose, and how long a name may be.
type Names struct {
	RawSchema     string
	TargetSchema  string
	MaxIdentifier int // bytes; 0 = no limit
}

// Target is the typed table of a source table: analytics.<table>, with the
// source schema in front of the name where it is not the source's default one.
func (n Names) Target(t connectors.Table, cfg model.PipelineTable) connectors.TableRef {
	ref := connectors.TableRef{Schema: n.TargetSchema, Name: cfg.TargetTable}
	if cfg.TargetSchema != "" {
		ref.Schema = cfg.TargetSchema
	}
	if ref.Name == "" {
		ref.Name = tableSlug(t)
	}
	ref.Name = n.shorten(ref.Name)
	return ref
}

// Raw is the landing table of raw mode: staging.<source>_<table>_raw.
func (n Names) Raw(source string, t connectors.Table) connectors.TableRef {
	return connectors.TableRef{Schema: n.RawSchema, Name: n.shorten(model.Slug(source) + "_" + tableSlug(t) + "_raw")}
}

func (n Names) shorten(name string) string {
	if n.MaxIdentifier <= 0 {
		return name
	}
	return connectors.Shorten(name, n.MaxIdentifier)
}

func tableSlug(t connectors.Table) string {
	if t.DefaultSchema || t.Schema == "" {
		return model.Slug(t.Name)
	}
	return model.Slug(t.Schema + "_" + t.Name)
}

// plan is what one table of a run will do.
type plan struct {
	mode      model.SyncMode // as it will really be read
	load      connectors.LoadMode
	watermark *connectors.Column // of the source
	source    []string           // the key by its names at the source
	key       []string           // the key by its names in the target
	target    connectors.TableRef
	raw       *connectors.RawTarget
	reason    string // why this mode, for the log
}

// planTable decides how a settled table is read and loaded. had is what the
// state knows; targetExists says whether there is a table to merge into.
func planTable(job *Job, t connectors.Table, cfg model.PipelineTable, had model.Watermark, targetExists bool) (plan, error) {
	p := plan{target: job.Names.Target(t, cfg)}
	if cfg.LoadMode == model.LoadRaw {
		p.raw = &connectors.RawTarget{Table: job.Names.Raw(job.SourceName, t)}
	}
	var err error
	if p.source, err = chooseKey(t, cfg.KeyColumns); err != nil {
		return plan{}, err
	}
	p.key = p.source
	if p.watermark, p.reason, err = chooseWatermark(t, cfg.WatermarkColumn); err != nil {
		return plan{}, err
	}
	p.mode = cfg.SyncMode
	switch job.SyncMethod {
	case model.SyncFullRefresh:
		p.mode, p.reason = model.ModeFullRefresh, "the source is set to full refresh"
	case model.SyncIncremental:
		p.mode = model.ModeIncremental
	}
	if p.mode == model.ModeIncremental && p.watermark == nil {
		p.mode = model.ModeFullRefresh
	}
	if p.mode == model.ModeFullRefresh {
		if cfg.SyncMode == model.ModeFullRefresh && job.SyncMethod != model.SyncFullRefresh {
			p.reason = "the table is set to full refresh"
		}
		p.load, p.watermark = connectors.Replace, nil
		if job.BackfillFrom != "" {
			return plan{}, &connectors.Error{
				Kind: connectors.KindInvalid, Op: "backfill", Object: t.String(),
				Err: errors.New("the table has no watermark column to start from"), Hint: "choose one, or run a full refresh",
			}
		}
		return p, nil
	}
	switch {
	case job.FullRefresh:
		p.load, p.reason = connectors.Replace, "a full refresh was asked for"
	case !targetExists:
		p.load = connectors.Replace
		p.reason += "; first load"
	case job.BackfillFrom == "" && had.Value != "" && had.Type != p.watermark.Type.Kind.String():
		p.load = connectors.Replace
		p.reason += fmt.Sprintf("; its type was %s and is %s now, so everything is read", had.Type, p.watermark.Type.Kind)
	case job.BackfillFrom == "" && (had.Value == "" || !strings.EqualFold(had.Column, p.watermark.Name)):
		p.load = connectors.Replace
		p.reason += "; no earlier watermark of this column, so everything is read"
	case len(p.key) == 0:
		p.load = connectors.ReplaceWindow
	default:
		p.load = connectors.Merge
	}
	return p, nil
}

// chooseKey is the configured key, else the primary key, else the first unique
// key of columns that are never null.
func chooseKey(t connectors.Table, configured []string) ([]string, error) {
	if len(configured) == 0 {
		if len(t.PrimaryKey) > 0 || len(t.UniqueKeys) == 0 {
			return t.PrimaryKey, nil
		}
		return t.UniqueKeys[0], nil
	}
	key := make([]string, len(configured))
	for i, name := range configured {
		c, ok := t.Column(name)
		if !ok {
			return nil, unknownColumn(t, "key", name)
		}
		key[i] = c.Name
	}
	return key, nil
}

func canOrder(k connectors.Kind) bool {
	switch k {
	case connectors.Timestamp, connectors.TimestampTZ, connectors.Date, connectors.Decimal, connectors.Numeric, connectors.Text, connectors.UUID:
		return true
	}
	return k.IsInteger()
}

func unknownColumn(t connectors.Table, what, name string) error {
	return &connectors.Error{
		Kind: connectors.KindInvalid, Op: "use as " + what + " column", Object: name,
		Err: fmt.Errorf("table %s has no such column", t.TableRef), Hint: "it has " + strings.Join(connectors.ColumnNames(t.Columns), ", "),
	}
}
