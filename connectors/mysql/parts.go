package mysql

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	driver "github.com/go-sql-driver/mysql"

	"arus/connectors"
)

// A load that is filled in parts keeps, between its runs, the table of the rows that becomes the target (fill), in raw
// mode those that go to the staging table (stage), and the list of the parts that are there (list), which enters each in
// the transaction that brings its rows. The list's comment says whose they are.
type partTables struct {
	fill, stage, list connectors.TableRef
	token             string
	keep              bool // the load ends and its parts stay
}

const (
	partsComment = "arus:parts:"
	stagedPart   = "staged" // the entry that says that the rows have been copied to the staging table; no part's name hashes to it
)

// beginParts finds the parts of an earlier run with the load's token, or makes place for new ones; those of other tokens go.
func (l *load) beginParts(ctx context.Context) error {
	p := &partTables{fill: l.helper("fill"), stage: l.helper("stage"), list: l.helper("list"), keep: true}
	definition, err := l.definition()
	if err != nil {
		return err
	}
	if l.mark != nil {
		definition += l.mark.Comment()
	}
	sum := sha256.Sum256([]byte(l.req.Resume + "\x00" + definition + "\x00" + strconv.FormatBool(l.req.Raw != nil)))
	p.token = partsComment + hex.EncodeToString(sum[:])
	row, err := l.ss.queryRow(ctx, "SELECT TABLE_COMMENT FROM information_schema.TABLES WHERE "+l.ss.flavour.tableIs(p.list))
	if err != nil {
		return err
	}
	if l.req.Resume != "" && row != nil && row[0].String == p.token {
		kind, err := l.ss.tableType(ctx, p.fill)
		if err != nil {
			return err
		}
		if kind != "" { // else it was renamed to the target, and the run was killed before it could say so
			return l.resume(p)
		}
	}
	if err := l.sweepParts(ctx, p, row != nil); err != nil || l.req.Resume == "" {
		return err
	}
	if err := l.create(ctx, p.fill); err != nil {
		return err
	}
	if l.req.Raw != nil {
		if err := l.createStaging(ctx, "TABLE", p.stage); err != nil {
			return err
		}
	}
	// Last, so that where it is, the others are.
	if _, err := l.ss.exec(ctx, "CREATE TABLE "+qualified(p.list)+" (part varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY, "+
		"rows_brought bigint NOT NULL, run char(36) NOT NULL, staged_in varchar(64), staged_as varchar(64)) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COMMENT "+literal(p.token)); err != nil {
		return err
	}
	return l.resume(p)
}

func (l *load) resume(p *partTables) error {
	l.parts, l.shadow, l.fresh = p, p.fill, true
	return nil
}

// sweepParts removes parts, and what had been copied from them to the staging table before the tables could be swapped.
func (l *load) sweepParts(ctx context.Context, p *partTables, listed bool) error {
	if listed {
		kind, err := l.ss.tableType(ctx, p.fill)
		if err != nil {
			return err
		}
		if kind != "" {
			if err := l.unstage(ctx, p); err != nil {
				return err
			}
		}
		if err := l.drop(ctx, p.list); err != nil {
			return err
		}
	}
	return l.drop(ctx, p.fill, p.stage)
}

// unstage takes the parts' rows out of the staging table.
func (l *load) unstage(ctx context.Context, p *partTables) error {
	row, err := l.ss.queryRow(ctx, "SELECT run, staged_in, staged_as FROM "+qualified(p.list)+" WHERE part = "+literal(stagedPart))
	if err != nil || row == nil {
		return err
	}
	staging := connectors.TableRef{Schema: row[1].String, Name: row[2].String}
	if kind, err := l.ss.tableType(ctx, staging); err != nil || kind == "" {
		return err
	}
	if _, err := l.ss.exec(ctx, "DELETE FROM "+qualified(staging)+" WHERE "+ident(rawRunID)+" = "+literal(row[0].String)); err != nil {
		return err
	}
	_, err = l.ss.exec(ctx, "DELETE FROM "+qualified(p.list)+" WHERE part = "+literal(stagedPart))
	return err
}

