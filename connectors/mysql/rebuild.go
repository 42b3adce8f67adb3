package mysql

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"arus/connectors"
)

const (
	builtTable = "built"
	newest     = "_arus_newest"
)

// Rebuild makes the target anew from its staging table. Which row of a key is the newest is found by a temporary table
// with the key in the target's own types, so that keys are told apart as they are there.
func (d *destination) Rebuild(ctx context.Context, req connectors.RebuildRequest) (connectors.LoadResult, error) {
	const op = "rebuild"
	var result connectors.LoadResult
	err := d.locked(ctx, op, req.Target, func(l *load) (err error) {
		b := build{load: l, req: req}
		l.req = connectors.LoadRequest{Columns: req.Columns, Key: req.Key, Mode: connectors.Replace}
		// Another shadow than a load's: what is found there belongs to no run that did not finish.
		l.shadow = l.helper(builtTable)
		if err := l.drop(ctx, l.shadow, l.old); err != nil {
			return err
		}
		if err := b.open(ctx, op); err != nil {
			return err
		}
		if err := l.ss.makeSchema(ctx, l.target.Schema); err != nil {
			return err
		}
		if l.columns, err = l.ss.flavour.targetColumns(l.target.String(), req.Columns, req.Key); err != nil {
			return err
		}
		if err := l.lookAtTarget(ctx); err != nil {
			return err
		}
		result.Rows, err = b.run(ctx)
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
		defer cancel()
		if err != nil {
			_ = l.drop(ending, l.shadow)
			return err
		}
		_ = l.drop(ending, l.old)
		return nil
	})
	return result, err
}

// build is what a typed table is made of.
type build struct {
	*load

	req     connectors.RebuildRequest
	staging connectors.TableRef
	after   string // the condition on the staging table for the rows of the base and later ones
}

// open finds the staging table and where the base begins in it.
func (b *build) open(ctx context.Context, op string) (err error) {
	if b.staging, err = b.d.complete(b.req.Raw); err != nil {
		return err
	}
	notFound := func(text string) error {
		return &connectors.Error{Kind: connectors.KindNotFound, Op: op, Object: b.staging.String(), Err: errors.New(text), Hint: "copy the table in full"}
	}
	kind, err := b.ss.tableType(ctx, b.staging)
	if err != nil {
		return err
	}
	if kind == "" {
		return notFound("there is no such staging table")
	}
	b.after = "1 = 1"
	if b.req.Fitting {
		b.after = fits()
	}
	if b.req.Base == "" {
		return nil
	}
	row, err := b.ss.queryRow(ctx, "SELECT MIN("+ident(rawID)+") FROM "+qualified(b.staging)+" WHERE "+ident(rawRunID)+" = "+literal(b.req.Base))
	if err != nil {
		return err
	}
	if !row[0].Valid {
		return notFound("no row of the run " + b.req.Base + " is staged")
	}
	b.after += " AND " + ident(rawID) + " >= " + row[0].String
	return nil
}

// run fills the shadow and swaps it in.
func (b *build) run(ctx context.Context) (rows int64, err error) {
	l := b.load
	if err := l.create(ctx, l.shadow); err != nil {
		return 0, err
	}
	present := "COALESCE(JSON_TYPE(JSON_EXTRACT(" + ident(rawData) + ", " + literal(`$."`+connectors.MetaDeletedAt+`"`) + ")), 'NULL') = 'NULL'"
	from := qualified(b.staging) + " WHERE " + b.after + " AND " + present
	if len(b.req.Key) > 0 {
		keys, err := b.newest(ctx, b.after)
		if err != nil {
			return 0, err
		}
		from = qualified(keys) + " JOIN " + qualified(b.staging) + " ON " + ident(rawID) + " = " + ident(newest) + " WHERE " + present
	}
	names := append(connectors.ColumnNames(l.req.Columns), connectors.MetaRunID, connectors.MetaSyncedAt)
	rows, err = l.ss.exec(ctx, "INSERT INTO "+qualified(l.shadow)+" ("+connectors.QuoteList(names, '`')+") SELECT "+l.unpacked()+", "+
		ident(rawRunID)+", "+ident(rawExtracted)+" FROM "+from)
	if err != nil {
		return 0, err
	}
	if err := l.ss.warnings(ctx); err != nil {
		return 0, err
	}
	return rows, l.swap(ctx)
}

// newest makes a temporary table of each key and the id of its newest row.
func (b *build) newest(ctx context.Context, where string) (connectors.TableRef, error) {
	keys := connectors.TableRef{Schema: b.target.Schema, Name: loadTable}
	var parts, exprs []string
	for _, name := range b.req.Key {
		i := slices.IndexFunc(b.columns, func(c column) bool { return strings.EqualFold(c.Name, name) })
		if i < 0 {
			return keys, &connectors.Error{Kind: connectors.KindInvalid, Op: "rebuild", Object: b.target.String(), Err: errors.New("the key's column " + name + " is not among the columns")}
		}
		parts, exprs = append(parts, b.columns[i].ddl()), append(exprs, b.ss.flavour.fromJSON(b.columns[i].Column))
	}
	parts = append(parts, ident(newest)+" bigint NOT NULL", "PRIMARY KEY ("+connectors.QuoteList(b.req.Key, '`')+")", "KEY ("+ident(newest)+")")
	for _, statement := range []string{
		"CREATE TEMPORARY TABLE " + qualified(keys) + " (" + strings.Join(parts, ", ") + ") ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4",
		"INSERT INTO " + qualified(keys) + " (" + connectors.QuoteList(append(slices.Clone(b.req.Key), newest), '`') + ") SELECT " + strings.Join(exprs, ", ") + ", " + ident(rawID) +
			" FROM " + qualified(b.staging) + " WHERE " + where + " ORDER BY " + ident(rawID) + " ON DUPLICATE KEY UPDATE " + ident(newest) + " = VALUES(" + ident(newest) + ")",
	} {
		if _, err := b.ss.exec(ctx, statement); err != nil {
			return keys, err
		}
	}
	return keys, b.ss.warnings(ctx)
}

// PruneRaw deletes what a rebuild from the base does not need. Without a key only what came before the base is known to be
// superseded.
func (d *destination) PruneRaw(ctx context.Context, req connectors.RebuildRequest, t time.Time) (int64, error) {
	const op = "prune the staging table of"
	var deleted int64
	err := d.locked(ctx, op, req.Target, func(l *load) (err error) {
		b := build{load: l, req: req}
		if err := b.open(ctx, op); err != nil {
			return err
		}
		old := ident(rawExtracted) + " < " + literal(t.UTC().Format("2006-01-02 15:04:05.000000"))
		if req.Base != "" {
			old += " AND NOT (" + b.after + ")"
		} else {
			old += " AND " + fits()
		}
		if len(req.Key) == 0 {
			if req.Base != "" {
				deleted, err = l.ss.exec(ctx, "DELETE FROM "+qualified(b.staging)+" WHERE "+old)
			}
			return err
		}
		if l.columns, err = l.ss.flavour.targetColumns(l.target.String(), req.Columns, req.Key); err != nil {
			return err
		}
		keys, err := b.newest(ctx, fits())
		if err != nil {
			return err
		}
		deleted, err = l.ss.exec(ctx, "DELETE "+qualified(b.staging)+" FROM "+qualified(b.staging)+" LEFT JOIN "+qualified(keys)+" ON "+ident(newest)+" = "+ident(rawID)+
			" WHERE "+ident(newest)+" IS NULL AND "+old)
		return err
	})
	return deleted, err
}
