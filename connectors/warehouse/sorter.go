package warehouse

import (
	"bufio"
	"bytes"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
)

// sorter sorts records by their keys, beyond memory by runs in temporary files.
// Records of one key keep the order in which they came.
type sorter struct {
	dir   string // of the files; "" = the system's
	limit int    // bytes in memory

	arena   []byte
	entries []entry
	runs    []*os.File
}

// entry is a record in the arena: its key, then its value.
type entry struct {
	prefix     uint64 // the key's first bytes, which decide nearly always
	at         int
	key, value int // lengths
}

const sortMemory = 32 << 20

func newSorter(dir string) *sorter { return &sorter{dir: dir, limit: sortMemory} }

func prefixOf(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var b [8]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:])
}

// add copies a record in.
func (s *sorter) add(key, value []byte) error {
	if len(s.arena)+len(key)+len(value)+32*(len(s.entries)+1) > s.limit && len(s.entries) > 0 {
		if err := s.spill(); err != nil {
			return err
		}
	}
	s.entries = append(s.entries, entry{prefixOf(key), len(s.arena), len(key), len(value)})
	s.arena = append(append(s.arena, key...), value...)
	return nil
}

func (s *sorter) keyOf(e entry) []byte { return s.arena[e.at : e.at+e.key] }

func (s *sorter) sort() {
	slices.SortFunc(s.entries, func(a, b entry) int {
		if a.prefix != b.prefix {
			return cmp.Compare(a.prefix, b.prefix)
		}
		if c := bytes.Compare(s.keyOf(a), s.keyOf(b)); c != 0 {
			return c
		}
		return cmp.Compare(a.at, b.at)
	})
}

// spill writes what is in memory as a sorted run.
func (s *sorter) spill() error {
	s.sort()
	f, err := os.CreateTemp(s.dir, "sort-*"+tmpSuffix)
	if err != nil {
		return err
	}
	s.runs = append(s.runs, f)
	w := bufio.NewWriterSize(f, 1<<18)
	var head [2 * binary.MaxVarintLen64]byte
	for _, e := range s.entries {
		n := binary.PutUvarint(head[:], uint64(e.key))
		n += binary.PutUvarint(head[n:], uint64(e.value))
		_, _ = w.Write(head[:n])
		_, _ = w.Write(s.arena[e.at : e.at+e.key+e.value]) // Flush tells of an error
	}
	if err := w.Flush(); err != nil {
		return err
	}
	s.arena, s.entries = s.arena[:0], s.entries[:0]
	_, err = f.Seek(0, io.SeekStart)
	return err
}

// run is a sorted run being read.
type run struct {
	r          *bufio.Reader
	order      int
	key, value []byte
}

func (r *run) next() (bool, error) {
	key, err := binary.ReadUvarint(r.r)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	value, err2 := binary.ReadUvarint(r.r)
	if err := errors.Join(err, err2); err != nil {
		return false, err
	}
	r.key = slices.Grow(r.key[:0], int(key))[:key]
	r.value = slices.Grow(r.value[:0], int(value))[:value]
	_, err = io.ReadFull(r.r, r.key)
	_, err2 = io.ReadFull(r.r, r.value)
	return true, errors.Join(err, err2)
}

type runHeap []*run

func (h runHeap) Len() int { return len(h) }
func (h runHeap) Less(i, j int) bool {
	if c := bytes.Compare(h[i].key, h[j].key); c != 0 {
		return c < 0
	}
	return h[i].order < h[j].order
}
func (h runHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *runHeap) Push(x any)   { *h = append(*h, x.(*run)) }
func (h *runHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// each gives the records in order; key and value are good for the call.
func (s *sorter) each(row func(key, value []byte) error) error {
	if len(s.runs) == 0 {
		s.sort()
		for _, e := range s.entries {
			if err := row(s.keyOf(e), s.arena[e.at+e.key:e.at+e.key+e.value]); err != nil {
				return err
			}
		}
		return nil
	}
	if len(s.entries) > 0 {
		if err := s.spill(); err != nil {
			return err
		}
	}
	s.arena, s.entries = nil, nil
	var h runHeap
	for i, f := range s.runs {
		r := &run{r: bufio.NewReaderSize(f, 1<<17), order: i}
		ok, err := r.next()
		if err != nil {
			return err
		}
		if ok {
			h = append(h, r)
		}
	}
	heap.Init(&h)
	for len(h) > 0 {
		r := h[0]
		if err := row(r.key, r.value); err != nil {
			return err
		}
		ok, err := r.next()
		if err != nil {
			return err
		}
		if ok {
			heap.Fix(&h, 0)
		} else {
			heap.Pop(&h)
		}
	}
	return nil
}

// close removes the files.
func (s *sorter) close() {
	for _, f := range s.runs {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}
	s.runs, s.arena, s.entries = nil, nil, nil
}
