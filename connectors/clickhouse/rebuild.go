package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/uuid"

	"arus/connectors"
)

const (
	opRebuild = "rebuild"
	opPrune   = "prune the staging rows of"
)

// rebuild is one target whose staging rows are read again. No server parses them
// exactly (see feed), so they pass through the program, which keeps none of them:
// what is newest of each key the server finds by their ids.
type rebuild struct {
	site
	req  connectors.RebuildRequest
	raw  *relation
	from uint64 // the first id of the run Base
}

func (d *Destination) begin(ctx context.Context, op string, req connectors.RebuildRequest) (*rebuild, error) {
	r := &rebuild{site: site{db: d.db, op: op, ref: req.Target}, req: req}
	if err := r.prepare(ctx); err != nil {
		err = r.failed(ctx, err)
		_ = r.leave() // the first error tells more
		return nil, err
	}
	return r, nil
}

func (r *rebuild) prepare(ctx context.Context) error {
	check := load{site: r.site, req: connectors.LoadRequest{
		Target: r.req.Target, Columns: r.req.Columns, Key: r.req.Key, Mode: connectors.Replace,
		Raw: &connectors.RawTarget{Table: r.req.Raw}, RunID: uuid.Nil.String(),
	}}
	if err := check.check(); err != nil {
		return r.refuse(connectors.KindInvalid, "", err)
	}
	if err := check.checkKey(); err != nil {
		return err
	}
	schemas := []string{r.ref.Schema}
	if r.req.Raw.Schema != r.ref.Schema {
		schemas = append(schemas, r.req.Raw.Schema)
	}
	if r.op == opPrune {
		r.keep = isPart // an unfinished load in parts goes on afterwards
	}
	if err := r.enter(ctx, connectors.DefaultLockWait, schemas...); err != nil {
		return err
	}
	if r.op == opRebuild {
		check.site = r.site
		if err := check.checkTarget(ctx); err != nil {
			return err
		}
		r.target = check.target
	}
	if err := r.sweep(ctx, r.req.Raw.Schema, r.req.Raw); err != nil {
		return err
	}
	var err error
	if r.raw, err = r.find(ctx, r.op, r.req.Raw); err != nil {
		return err
	}
	if err := isStaging(r.raw, r.op); err != nil {
		return err
	}
	return r.findBase(ctx)
}

// findBase finds where the rows of the run Base begin. Ids grow from load to load.
func (r *rebuild) findBase(ctx context.Context) error {
	if r.req.Base == "" {
		return nil
	}
	id, err := uuid.Parse(r.req.Base)
	if err != nil {
		return r.refuse(connectors.KindInvalid, "", fmt.Errorf("run id: %w", err))
	}
	var rows uint64
	err = r.query(ctx, "SELECT count(), min("+ident(rawID)+") FROM "+qualified(r.req.Raw)+" WHERE "+ident(connectors.MetaRunID)+" = toUUID("+literal(id.String())+")",
		func(found driver.Rows) error { return found.Scan(&rows, &r.from) })
	if err != nil || rows > 0 {
		return err
	}
	return &connectors.Error{
		Kind: connectors.KindNotFound, Op: r.op, Object: r.req.Raw.String(), Err: fmt.Errorf("nothing is staged of the run %s", r.req.Base),
		Hint: "run a full refresh",
	}
}

// Rebuild makes a target anew from the staging rows of the run Base and later ones.
func (d *Destination) Rebuild(ctx context.Context, req connectors.RebuildRequest) (connectors.LoadResult, error) {
	r, err := d.begin(ctx, opRebuild, req)
	if err != nil {
		return connectors.LoadResult{}, err
	}
	result, err := r.build(ctx)
	if err != nil {
		err = r.failed(ctx, err)
	}
	_ = r.leave() // what cannot be dropped now the next load sweeps, or says why it cannot
	return result, err
}

// build writes every version of every row, then each key's newest to the table
// that is swapped in.
func (r *rebuild) build(ctx context.Context) (connectors.LoadResult, error) {
	var result connectors.LoadResult
	versions, err := r.makeLike(ctx)
	if err != nil {
		return result, err
	}
	written, err := r.fill(ctx, versions)
	if err != nil {
		return result, err
	}
	whole := versions
	if len(r.req.Key) > 0 {
		found, err := r.lookUp(ctx, versions)
		if err != nil {
			return result, err
		}
		if found == nil {
			return result, notThere(r.op, versions.String(), r.req.Key[0])
		}
		if result.Rows, err = r.count(ctx, selectCurrent(found, "count()")); err != nil {
			return result, err
		}
		if result.Rows != written { // readers of the table itself see each row once too
			if whole, err = r.makeLike(ctx); err != nil {
				return result, err
			}
			list := idents(found.stored())
			if err := r.exec(ctx, "INSERT INTO "+qualified(whole)+" ("+list+") "+selectCurrent(found, list)); err != nil {
				return result, err
			}
		}
	} else {
		result.Rows = written
	}
	if err := r.held(); err != nil {
		return result, err
	}
	if err := r.swapIn(ctx, r.ref, whole, r.target != nil); err != nil {
		return result, err
	}
	return result, r.ensureView(ctx)
}