func (l *load) undoParts(ctx context.Context) error {
	if l.parts.keep {
		return nil
	}
	kind, err := l.ss.tableType(ctx, l.parts.list)
	if err != nil {
		return err
	}
	return l.sweepParts(ctx, l.parts, kind != "")
}

// partLoad is a load that is filled in parts. Rows written to the load itself are a part without a name.
type partLoad struct {
	*load

	own *part

	mu    sync.Mutex
	begun []*part
}

// part is one part being filled, in a transaction on a session of its own.
type part struct {
	*load

	id    string
	ended atomic.Bool
}

// Part begins a part, unless an earlier run committed it.
func (p *partLoad) Part(ctx context.Context, name string) (connectors.Load, bool, error) {
	part, err := p.begin(ctx, name)
	if err != nil || part == nil {
		return nil, err == nil, p.d.fail("load", p.target.String(), err)
	}
	return part, false, nil
}

// begin gives no part when it is there already.
func (p *partLoad) begin(ctx context.Context, name string) (*part, error) {
	ss, err := p.d.dial(ctx)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(name))
	l := &load{
		d: p.d, ss: ss, req: p.req, target: p.target, shadow: p.shadow, old: p.old, columns: p.columns,
		parts: &partTables{fill: p.parts.fill, stage: p.parts.stage, list: p.parts.list, keep: true},
	}
	begun := &part{load: l, id: hex.EncodeToString(sum[:])}
	row, err := ss.queryRow(ctx, "SELECT 1 FROM "+qualified(l.parts.list)+" WHERE part = "+literal(begun.id))
	if err == nil && row == nil {
		err = begun.start(ctx)
	}
	if err != nil || row != nil {
		ss.close()
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun = append(slices.DeleteFunc(p.begun, func(other *part) bool { return other.ended.Load() }), begun)
	return begun, nil
}

func (p *part) start(ctx context.Context) error {
	l := p.load
	if l.req.Raw == nil {
		l.rows = &appender{ss: l.ss, table: l.parts.fill, object: l.target.String(), columns: l.req.Columns, fixed: l.meta()}
	} else {
		temporary := connectors.TableRef{Schema: l.target.Schema, Name: loadTable}
		if err := l.createStaging(ctx, "TEMPORARY TABLE", temporary); err != nil {
			return err
		}
		l.rows = l.stager(temporary)
		l.into = func(ctx context.Context) error {
			order := " FROM " + qualified(temporary) + " ORDER BY " + ident(rawID)
			fields := connectors.QuoteList([]string{rawRunID, rawExtracted, rawData}, '`')
			if _, err := l.ss.exec(ctx, "INSERT INTO "+qualified(l.parts.stage)+" ("+fields+") SELECT "+fields+order); err != nil {
				return err
			}
			return l.bring(ctx, l.parts.fill, "SELECT "+l.unpacked()+", "+l.metaValues()+order)
		}
	}
	l.rows.careful = l.req.Careful
	_, err := l.ss.exec(ctx, "START TRANSACTION")
	l.open = true
	return err
}

// Commit makes the part's rows durable.
func (p *part) Commit(ctx context.Context) (connectors.LoadResult, error) {
	err := p.commit(ctx)
	if err != nil {
		_ = p.Abort()
		return connectors.LoadResult{}, p.d.fail("load", p.target.String(), err)
	}
	result := connectors.LoadResult{Rows: p.rows.sent}
	if p.req.Raw != nil {
		result.RawRows = p.rows.sent + int64(len(p.staging.kept))
	}
	p.ended.Store(true)
	p.release(context.WithoutCancel(ctx))
	return result, nil
}

func (p *part) commit(ctx context.Context) error {
	if err := p.rows.finish(ctx); err != nil {
		return err
	}
	if p.into != nil && !p.req.Careful {
		if err := p.into(ctx); err != nil {
			return err
		}
	}
	if err := p.stageKept(ctx, p.parts.stage); err != nil {
		return err
	}
	_, err := p.ss.exec(ctx, "INSERT INTO "+qualified(p.parts.list)+" (part, rows_brought, run) VALUES ("+
		literal(p.id)+", "+strconv.FormatInt(p.rows.sent, 10)+", "+literal(p.req.RunID)+")")
	if e, ok := errors.AsType[*driver.MySQLError](err); ok && e.Number == 1062 { // somebody was faster: once is enough
		_, err = p.ss.exec(ctx, "ROLLBACK")
		return err
	}
	if err != nil {
		return err
	}
	_, err = p.ss.exec(ctx, "COMMIT")
	return err
}

