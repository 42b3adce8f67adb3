package clickhouse

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// partsLoad is a Replace that is filled in parts. Each part has a table of its
// own, in raw mode one for the staged rows too, that gets its lasting name when
// it is whole: a part is there or it is not. Commit links the rows of all parts
// into one shadow, which copies nothing, and swaps that in. Whatever stops it,
// the parts are as they were until the swap is done.
type partsLoad struct {
	load
	prefix  string        // of the names of its parts
	numbers atomic.Uint64 // rows of this run; those of earlier runs have lower ids and versions

	mu   sync.Mutex
	done map[string]bool // names of the tables of finished parts
	open []*part
}

// part is one part being filled.
type part struct {
	load
	of        *partsLoad
	name, raw connectors.TableRef // what the tables are called in the end
}

// beginParts finds the parts of earlier runs with the same token, for rows of
// the same form, and sweeps others.
func beginParts(ctx context.Context, begun *load) (connectors.Load, error) {
	l := &partsLoad{load: load{site: begun.site, req: begun.req, run: begun.run}, done: map[string]bool{}}
	err := l.beginParts(ctx)
	if err != nil {
		err = l.failed(ctx, err)
		_ = l.Suspend() // the first error tells more
		return nil, err
	}
	return l, nil
}

func (l *partsLoad) beginParts(ctx context.Context) error {
	form, err := l.createTarget(connectors.TableRef{}, l.req)
	if err != nil {
		return err
	}
	l.prefix = shadowPrefix + targetHash(l.req.Target) + "_" + shortHash(l.req.Resume, form, rawName(l.req)) + "_"
	l.keep = func(shadow string) bool { return strings.HasPrefix(shadow, l.prefix) }
	if err := l.prepare(ctx); err != nil {
		return err
	}
	names, err := l.shadows(ctx, l.req.Target.Schema, l.req.Target)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, l.prefix) && !strings.HasSuffix(name, rawSuffix) {
			l.done[name] = true
		}
	}
	if l.req.Raw != nil {
		if err := l.findStaging(ctx); err != nil {
			return err
		}
	}
	return l.chooseNumbers(ctx)
}

// isPart says whether a shadow is a part of some load: its name has a token's
// hash and its own.
func isPart(shadow string) bool {
	return strings.Count(strings.TrimPrefix(shadow, shadowPrefix), "_") > 1
}

const rawSuffix = "_raw"

func rawName(req connectors.LoadRequest) string {
	if req.Raw == nil {
		return ""
	}
	return qualified(req.Raw.Table)
}

func shortHash(texts ...string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", texts))
	return hex.EncodeToString(sum[:6])
}

// partNames are what a part's tables are called when it is whole.
func (l *partsLoad) partNames(name string) (typed, raw connectors.TableRef) {
	typed = connectors.TableRef{Schema: l.req.Target.Schema, Name: l.prefix + shortHash(name)}
	if l.req.Raw != nil {
		raw = connectors.TableRef{Schema: l.req.Raw.Table.Schema, Name: typed.Name + rawSuffix}
	}
	return typed, raw
}

// chooseNumbers starts the ids and versions of this run's rows above those of
// the parts that are there.
func (l *partsLoad) chooseNumbers(ctx context.Context) error {
	for name := range l.done {
		typed := connectors.TableRef{Schema: l.req.Target.Schema, Name: name}
		if len(l.req.Key) > 0 {
			greatest, err := l.count(ctx, maxVersion(typed))
			if err != nil {
				return err
			}
			l.first = max(l.first, uint64(greatest)+1)
		}
		if l.req.Raw != nil {
			greatest, err := l.count(ctx, "SELECT max("+ident(rawID)+") FROM "+qualified(connectors.TableRef{Schema: l.req.Raw.Table.Schema, Name: name + rawSuffix}))
			if err != nil {
				return err
			}
			l.staged.base = max(l.staged.base, uint64(greatest)+1)
		}
	}
	return nil
}

// Part begins a part, unless it is there.
func (l *partsLoad) Part(ctx context.Context, name string) (connectors.Load, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return nil, false, l.failed(ctx, errEnded)
	}
	typed, raw := l.partNames(name)
	if l.done[typed.Name] {
		return nil, true, nil
	}
	p := &part{of: l, name: typed, raw: raw}
	p.load = load{site: site{db: l.db, op: l.op, ref: l.ref, target: l.target}, req: l.req, run: l.run, first: l.first, staged: l.staged}
	err := p.begin(ctx)
	if err != nil {
		err = l.failed(ctx, err)
		_ = p.load.Abort() // the first error tells more
		return nil, false, err
	}
	l.open = append(l.open, p)
	return p, false, nil
}

func (p *part) begin(ctx context.Context) error {
	if p.req.Raw != nil { // left by a commit that was stopped halfway
		if err := p.exec(ctx, p.drop(p.raw)); err != nil {
			return err
		}
	}
	return p.makeShadow(ctx, p.local(), &p.of.numbers, sharedBytes)
}

// Commit makes the part's rows durable.
func (p *part) Commit(ctx context.Context) (connectors.LoadResult, error) {
	if p.ended {
		return connectors.LoadResult{}, p.failed(ctx, errEnded)
	}
	result, err := p.commit(ctx)
	if err != nil {
		err = p.failed(ctx, err)
	}
	_ = p.Abort() // what cannot be dropped now the next load sweeps, or says why it cannot
	return result, err
}

