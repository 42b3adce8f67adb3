package clickhouse

import (
	"context"
	"fmt"
	"strconv"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"arus/connectors"
)

// staged is the staging table of a load in raw mode.
type staged struct {
	have      *relation // nil when it does not exist yet
	base      uint64    // _arus_id of the load's first row
	extracted string    // the type of _arus_extracted
	shadow    connectors.TableRef
}

const (
	rawID        = "_arus_id"
	rawExtracted = "_arus_extracted"
	rawData      = "_data"
)

// findStaging finds where the load's ids begin.
func (l *load) findStaging(ctx context.Context) error {
	table := l.req.Raw.Table
	if err := l.sweep(ctx, table.Schema, table); err != nil { // of a PruneRaw that was killed
		return err
	}
	have, err := l.lookUp(ctx, table)
	if err != nil {
		return err
	}
	l.staged = staged{have: have, base: 1, extracted: l.columnType(metaColumns[1], false)}
	if have == nil {
		return nil
	}
	if err := isStaging(have, l.op); err != nil {
		return err
	}
	c, _ := have.column(rawExtracted)
	l.staged.extracted = c.Native
	if err := l.clearStaging(ctx); err != nil {
		return err
	}
	return l.query(ctx, "SELECT max("+ident(rawID)+") FROM "+qualified(table), func(rows driver.Rows) error {
		err := rows.Scan(&l.staged.base)
		l.staged.base++
		return err
	})
}

// clearStaging removes what an earlier load of the run left in the staging table,
// by a copy of the rest that is swapped in.
func (l *load) clearStaging(ctx context.Context) error {
	if !l.req.Again || l.deletes() {
		return nil
	}
	table := l.req.Raw.Table
	own := ident(connectors.MetaRunID) + " = toUUID(" + literal(l.run.String()) + ") AND position(" + ident(rawData) + ", " + literal(markField+":") + ") = 0"
	n, err := l.count(ctx, "SELECT count() FROM "+qualified(table)+" WHERE "+own)
	if err != nil || n == 0 {
		return err
	}
	rest := newShadow(table.Schema, table)
	if err := l.make(ctx, rest, l.createLike(rest, table, l.staged.have, true)); err != nil {
		return err
	}
	if err := l.exec(ctx, l.copyRest(rest, table, l.staged.have.stored(), own)); err != nil {
		return err
	}
	return l.swapIn(ctx, table, rest, true)
}

func isStaging(r *relation, op string) error {
	for _, name := range []string{rawID, connectors.MetaRunID, rawExtracted, rawData} {
		if _, ok := r.column(name); !ok {
			return &connectors.Error{
				Kind: connectors.KindConflict, Op: op, Object: r.String(),
				Err: fmt.Errorf("the staging table has no column %s", name), Hint: "rename the table: it is not one that Arus made",
			}
		}
	}
	return nil
}

// makeStaging makes the staging table's shadow and what writes to it.
func (l *load) makeStaging(ctx context.Context, d dialect, bytes int) (*inserter, error) {
	table := l.req.Raw.Table
	l.staged.shadow = newShadow(table.Schema, l.req.Target)
	sql := d.createRaw(l.staged.shadow, false)
	if l.staged.have != nil {
		sql = d.createLike(l.staged.shadow, table, l.staged.have, false)
	}
	if err := l.make(ctx, l.staged.shadow, sql); err != nil {
		return nil, err
	}
	data := connectors.Column{Name: rawData, Type: connectors.Type{Kind: connectors.JSON}}
	w, err := l.newInserter(l.staged.shadow, []native{{data, "String"}}, []native{
		{connectors.Column{Name: rawID, Type: versionColumn.Type}, "UInt64"},
		{metaColumns[0], "UUID"},
		{connectors.Column{Name: rawExtracted, Type: metaColumns[1].Type}, l.staged.extracted},
	}, bytes)
	if err != nil {
		return nil, err
	}
	w.stamp = numbered(originOf(l.run, l.req.SyncedAt), l.staged.base)
	return w, nil
}

// fits is the condition of a staging row that its target holds.
func fits() string {
	const mark = `"` + connectors.MetaDeadLetter + `":true}`
	data := ident(rawData)
	return "substring(" + data + ", greatest(1, toInt64(length(" + data + ")) - " + strconv.Itoa(len(mark)-1) + ")) != " + literal(mark)
}

// attachRaw makes staged rows durable where they stay.
func (l *load) attachRaw(ctx context.Context, from connectors.TableRef) error {
	if err := l.exec(ctx, l.createRaw(l.req.Raw.Table, true)); err != nil {
		return err
	}
	return l.attachAll(ctx, l.req.Raw.Table, from)
}
