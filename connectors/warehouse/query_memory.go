package warehouse

import "github.com/apache/arrow-go/v18/arrow/memory"

// spareMemory gives the batches of one scan the memory of those before them, which
// the scan's reader has released: what is made anew for each batch keeps the
// garbage collector busier than the query. It is for one goroutine.
type spareMemory struct {
	base  memory.GoAllocator
	spare [][]byte
}

// maxSpare is how many pieces are kept.
const maxSpare = 64

// Allocate gives zeroed memory.
func (m *spareMemory) Allocate(size int) []byte {
	best := -1
	for i, b := range m.spare {
		if cap(b) >= size && (best < 0 || cap(b) < cap(m.spare[best])) {
			best = i
		}
	}
	if best < 0 || cap(m.spare[best])/4 > size {
		return m.base.Allocate(size)
	}
	last := len(m.spare) - 1
	out := m.spare[best][:size]
	m.spare[best], m.spare = m.spare[last], m.spare[:last]
	clear(out)
	return out
}

// Reallocate gives memory of another size with what b holds.
func (m *spareMemory) Reallocate(size int, b []byte) []byte {
	if size <= cap(b) {
		if size > len(b) {
			clear(b[len(b):size])
		}
		return b[:size]
	}
	out := m.Allocate(size)
	copy(out, b)
	m.Free(b)
	return out
}

// Free keeps the memory.
func (m *spareMemory) Free(b []byte) {
	if cap(b) > 0 && len(m.spare) < maxSpare {
		m.spare = append(m.spare, b)
	}
}