// Abort rolls the part back. A lost session has done so itself.
func (p *part) Abort() error {
	if !p.ended.Swap(true) {
		p.rows.abort()
		p.ss.close()
		p.ss = nil
	}
	return nil
}

// Write adds rows to a part that lasts no longer than the load.
func (p *partLoad) Write(ctx context.Context, batch arrow.RecordBatch) error {
	if p.own == nil {
		own, err := p.begin(ctx, "")
		if err == nil && own == nil {
			err = errors.New("rows were written to it in an earlier run")
		}
		if err != nil {
			batch.Release()
			return p.d.fail("load", p.target.String(), err)
		}
		p.own = own
	}
	return p.own.Write(ctx, batch)
}

// Commit swaps the rows of all parts in. When it fails, the parts stay.
func (p *partLoad) Commit(ctx context.Context) (connectors.LoadResult, error) {
	var result connectors.LoadResult
	err := p.commitAll(ctx, &result)
	if err != nil {
		_ = p.Suspend()
		return connectors.LoadResult{}, p.d.fail("load", p.target.String(), err)
	}
	p.end(ctx, p.parts.list, p.parts.stage)
	return result, nil
}

func (p *partLoad) commitAll(ctx context.Context, result *connectors.LoadResult) error {
	if p.own != nil {
		own := p.own
		p.own = nil
		if _, err := own.Commit(ctx); err != nil {
			return err
		}
	}
	row, err := p.ss.queryRow(ctx, "SELECT COALESCE(SUM(rows_brought), 0) FROM "+qualified(p.parts.list)+" WHERE part <> "+literal(stagedPart))
	if err != nil {
		return err
	}
	if result.Rows, err = strconv.ParseInt(row[0].String, 10, 64); err != nil {
		return err
	}
	if p.req.Raw != nil {
		if result.RawRows, err = p.stageAll(ctx); err != nil {
			return err
		}
	}
	return p.swap(ctx)
}

// stageAll copies the parts' rows to the staging table and counts them, as rows of this run: it is the one that a rebuild begins with.
func (p *partLoad) stageAll(ctx context.Context) (rows int64, err error) {
	if err := p.unstage(ctx, p.parts); err != nil {
		return 0, err
	}
	if err := p.makeStaging(ctx); err != nil {
		return 0, err
	}
	p.staging.made = false // it stays, whatever follows
	staging := p.staging.table
	fields := connectors.QuoteList([]string{rawRunID, rawExtracted, rawData}, '`')
	if _, err := p.ss.exec(ctx, "START TRANSACTION"); err != nil {
		return 0, err
	}
	if err := p.clearStaging(ctx); err != nil {
		return 0, err
	}
	rows, err = p.ss.exec(ctx, "INSERT INTO "+qualified(staging)+" ("+fields+") SELECT "+literal(p.req.RunID)+", "+ident(rawExtracted)+", "+ident(rawData)+
		" FROM "+qualified(p.parts.stage)+" ORDER BY "+ident(rawID))
	if err != nil {
		return 0, err
	}
	for _, statement := range []string{
		"INSERT INTO " + qualified(p.parts.list) + " (part, rows_brought, run, staged_in, staged_as) VALUES (" + literal(stagedPart) + ", 0, " +
			literal(p.req.RunID) + ", " + literal(staging.Schema) + ", " + literal(staging.Name) + ")",
		"COMMIT",
	} {
		if _, err := p.ss.exec(ctx, statement); err != nil {
			return 0, err
		}
	}
	return rows, nil
}

// Suspend ends the load and keeps its parts.
func (p *partLoad) Suspend() error { return p.stop(true) }

// Abort ends the load and removes its parts.
func (p *partLoad) Abort() error { return p.stop(false) }

func (p *partLoad) stop(keep bool) error {
	for _, part := range p.begun { // those that nobody ended: they would hold the tables
		_ = part.Abort()
	}
	if p.ss == nil {
		return nil
	}
	p.parts.keep = keep
	return p.abort(context.Background())
}