func (r *rebuild) makeLike(ctx context.Context) (connectors.TableRef, error) {
	shadow := newShadow(r.ref.Schema, r.ref)
	sql, err := r.createTarget(shadow, connectors.LoadRequest{Columns: r.req.Columns, Key: r.req.Key})
	if err != nil {
		return shadow, err
	}
	return shadow, r.make(ctx, shadow, sql)
}

// fill writes the rows, and the keys of tombstones as rows that are gone; a
// row's version is its id.
func (r *rebuild) fill(ctx context.Context, into connectors.TableRef) (int64, error) {
	in := func(c connectors.Column) native {
		return native{c, r.columnType(c, slices.Contains(r.req.Key, c.Name))}
	}
	keyed := len(r.req.Key) > 0
	rows, err := r.newStream(ctx, into, r.req.Columns, r.req.Key, in, metaNatives(in, keyed))
	if err != nil {
		return 0, err
	}
	defer rows.close()
	stones := rows
	if keyed {
		stones, err = r.newStream(ctx, into, r.keyColumns(), r.req.Key, in, append(metaNatives(in, true), native{hiddenColumn, "UInt8"}))
		if err != nil {
			return 0, err
		}
		defer stones.close()
	}
	counts := ident(rawID) + " >= " + strconv.FormatUint(r.from, 10)
	if r.req.Fitting {
		counts += " AND " + fits()
	}
	err = r.read(ctx, counts, func(data string, o origin) error {
		if err := rows.decoder.split(data); err != nil {
			return err
		}
		if rows.decoder.isTombstone() {
			o.gone = 1
			return stones.add(data, o)
		}
		return rows.store(data, o)
	})
	if err == nil {
		err = rows.flush(ctx)
	}
	if err == nil && keyed {
		err = stones.flush(ctx)
	}
	if !keyed {
		return int64(rows.written), err
	}
	return int64(rows.written + stones.written), err
}

// keyColumns are the columns of the key, in its order.
func (r *rebuild) keyColumns() []connectors.Column {
	var columns []connectors.Column
	for _, k := range r.req.Key {
		i := slices.IndexFunc(r.req.Columns, func(c connectors.Column) bool { return c.Name == k })
		columns = append(columns, r.req.Columns[i])
	}
	return columns
}

// read gives the staging rows that meet a condition.
func (r *rebuild) read(ctx context.Context, condition string, row func(data string, o origin) error) error {
	var columns []relationColumn
	for _, want := range []connectors.Column{
		{Name: rawID, Type: versionColumn.Type}, metaColumns[0], {Name: rawExtracted, Type: metaColumns[1].Type}, {Name: rawData, Type: connectors.Type{Kind: connectors.Text}},
	} {
		c, _ := r.raw.column(want.Name)
		c.Type = want.Type
		columns = append(columns, c)
	}
	sql := "SELECT " + selectList(columns) + " FROM " + qualified(r.req.Raw) + where(condition)
	return r.stream(ctx, r.op, r.req.Raw.String(), sql, columns, connectors.Limits{}, r.grantSelect(r.req.Raw), func(batch arrow.RecordBatch) error {
		defer batch.Release()
		ids, runs := batch.Column(0).(*array.Uint64), batch.Column(1).(*array.FixedSizeBinary)
		times, data := batch.Column(2).(*array.Timestamp), batch.Column(3).(*array.String)
		for i := range ids.Len() {
			o := origin{run: uuid.UUID(runs.Value(i)), synced: times.Value(i), number: ids.Value(i)}
			if err := row(data.Value(i), o); err != nil {
				return fmt.Errorf("row %d: %w", o.number, err)
			}
		}
		return nil
	})
}

// rowStream writes some columns of staging rows to a table.
type rowStream struct {
	decoder *rowDecoder
	batcher *connectors.Batcher
	insert  *inserter
	origins []origin // of the rows in the batcher
	written uint64
}

func (d *db) newStream(ctx context.Context, into connectors.TableRef, columns []connectors.Column, key []string, in func(connectors.Column) native, meta []native) (*rowStream, error) {
	s := &rowStream{}
	var err error
	if s.insert, err = d.newInserter(into, natives(columns, in), meta, sharedBytes); err != nil {
		return nil, err
	}
	s.insert.stamp = stamped(func(row uint64) origin { return s.origins[row-s.written] })
	s.batcher = connectors.NewBatcher(columns, connectors.Limits{}, func(batch arrow.RecordBatch) error {
		n := uint64(batch.NumRows())
		err := s.insert.write(ctx, batch, s.written)
		s.written += n
		s.origins = s.origins[:0]
		return err
	})
	if s.decoder, err = newRowDecoder(columns, key, s.batcher.Builders); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// add writes a row, store one that the decoder has split.
func (s *rowStream) add(data string, o origin) error {
	if err := s.decoder.split(data); err != nil {
		return err
	}
	return s.store(data, o)
}

func (s *rowStream) store(data string, o origin) error {
	if err := s.decoder.store(); err != nil {
		return err
	}
	s.origins = append(s.origins, o)
	return s.batcher.EndRow(len(data))
}

func (s *rowStream) flush(ctx context.Context) error {
	if err := s.batcher.Flush(); err != nil {
		return err
	}
	return s.insert.flush(ctx)
}

func (s *rowStream) close() {
	s.insert.close()
	s.batcher.Release()
}
