package transform

import (
	"context"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/zeebo/xxh3"

	"arus/connectors"
)

// Limits of what deduplicate remembers.
const (
	defaultKeys = 2_000_000
	mostKeys    = 50_000_000
	maxHeld     = 256 << 20
)

// deduplicate keeps one row of each key: the first, or the last.
type deduplicate struct {
	Columns []string `json:"columns"` // none: all
	Keep    string   `json:"keep"`
	MaxKeys int      `json:"max_keys"`
}

func (s *deduplicate) check(f *faults) {
	f.columnList("columns", s.Columns, false)
	if s.Keep != "first" && s.Keep != "last" {
		f.add(".keep", "%q is not one of first, last", s.Keep)
	}
	if s.MaxKeys < 0 || s.MaxKeys > mostKeys {
		f.add(".max_keys", "must be from 1 to %d", mostKeys)
	}
}

func (s *deduplicate) compile(c *compilation) runner {
	k := keyed{at: c.findAll("columns", s.Columns), limit: s.MaxKeys}
	if len(s.Columns) == 0 {
		for i := range c.columns {
			k.at = append(k.at, i)
		}
	}
	if k.limit == 0 {
		k.limit = defaultKeys
	}
	for _, col := range c.columns {
		k.types = append(k.types, col.Type)
	}
	if s.Keep == "last" {
		return &keepLast{keyed: k, places: map[xxh3.Uint128]place{}}
	}
	return &keepFirst{keyed: k, seen: map[xxh3.Uint128]struct{}{}}
}

type keyed struct {
	at    []int
	types []connectors.Type
	limit int
	buf   []byte
}

func (k *keyed) hash(f *frame, row int) xxh3.Uint128 {
	k.buf = appendKey(k.buf[:0], f.arrays, k.types, k.at, row)
	return xxh3.Hash128(k.buf)
}

func (k *keyed) full() error {
	return fmt.Errorf("more than %d different keys: raise max_keys, which costs about 50 bytes of memory a key, or leave duplicates to the target's key", k.limit)
}

type keepFirst struct {
	keyed
	seen map[xxh3.Uint128]struct{}
}

func (s *keepFirst) run(_ context.Context, f *frame) error {
	keep := make([]bool, f.n)
	for i := range f.n {
		h := s.hash(f, i)
		if _, again := s.seen[h]; again {
			continue
		}
		if len(s.seen) >= s.limit {
			return s.full()
		}
		s.seen[h] = struct{}{}
		keep[i] = true
	}
	f.only(keep)
	return nil
}

// keepLast holds back one row of each key, the newest so far.
type keepLast struct {
	keyed
	places map[xxh3.Uint128]place
	parts  []*part
	bytes  int64
}

type place struct {
	part *part
	row  int32
}

// part is what came in one batch and may still be the last of its key.
type part struct {
	source arrow.RecordBatch
	frame  *frame
	live   []bool
	count  int
	bytes  int64
}

func (s *keepLast) run(_ context.Context, f *frame) error {
	p := &part{source: f.source, live: make([]bool, f.n)}
	for i := range f.n {
		h := s.hash(f, i)
		if old, ok := s.places[h]; ok {
			old.part.live[old.row] = false
			old.part.count--
			f.filtered++
		} else if len(s.places) >= s.limit {
			return s.full()
		}
		s.places[h] = place{p, int32(i)}
		p.live[i] = true
		p.count++
	}
	p.source.Retain()
	p.frame = &frame{source: f.source, arrays: f.arrays, n: f.n, rows: f.rows}
	f.arrays, f.n, f.rows = nil, 0, nil
	s.add(p)
	if s.bytes <= maxHeld {
		return nil
	}
	if err := s.compact(); err != nil {
		return err
	}
	if s.bytes > maxHeld {
		return fmt.Errorf("keep last holds back one row of each key, which are more than %d MiB: use keep first, or leave duplicates to the target's key", maxHeld>>20)
	}
	return nil
}

func (s *keepLast) add(p *part) {
	p.bytes = 0
	for _, a := range p.frame.arrays {
		p.bytes += int64(a.Data().SizeInBytes())
	}
	for _, a := range p.source.Columns() {
		p.bytes += int64(a.Data().SizeInBytes())
	}
	s.parts = append(s.parts, p)
	s.bytes += p.bytes
}

// compact lets go of the rows that are no longer the last of their key.
func (s *keepLast) compact() error {
	old := s.parts
	s.parts, s.bytes = nil, 0
	moved := map[*part][]int32{}
	fresh := map[*part]*part{}
	for _, p := range old {
		if p.count == 0 {
			p.release()
			continue
		}
		if p.count == len(p.live) {
			s.add(p)
			continue
		}
		keep := p.rows()
		at := make([]int32, len(p.live))
		rows := make([]int32, len(keep))
		for i, k := range keep {
			at[k] = int32(i)
			rows[i] = int32(p.frame.row(int(k)))
		}
		columns := make([]arrow.Array, p.source.NumCols())
		for c := range columns {
			columns[c] = connectors.SelectValues(p.source.Column(c), rows)
		}
		source := newRecord(p.source.Schema(), columns, len(rows))
		p.frame.take(keep)
		p.frame.source, p.frame.rows = source, nil
		p.source.Release()
		n := &part{source: source, frame: p.frame, live: make([]bool, len(keep)), count: len(keep)}
		for i := range n.live {
			n.live[i] = true
		}
		moved[p], fresh[p] = at, n
		s.add(n)
	}
	for h, pl := range s.places {
		if at, ok := moved[pl.part]; ok {
			s.places[h] = place{fresh[pl.part], at[pl.row]}
		}
	}
	return nil
}

func (p *part) rows() []int32 {
	keep := make([]int32, 0, p.count)
	for i, live := range p.live {
		if live {
			keep = append(keep, int32(i))
		}
	}
	return keep
}

func (p *part) release() {
	p.frame.release()
	p.source.Release()
}

func (s *keepLast) finish(_ context.Context, emit func(*frame) error) error {
	parts := s.parts
	s.parts, s.bytes = nil, 0
	clear(s.places)
	for i, p := range parts {
		var err error
		if p.count > 0 {
			if p.count < len(p.live) {
				p.frame.take(p.rows())
			}
			f := p.frame
			p.frame = &frame{}
			err = emit(f)
		}
		p.release()
		if err != nil {
			for _, rest := range parts[i+1:] {
				rest.release()
			}
			return err
		}
	}
	return nil
}

func (s *keepLast) close() error {
	for _, p := range s.parts {
		p.release()
	}
	s.parts = nil
	return nil
}