func (p *part) commit(ctx context.Context) (connectors.LoadResult, error) {
	var result connectors.LoadResult
	if err := p.feed.flush(ctx); err != nil {
		return result, err
	}
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	if err := p.of.held(); err != nil {
		return result, err
	}
	if p.of.ended || p.of.done[p.name.Name] {
		return result, errors.New("the part was filled by somebody else, or its load has ended")
	}
	if p.req.Raw != nil {
		if err := p.exec(ctx, rename(p.staged.shadow, p.raw)); err != nil {
			return result, err
		}
		p.forget(p.staged.shadow)
	}
	if err := p.exec(ctx, rename(p.shadow, p.name)); err != nil {
		return result, err
	}
	p.forget(p.shadow)
	p.of.done[p.name.Name] = true
	result.Rows = p.feed.rows
	if p.req.Raw != nil {
		result.RawRows = p.feed.stagedRows()
	}
	return result, nil
}

// Abort drops the part.
func (p *part) Abort() error {
	err := p.load.Abort()
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	p.of.open = slices.DeleteFunc(p.of.open, func(o *part) bool { return o == p })
	return err
}

// Write says that rows come in parts.
func (l *partsLoad) Write(ctx context.Context, batch arrow.RecordBatch) error {
	batch.Release()
	return l.failed(ctx, l.refuse(connectors.KindInvalid, "write to its parts", errors.New("the load is filled in parts")))
}

// Commit makes the rows of all parts the whole table. When it fails the parts
// stay for a later Begin with the same token.
func (l *partsLoad) Commit(ctx context.Context) (connectors.LoadResult, error) {
	if l.ended {
		return connectors.LoadResult{}, l.failed(ctx, errEnded)
	}
	result, err := l.commitParts(ctx)
	if err != nil {
		err = l.failed(ctx, err)
		_ = l.Suspend()
		return result, err
	}
	_ = l.Abort() // what cannot be dropped now the next load sweeps, or says why it cannot
	return result, nil
}

func (l *partsLoad) commitParts(ctx context.Context) (connectors.LoadResult, error) {
	var result connectors.LoadResult
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) > 0 {
		return result, fmt.Errorf("%d parts are still being filled", len(l.open))
	}
	l.shadow = newShadow(l.req.Target.Schema, l.req.Target)
	sql, err := l.createTarget(l.shadow, l.req)
	if err != nil {
		return result, err
	}
	if l.shaped() {
		sql = l.createLike(l.shadow, l.req.Target, l.target, true)
	}
	if err := l.make(ctx, l.shadow, sql); err != nil {
		return result, err
	}
	if err := l.addBrought(ctx); err != nil {
		return result, err
	}
	names := slices.Sorted(maps.Keys(l.done))
	for _, name := range names {
		if err := l.attachAll(ctx, l.shadow, connectors.TableRef{Schema: l.req.Target.Schema, Name: name}); err != nil {
			return result, err
		}
	}
	if result.Rows, err = l.count(ctx, "SELECT count() FROM "+qualified(l.shadow)); err != nil {
		return result, err
	}
	if err := l.held(); err != nil {
		return result, err
	}
	if l.req.Raw != nil {
		for _, name := range names {
			n, err := l.attachStaged(ctx, connectors.TableRef{Schema: l.req.Raw.Table.Schema, Name: name + rawSuffix})
			if err != nil {
				return result, err
			}
			result.RawRows += n
		}
	}
	if err := l.swapIn(ctx, l.req.Target, l.shadow, l.target != nil); err != nil {
		return result, err
	}
	return result, l.ensureView(ctx)
}

// attachStaged adds a part's rows to the staging table, unless a commit that was
// stopped before its swap has done so.
func (l *partsLoad) attachStaged(ctx context.Context, from connectors.TableRef) (int64, error) {
	n, err := l.count(ctx, "SELECT count() FROM "+qualified(from))
	if err != nil || n == 0 {
		return n, err
	}
	if l.staged.have != nil {
		there, err := l.count(ctx, "SELECT count() FROM "+qualified(l.req.Raw.Table)+" WHERE "+ident(rawID)+" = (SELECT min("+ident(rawID)+") FROM "+qualified(from)+")")
		if err != nil || there > 0 {
			return n, err
		}
	}
	return n, l.attachRaw(ctx, from)
}

// Suspend keeps the finished parts.
func (l *partsLoad) Suspend() error {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return nil
	}
	l.ended = true
	open := slices.Clone(l.open)
	l.mu.Unlock()
	var errs error
	for _, p := range open {
		errs = errors.Join(errs, p.Abort())
	}
	return errors.Join(errs, l.leave())
}

// Abort drops the parts too.
func (l *partsLoad) Abort() error {
	l.mu.Lock()
	if !l.ended {
		for name := range l.done {
			l.made = append(l.made, connectors.TableRef{Schema: l.req.Target.Schema, Name: name})
			if l.req.Raw != nil {
				l.made = append(l.made, connectors.TableRef{Schema: l.req.Raw.Table.Schema, Name: name + rawSuffix})
			}
		}
	}
	l.mu.Unlock()
	return l.Suspend()
}
