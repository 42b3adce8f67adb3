package segment

import (
	"bytes"
	"hash/maphash"
	"slices"
)

// dictionary numbers the distinct values of a column in the order in which they
// come.
type dictionary struct {
	words []uint64 // the values, of words
	data  []byte   // or of texts,
	ends  []uint32 // and where each ends
	hash  []uint64 // of texts
	size  int      // bytes of the values

	slots []int32 // number plus one; as many as a power of two
	shift uint
	seed  maphash.Seed
	last  uint64 // the word that was looked for last
	code  int32
}

const firstSlots = 1 << 10

func (d *dictionary) reset() {
	d.words, d.data, d.ends, d.hash, d.size = d.words[:0], d.data[:0], d.ends[:0], d.hash[:0], 0
	clear(d.slots)
	d.code = -1
	if cap(d.data) > 4*dictBytes {
		d.data = nil
	}
}

func (d *dictionary) len() int { return max(len(d.words), len(d.ends)) }

// room makes slots for one more value.
func (d *dictionary) room() {
	n := d.len()
	if d.slots == nil {
		d.seed = maphash.MakeSeed()
		d.slots, d.shift = make([]int32, firstSlots), 64-10
	}
	if 2*(n+1) <= len(d.slots) {
		return
	}
	d.slots = make([]int32, 2*len(d.slots))
	d.shift--
	for i := range n {
		var h uint64
		if len(d.words) > 0 {
			h = spread(d.words[i])
		} else {
			h = d.hash[i]
		}
		at := int(h >> d.shift)
		for d.slots[at] != 0 {
			at = (at + 1) & (len(d.slots) - 1)
		}
		d.slots[at] = int32(i + 1)
	}
}

func spread(v uint64) uint64 {
	v ^= v >> 32
	v *= 0x9e3779b97f4a7c15
	return v ^ v<<29
}

// word numbers a word.
func (d *dictionary) word(v uint64) int32 {
	if v == d.last && d.code >= 0 {
		return d.code
	}
	if 2*(len(d.words)+1) > len(d.slots) {
		d.room()
	}
	at := int(spread(v) >> d.shift)
	for {
		n := d.slots[at]
		if n == 0 {
			d.words = append(d.words, v)
			d.size += 8
			n = int32(len(d.words))
			d.slots[at] = n
		}
		if d.words[n-1] == v {
			d.last, d.code = v, n-1
			return n - 1
		}
		at = (at + 1) & (len(d.slots) - 1)
	}
}

func (d *dictionary) textAt(i int32) []byte {
	if i == 0 {
		return d.data[:d.ends[0]]
	}
	return d.data[d.ends[i-1]:d.ends[i]]
}

// text numbers a text.
func (d *dictionary) text(v []byte) int32 {
	if d.code >= 0 && bytes.Equal(d.textAt(d.code), v) {
		return d.code
	}
	if 2*(len(d.ends)+1) > len(d.slots) {
		d.room()
	}
	h := maphash.Bytes(d.seed, v)
	at := int(h >> d.shift)
	for {
		n := d.slots[at]
		if n == 0 {
			d.data = append(d.data, v...)
			d.ends, d.hash = append(d.ends, uint32(len(d.data))), append(d.hash, h)
			d.size += len(v) + 4
			n = int32(len(d.ends))
			d.slots[at] = n
		}
		if d.hash[n-1] == h && bytes.Equal(d.textAt(n-1), v) {
			d.code = n - 1
			return n - 1
		}
		at = (at + 1) & (len(d.slots) - 1)
	}
}

// offsets are where the texts begin, and where the last one ends.
func (d *dictionary) offsets(dst []uint32) []uint32 {
	return append(append(slices.Grow(dst, len(d.ends)+1), 0), d.ends...)
}
