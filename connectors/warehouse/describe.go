package warehouse

import (
	"context"
	"errors"
	"slices"
	"time"

	"arus/connectors/sqlite/lite"
	"arus/connectors/warehouse/schema"
)

// Description is what there is of a table, its rows aside. The times are zero
// where the job has not run.
type Description struct {
	Stats
	Table     *schema.Table
	Enums     schema.Enums
	LiveBytes int64 // of the live database
	LateRows  int64 // live rows of archived days
	LateBytes int64
	Days      []Day // of a fact table's files, the newest first

	Archived   time.Time
	Backfilled time.Time
	Snapshot   time.Time
	Purged     time.Time
}

// Rows counts the table's rows.
func (d Description) Rows() int64 { return d.LiveRows + d.FileRows }

// Bytes is what the table takes on disk.
func (d Description) Bytes() int64 { return d.LiveBytes + d.FileBytes }

// Day is one archived UTC day of a fact table.
type Day struct {
	Day    int64 // since 1970
	Files  int
	Rows   int64 // without hidden ones
	Hidden int64 // that newer rows replace
	Bytes  int64
}

// Describe looks at a table without opening its files.
func (s *Store) Describe(ctx context.Context, name string) (Description, error) {
	t, err := s.find(name)
	if err != nil {
		return Description{}, err
	}
	v, err := t.look(ctx)
	if err != nil {
		return Description{}, t.readError(fail(ctx, "open", name, err))
	}
	d, err := v.describe(ctx)
	return d, fail(ctx, "open", name, errors.Join(err, v.Close()))
}

func (v *View) describe(ctx context.Context) (Description, error) {
	d := Description{Table: v.layout.table, Enums: v.layout.enums}
	var err error
	if d.Stats, err = v.stats(ctx); err != nil {
		return d, err
	}
	for _, size := range []string{"PRAGMA page_count", "PRAGMA page_size"} {
		n, err := v.conn.One(ctx, size)
		if err != nil {
			return d, err
		}
		d.LiveBytes = max(1, d.LiveBytes) * lite.Int(n)
	}
	if v.layout.isFact() {
		if d.LateRows, d.LateBytes, err = (&txn{state: v.state, conn: v.conn}).late(ctx); err != nil {
			return d, err
		}
	}
	for name, at := range map[string]*time.Time{stateArchived: &d.Archived, stateBackfill: &d.Backfilled, stateSnapshot: &d.Snapshot, statePurged: &d.Purged} {
		if unix := v.values[name]; unix > 0 {
			*at = time.Unix(unix, 0).UTC()
		}
	}
	days := map[int64]*Day{}
	for _, p := range v.parts {
		if p.day == noDay {
			continue
		}
		day := days[p.day]
		if day == nil {
			day = &Day{Day: p.day}
			days[p.day] = day
		}
		day.Files++
		day.Rows += p.info.Rows - p.deadRows
		day.Hidden += p.deadRows
		day.Bytes += p.info.Bytes
	}
	for _, day := range days {
		d.Days = append(d.Days, *day)
	}
	slices.SortFunc(d.Days, func(a, b Day) int { return int(b.Day - a.Day) })
	return d, nil
}
