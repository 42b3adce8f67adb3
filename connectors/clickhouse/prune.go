package clickhouse

import (
	"context"
	"strconv"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// PruneRaw copies the staging rows that stay and swaps the copy in.
func (d *Destination) PruneRaw(ctx context.Context, req connectors.RebuildRequest, before time.Time) (int64, error) {
	r, err := d.begin(ctx, opPrune, req)
	if err != nil {
		return 0, err
	}
	n, err := r.prune(ctx, before)
	if err != nil {
		err = r.failed(ctx, err)
	}
	_ = r.leave() // what cannot be dropped now the next load sweeps, or says why it cannot
	return n, err
}

func (r *rebuild) prune(ctx context.Context, before time.Time) (int64, error) {
	old, err := r.extractedBefore(before)
	if err != nil {
		return 0, err
	}
	n, err := r.count(ctx, "SELECT count() FROM "+qualified(r.req.Raw)+where(old))
	if err != nil || n == 0 {
		return 0, err
	}
	if len(r.req.Key) > 0 {
		newest, err := r.findKeys(ctx)
		if err != nil {
			return 0, err
		}
		old += " AND " + olderOfKey(newest)
		if n, err = r.count(ctx, "SELECT count() FROM "+qualified(r.req.Raw)+where(old)); err != nil || n == 0 {
			return 0, err
		}
	}
	kept := newShadow(r.req.Raw.Schema, r.req.Raw)
	if err := r.make(ctx, kept, r.createLike(kept, r.req.Raw, r.raw, true)); err != nil {
		return 0, err
	}
	if err := r.exec(ctx, r.copyRest(kept, r.req.Raw, r.raw.stored(), old)); err != nil {
		return 0, err
	}
	if err := r.held(); err != nil {
		return 0, err
	}
	return n, r.swapIn(ctx, r.req.Raw, kept, true)
}

// extractedBefore is the condition of rows that are old enough and not of the
// run Base or a later one.
func (r *rebuild) extractedBefore(before time.Time) (string, error) {
	c, _ := r.raw.column(rawExtracted)
	c.Type = metaColumns[1].Type
	text := string(connectors.AppendTimestamp(nil, arrow.Timestamp(before.UnixMicro()), 'T')) + "Z"
	value, err := boundLiteral(connectors.Bound{Kind: c.Type.Kind, Text: text}, c)
	if err != nil {
		return "", err
	}
	old := orderExpr(c) + " < " + value
	if r.req.Base != "" {
		old += " AND " + ident(rawID) + " < " + strconv.FormatUint(r.from, 10)
	} else {
		old += " AND " + fits()
	}
	return old, nil
}

// findKeys writes the key of every staging row beside its id.
func (r *rebuild) findKeys(ctx context.Context) (connectors.TableRef, error) {
	ref := newShadow(r.req.Raw.Schema, r.req.Raw)
	in := func(c connectors.Column) native { return native{c, r.columnType(c, true)} }
	columns := r.keyColumns()
	number := native{connectors.Column{Name: rawID, Type: versionColumn.Type}, "UInt64"}
	if err := r.make(ctx, ref, createKeys(ref, append(natives(columns, in), number), r.req.Key, rawID)); err != nil {
		return ref, err
	}
	keys, err := r.newStream(ctx, ref, columns, r.req.Key, in, []native{number})
	if err != nil {
		return ref, err
	}
	defer keys.close()
	if err := r.read(ctx, fits(), keys.add); err != nil {
		return ref, err
	}
	return ref, keys.flush(ctx)
}

// olderOfKey is the condition of rows that are not the newest of their key. No
// GROUP BY finds them: old servers end at one of several columns with a wide
// decimal among them.
func olderOfKey(keys connectors.TableRef) string {
	return ident(rawID) + " NOT IN (SELECT " + ident(rawID) + " FROM " + qualified(keys) + " FINAL)"
}
