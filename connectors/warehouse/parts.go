package warehouse

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
	"arus/connectors/warehouse/schema"
	"arus/connectors/warehouse/segment"
)

// A load in parts writes the files of each part beside the table's own, and a list
// of them, parts/<token>/<part>.json, once they are durable. The commit takes all
// of them into the manifest. In raw mode the staging table's directory has such
// lists of its own, written first.

// anyToken keeps the parts of every load.
const anyToken = "*"

func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

// tokenName is the directory of a load's parts: another token or other columns
// make it another one. "" without a token.
func tokenName(req connectors.LoadRequest) string {
	if req.Resume == "" {
		return ""
	}
	t, err := forLoad(req.Target.Name, req.Columns, req.Key)
	if err != nil {
		return ""
	}
	t.Config = schema.Config{}
	shape, _ := json.Marshal(t)
	return shortHash(req.Resume + "\x00" + string(shape))
}

// partList is what a finished part has.
type partList struct {
	Rows  int64        `json:"rows"`
	Files []partFile   `json:"files"`
	Enums schema.Enums `json:"enums,omitempty"`
	Last  int64        `json:"last,omitempty"` // the staging table's last number
}

// partFile is a part as JSON.
type partFile struct {
	File    string       `json:"file"`
	Day     int64        `json:"day"`
	Info    segment.Info `json:"info"`
	Lo      []byte       `json:"lo"`
	Hi      []byte       `json:"hi"`
	Keys    []byte       `json:"keys"`
	MinTime int64        `json:"minTime"`
	MaxTime int64        `json:"maxTime"`
	Version int          `json:"version"`
}

func (t table) readList(name string) (partList, error) {
	var l partList
	data, err := t.fs.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(data, &l)
	}
	return l, err
}

