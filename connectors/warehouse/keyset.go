package warehouse

import (
	"encoding/binary"
	"slices"
	"sync"
)

// keySet is a set of keys, each with the number that it was added by. The index
// is made when it is first needed: rows that come in the order of their keys
// need none.
type keySet struct {
	// The keys by pages, which stay where they are: their first halves, as long as
	// nothing but zeros follows in any, else all of them.
	halves  []*[keyPage]uint64
	wholes  []*[keyPage]rowKey
	n       int
	slots   []uint32 // number + 1; as many as a power of two
	indexed int      // how many keys the slots have
}

const keyPage = 1 << 13

// key gives a key by its number.
func (s *keySet) key(i int) (k rowKey) {
	if s.wholes != nil {
		return s.wholes[i/keyPage][i%keyPage]
	}
	binary.LittleEndian.PutUint64(k[:], s.halves[i/keyPage][i%keyPage])
	return k
}

func (s *keySet) add(k rowKey) {
	if s.wholes == nil && binary.LittleEndian.Uint64(k[8:]) != 0 {
		s.wholes = make([]*[keyPage]rowKey, 0, len(s.halves)+1)
		for i := range s.n {
			if i%keyPage == 0 {
				s.wholes = append(s.wholes, new([keyPage]rowKey))
			}
			binary.LittleEndian.PutUint64(s.wholes[i/keyPage][i%keyPage][:], s.halves[i/keyPage][i%keyPage])
		}
		s.halves = nil
	}
	page, at := s.n/keyPage, s.n%keyPage
	s.n++
	if s.wholes != nil {
		if page == len(s.wholes) {
			s.wholes = append(s.wholes, new([keyPage]rowKey))
		}
		s.wholes[page][at] = k
		return
	}
	if page == len(s.halves) {
		s.halves = append(s.halves, new([keyPage]uint64))
	}
	s.halves[page][at] = binary.LittleEndian.Uint64(k[:])
}

// reset empties the set.
func (s *keySet) reset() { s.n, s.slots, s.indexed = 0, nil, 0 }

// find gives the number of a key, the last one if it was added more than once.
func (s *keySet) find(k rowKey) (int, bool) {
	s.index()
	mask := uint64(len(s.slots) - 1)
	for at := k.hash() & mask; ; at = (at + 1) & mask {
		n := s.slots[at]
		if n == 0 {
			return 0, false
		}
		if s.key(int(n-1)) == k {
			return int(n - 1), true
		}
	}
}

func (s *keySet) has(k rowKey) bool {
	_, ok := s.find(k)
	return ok
}

// repeats says whether two keys may be one: no rightly.
func (s *keySet) repeats() bool {
	sorted := make([]uint64, s.n)
	for i := range sorted {
		if s.wholes != nil {
			sorted[i] = s.key(i).hash()
		} else {
			sorted[i] = s.halves[i/keyPage][i%keyPage]
		}
	}
	slices.Sort(sorted)
	for i := 1; i < len(sorted); i++ {
		if sorted[i] == sorted[i-1] {
			return true
		}
	}
	return false
}

// each gives every key's number, and the last one before it that the same key had,
// -1 for none.
func (s *keySet) each(key func(i, earlier int) error) error {
	s.slots, s.indexed = make([]uint32, s.room(s.n)), 0
	for ; s.indexed < s.n; s.indexed++ {
		if err := key(s.indexed, s.insert(s.indexed)); err != nil {
			return err
		}
	}
	return nil
}

// put adds a key; earlier is the number it had, -1 for a new key.
func (s *keySet) put(k rowKey) (earlier int) {
	s.index()
	if len(s.slots) < 2*(s.n+1) {
		s.grow(s.n + 1)
	}
	s.add(k)
	s.indexed++
	return s.insert(s.n - 1)
}

// index brings the slots up to date.
func (s *keySet) index() {
	if len(s.slots) < 2*s.n || s.slots == nil {
		s.grow(s.n)
	}
	for ; s.indexed < s.n; s.indexed++ {
		s.insert(s.indexed)
	}
}

// room is how many slots so many keys take.
func (s *keySet) room(keys int) int {
	size := 16
	for size < 3*keys {
		size *= 2
	}
	return size
}

func (s *keySet) grow(keys int) {
	s.slots, s.indexed = make([]uint32, s.room(keys)), 0
	for ; s.indexed < s.n; s.indexed++ {
		s.insert(s.indexed)
	}
}

func (s *keySet) insert(i int) (earlier int) {
	k := s.key(i)
	mask := uint64(len(s.slots) - 1)
	at := k.hash() & mask
	for ; s.slots[at] != 0; at = (at + 1) & mask {
		if n := int(s.slots[at] - 1); s.key(n) == k {
			s.slots[at] = uint32(i + 1)
			return n
		}
	}
	s.slots[at] = uint32(i + 1)
	return -1
}

// bloom is a set of keys that may say yes wrongly, once in a hundred, and says no
// rightly.
type bloom []byte

const (
	bloomBits   = 10 // a key
	bloomProbes = 6
)

func newBloom(keys *keySet) bloom {
	b := make(bloom, max(8, (keys.n*bloomBits+7)/8))
	for i := range keys.n {
		b.each(keys.key(i), func(at uint64) bool {
			b[at/8] |= 1 << (at % 8)
			return true
		})
	}
	return b
}

func (b bloom) each(k rowKey, probe func(at uint64) bool) {
	h := k.hash()
	step := binary.LittleEndian.Uint64(k[8:]) ^ h>>17 | 1
	step = step*0x9e3779b97f4a7c15 | 1
	n := uint64(len(b)) * 8
	for range bloomProbes {
		if !probe((h >> 3) % n) {
			return
		}
		h += step
	}
}

func (b bloom) has(k rowKey) bool {
	if len(b) == 0 {
		return true // nothing is known
	}
	found := true
	b.each(k, func(at uint64) bool {
		found = b[at/8]>>(at%8)&1 == 1
		return found
	})
	return found
}

// bitmap marks rows of a segment.
type bitmap []uint64

func (b bitmap) get(i int64) bool {
	return i>>6 < int64(len(b)) && b[i>>6]>>(i&63)&1 == 1
}

func (b *bitmap) set(i int64) bool {
	for int64(len(*b)) <= i>>6 {
		*b = append(*b, 0)
	}
	if b.get(i) {
		return false
	}
	(*b)[i>>6] |= 1 << (i & 63)
	return true
}

// blooms keeps filters in memory between the changes of a process.
type blooms struct {
	mu    sync.Mutex
	bytes int
	byID  map[bloomID]bloom
}

type bloomID struct {
	file string
	id   int64
}

// maxBlooms bounds the filters in memory, in bytes.
const maxBlooms = 32 << 20

func (b *blooms) get(id bloomID) bloom {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.byID[id]
}

func (b *blooms) put(id bloomID, keys bloom) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bytes += len(keys); b.bytes > maxBlooms || b.byID == nil {
		b.byID, b.bytes = map[bloomID]bloom{}, len(keys)
	}
	b.byID[id] = keys
}