// keepParts adds the files of the parts that stay.
func (t table) keepParts(keep map[string]bool, token string) error {
	tokens, err := t.fs.ReadDir(t.file(partsDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, d := range tokens {
		if d.Name() != token && token != anyToken {
			continue
		}
		keep[path.Join(partsDir, d.Name())] = true
		lists, err := t.lists(d.Name())
		if err != nil {
			return err
		}
		for _, l := range lists {
			for _, f := range l.Files {
				keep[f.File] = true
			}
		}
	}
	return nil
}

// lists reads the lists of a token's finished parts.
func (t table) lists(token string) (map[string]partList, error) {
	out := map[string]partList{}
	dir := filepath.Join(t.file(partsDir), token)
	entries, err := t.fs.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok {
			continue
		}
		if out[name], err = t.readList(filepath.Join(dir, e.Name())); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// partLoad is a load that is filled in parts.
type partLoad struct {
	storage *storage
	table   table
	req     connectors.LoadRequest
	token   string
	lock    *os.File
	layout  *layout
	raw     *rawParts // nil without a staging table
	direct  connectors.Load

	mu    sync.Mutex
	in    *intake // shared, so that new enum cases have one number
	done  map[string]partList
	files int64
}

// rawParts is the staging table's side.
type rawParts struct {
	table  table
	lock   *os.File
	layout *layout
	run    [16]byte

	mu   sync.Mutex
	next int64
}

func (d *Destination) beginParts(ctx context.Context, req connectors.LoadRequest) (connectors.Load, error) {
	l := &partLoad{storage: d.storage, table: d.table(req.Target.Name), req: req, token: tokenName(req)}
	lock, err := l.table.lock(ctx, req.Wait())
	if err != nil {
		return nil, err
	}
	l.lock = lock
	if err = l.start(ctx); err == nil && req.Raw != nil {
		err = l.startRaw(ctx, d.table(req.Raw.Table.Name))
	}
	if err != nil {
		return nil, errors.Join(fail(ctx, "load", l.table.name, err), l.Suspend())
	}
	return l, nil
}

func (l *partLoad) start(ctx context.Context) error {
	wanted, err := forLoad(l.req.Target.Name, l.req.Columns, l.req.Key)
	if err != nil {
		return err
	}
	next, row := wanted, int64(0)
	var enums schema.Enums
	keep := map[string]bool{}
	if l.table.exists() {
		v, err := l.table.look(ctx)
		if err != nil {
			return l.table.readError(fail(ctx, "open", l.table.name, err))
		}
		if next, err = (&load{table: l.table, req: l.req}).settle(wanted, v.layout); err != nil {
			return errors.Join(err, v.Close())
		}
		row, keep = v.values[stateNextRow], v.keep()
		if next != wanted {
			enums = v.layout.enums
		}
		if err := v.Close(); err != nil {
			return err
		}
	}
	if err := l.table.sweep(keep, l.token); err != nil {
		return err
	}
	if l.done, err = l.table.lists(l.token); err != nil {
		return err
	}
	for _, list := range l.done { // dictionaries only grow: the longest has the others
		for id, cases := range list.Enums {
			if enums == nil {
				enums = schema.Enums{}
			}
			if len(cases) > len(enums[id]) {
				enums[id] = cases
			}
		}
	}
	if l.layout, err = newLayout(next, enums); err != nil {
		return err
	}
	l.in, err = newIntake(l.layout, l.req, row, l.storage.now().Unix())
	return err
}

func (l *partLoad) startRaw(ctx context.Context, t table) error {
	lock, err := t.lock(ctx, l.req.Wait())
	if err != nil {
		return err
	}
	r := &rawParts{table: t, lock: lock}
	r.run, _ = parseUUID(l.req.RunID)
	l.raw = r
	if r.layout, err = newLayout(rawSchema(t.name), nil); err != nil {
		return err
	}
	keep := map[string]bool{}
	if t.exists() {
		v, err := t.look(ctx)
		if err != nil {
			return t.readError(fail(ctx, "open", t.name, err))
		}
		r.next, keep = v.values[stateNextRow], v.keep()
		other := !isRaw(v.layout.table)
		if err := v.Close(); err != nil {
			return err
		}
		if other {
			return &connectors.Error{
				Kind: connectors.KindConflict, Op: "load", Object: t.name,
				Err: errors.New("it is a table, but not a staging table"), Hint: "rename the table or the source",
			}
		}
	}
	if err := t.sweep(keep, l.token); err != nil {
		return err
	}
	lists, err := t.lists(l.token)
	for _, list := range lists {
		r.next = max(r.next, list.Last)
	}
	for id := range l.done {
		if _, ok := lists[id]; !ok {
			delete(l.done, id) // its staging rows were swept
		}
	}
	r.next++
	return err
}

// Part begins one part.
func (l *partLoad) Part(ctx context.Context, name string) (connectors.Load, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := shortHash(name)
	if _, ok := l.done[id]; ok {
		return nil, true, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, false, fail(ctx, "load", l.table.name, err)
	}
	p := &partFill{load: l, id: id}
	p.typed = l.writer(l.table, l.layout, id, &p.list)
	if l.raw != nil {
		p.raw = l.writer(l.raw.table, l.raw.layout, id, &p.rawList)
	}
	return p, false, nil
}

// writer writes a part's files and lists them.
func (l *partLoad) writer(t table, lay *layout, id string, list *partList) *partWriter {
	w := newPartWriter(t, lay, func() int64 {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.files++
		return l.files
	})
	w.prefix = "p" + l.token + "-" + id + "-"
	w.done = func(_ context.Context, p *part, _ *partWriter) error {
		list.Files = append(list.Files, partFile{p.file, p.day, p.info, p.lo, p.hi, p.keys, p.tmin, p.tmax, p.version})
		return nil
	}
	return w
}

// Write fills the load without parts.
func (l *partLoad) Write(ctx context.Context, batch arrow.RecordBatch) error {
	if l.direct == nil {
		part, done, err := l.Part(ctx, "")
		if err != nil || done {
			batch.Release()
			return err
		}
		l.direct = part
	}
	return l.direct.Write(ctx, batch)
}

// Commit makes the rows of all parts the table.
func (l *partLoad) Commit(ctx context.Context) (connectors.LoadResult, error) {
	if l.direct != nil {
		part := l.direct
		l.direct = nil
		if _, err := part.Commit(ctx); err != nil {
			return connectors.LoadResult{}, err
		}
	}
	var result connectors.LoadResult
	if err := ctx.Err(); err != nil {
		return result, errors.Join(fail(ctx, "load", l.table.name, err), l.Abort())
	}
	if l.raw != nil {
		n, err := l.commitRaw(ctx)
		if err != nil {
			return result, errors.Join(fail(ctx, "load", l.raw.table.name, err), l.Abort())
		}
		result.RawRows = n
	}
	direct := l.req
	direct.Raw = nil
	whole := &load{storage: l.storage, table: l.table, req: direct, lock: l.lock}
	err := whole.start(ctx)
	if err == nil {
		whole.in.enums, whole.in.grown = l.in.enums, l.in.grown
		err = whole.takeParts(ctx, l.done)
	}
	if err != nil {
		_ = whole.abandon()
		return connectors.LoadResult{}, errors.Join(fail(ctx, "load", l.table.name, err), l.Abort())
	}
	if err := whole.commit(ctx); err != nil {
		_ = whole.abandon()
		return connectors.LoadResult{}, errors.Join(fail(ctx, "load", l.table.name, err), l.Abort())
	}
	l.lock = nil // the whole has let it go
	result.Rows = whole.rows
	// The lists of the staging table's side go last: a commit that is cut off after
	// that side finds its files again.
	l.forget(l.table)
	if l.raw != nil {
		l.forget(l.raw.table)
	}
	return result, l.Suspend()
}

// forget removes the lists of parts that are the table's now.
func (l *partLoad) forget(t table) {
	_ = t.fs.RemoveAll(filepath.Join(t.file(partsDir), l.token))
	t.removeEmpty()
}

// abandon rolls back without letting the lock go.
func (l *load) abandon() error {
	if l.txn == nil {
		return nil
	}
	return l.txn.rollback()
}

// takeParts takes the files of finished parts into the table.
func (l *load) takeParts(ctx context.Context, lists map[string]partList) error {
	for _, list := range lists {
		l.rows += list.Rows
		for id, cases := range list.Enums {
			if len(cases) > len(l.txn.layout.enums[id]) {
				l.in.grown = true
			}
		}
		for _, f := range list.Files {
			if err := l.takePart(ctx, f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *load) takePart(ctx context.Context, f partFile) error {
	for _, have := range l.txn.parts {
		if have.file == f.File {
			return nil // a commit that was cut off took it in
		}
	}
	p := &part{id: l.nextPart(), file: f.File, day: f.Day, info: f.Info, lo: f.Lo, hi: f.Hi, keys: f.Keys, tmin: f.MinTime, tmax: f.MaxTime, version: f.Version}
	if !l.txn.layout.hidden() {
		if err := l.refuseTwice(ctx, p); err != nil {
			return err
		}
	}
	err := l.txn.addPart(ctx, p)
	p.keys = nil
	return err
}

// refuseTwice looks for the keys of a part in those before it.
func (l *load) refuseTwice(ctx context.Context, p *part) error {
	var near []*part
	for _, o := range l.txn.parts {
		if string(o.hi) >= string(p.lo) && string(o.lo) <= string(p.hi) {
			near = append(near, o)
		}
	}
	if len(near) == 0 {
		return nil
	}
	var set keySet
	v := l.txn.reading()
	defer v.closeFiles()
	if err := v.eachKey(ctx, p, func(_ int64, key []byte) error {
		set.add(l.txn.layout.keyer.key(key))
		return nil
	}); err != nil {
		return err
	}
	return l.txn.find(ctx, &set, p.lo, p.hi, near, func(found) error { return l.parts.errTwice() })
}

// commitRaw takes the parts' rows into the staging table.
func (l *partLoad) commitRaw(ctx context.Context) (int64, error) {
	r := l.raw
	lists, err := r.table.lists(l.token)
	if err != nil {
		return 0, err
	}
	for id := range lists {
		if _, ok := l.done[id]; !ok {
			delete(lists, id) // the part was cut off after its staging rows
		}
	}
	w := &rawWriter{load: &load{storage: l.storage, table: r.table, req: l.req, lock: r.lock}, extracted: l.req.SyncedAt}
	err = w.start(ctx)
	if err == nil {
		err = w.takeParts(ctx, lists)
	}
	if err == nil {
		w.in.row = max(w.in.row, r.next-1)
		err = w.commit(ctx)
	}
	if err != nil {
		return 0, errors.Join(err, w.abandon())
	}
	r.lock = nil
	return w.rows, nil
}

// Suspend ends the load and keeps its finished parts.
func (l *partLoad) Suspend() error {
	var err error
	if l.direct != nil {
		err = l.direct.Abort()
		l.direct = nil
	}
	if l.lock != nil {
		l.table.removeAborted()
		err = errors.Join(err, l.lock.Close())
		l.lock = nil
	}
	if l.raw != nil && l.raw.lock != nil {
		l.raw.table.removeAborted()
		err = errors.Join(err, l.raw.lock.Close())
		l.raw.lock = nil
	}
	return err
}

// Abort removes the parts and leaves the table as it was.
func (l *partLoad) Abort() error {
	clean := func(t table, lock *os.File) {
		if lock == nil {
			return
		}
		if lists, err := t.lists(l.token); err == nil {
			_ = t.fs.RemoveAll(filepath.Join(t.file(partsDir), l.token))
			keep := map[string]bool{}
			if t.exists() {
				if v, err := t.look(context.Background()); err == nil {
					keep = v.keep()
					_ = v.Close()
				}
			}
			for _, list := range lists {
				for _, f := range list.Files {
					if !keep[f.File] {
						_ = t.fs.Remove(t.file(f.File))
					}
				}
			}
		}
		t.removeEmpty()
	}
	clean(l.table, l.lock)
	if l.raw != nil {
		clean(l.raw.table, l.raw.lock)
	}
	return l.Suspend()
}
