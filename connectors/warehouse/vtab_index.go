package warehouse

import (
	"database/sql/driver"
	"hash/maphash"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
)

const (
	// maxIndexRows and maxIndexBytes bound what a join keeps of its inner table;
	// a larger one is scanned for every lookup.
	maxIndexRows  = 2_000_000
	maxIndexBytes = 96 << 20
)

// hashIndex keeps the columns that a query needs of a whole table, with a chain
// of the rows for every hash of the columns that it is looked up by.
type hashIndex struct {
	seed    maphash.Seed
	terms   []int // of the plan: the equalities
	batches []arrow.RecordBatch
	show    [][]shower
	spans   [][]span
	first   []int32 // by batch: the number of its first row
	head    map[uint64]int32
	next    []int32
}

func (x *hashIndex) release() {
	if x == nil {
		return
	}
	for _, b := range x.batches {
		b.Release()
	}
}

// hash is the same for values that are equal to SQLite; false for a null, which
// equals nothing.
func (x *hashIndex) hash(h *maphash.Hash, v any) bool {
	switch v := v.(type) {
	case int64:
		maphash.WriteComparable(h, float64(v))
	case float64:
		if math.IsNaN(v) {
			return false
		}
		maphash.WriteComparable(h, v+0)
	case string:
		_, _ = h.WriteString(v)
		_ = h.WriteByte(1)
	case []byte:
		_, _ = h.Write(v)
		_ = h.WriteByte(2)
	default:
		return false
	}
	return true
}

// lookup answers a repeated lookup from the index, which it makes when it pays.
func (c *cursor) lookup(p plan, args []driver.Value) (done bool, err error) {
	if c.index == nil {
		if c.repeats != indexAfter || c.table.rows > maxIndexRows {
			return false, nil
		}
		var terms []int
		for i, t := range p.terms {
			if t.op == opEqual && c.place[t.column] >= 0 {
				terms = append(terms, i)
			}
		}
		if len(terms) == 0 {
			return false, nil
		}
		if ok, err := c.build(p, terms); !ok || err != nil {
			return false, err
		}
	}
	x := c.index
	var h maphash.Hash
	h.SetSeed(x.seed)
	for _, i := range x.terms {
		if !x.hash(&h, args[i]) {
			c.ended = true
			return true, nil
		}
	}
	head, ok := x.head[h.Sum64()]
	if !ok {
		head = -1
	}
	c.follow(head)
	return true, nil
}

// build reads the whole table into an index; false when it is too large.
func (c *cursor) build(p plan, terms []int) (bool, error) {
	x := &hashIndex{seed: maphash.MakeSeed(), terms: terms, head: map[uint64]int32{}}
	var conditions []condition
	if err := c.start(conditions); err != nil {
		return false, err
	}
	size, row := 0, int32(0)
	for !c.ended {
		for _, arr := range c.batch.Columns() {
			size += int(arr.Data().SizeInBytes())
		}
		if size += 24 * c.count; size > maxIndexBytes {
			x.release()
			return false, c.end()
		}
		shows := append([]shower{}, c.show...)
		x.batches, x.show, x.spans, x.first = append(x.batches, c.batch), append(x.show, shows), append(x.spans, c.spans), append(x.first, row)
		c.batch = nil // the index has it
		for i := range c.count {
			var h maphash.Hash
			h.SetSeed(x.seed)
			full := true
			for _, t := range terms {
				shows[c.place[p.terms[t].column]](&c.value, i)
				full = full && x.hash(&h, c.value.value())
			}
			x.next = append(x.next, -1)
			if full {
				sum := h.Sum64()
				if head, ok := x.head[sum]; ok {
					x.next[row] = head
				}
				x.head[sum] = row
			}
			row++
		}
		if err := c.load(); err != nil {
			x.release()
			return false, err
		}
	}
	c.index, c.table.read.Indexed = x, true
	return true, c.endScan()
}

// follow makes a row of the index current.
func (c *cursor) follow(row int32) {
	if c.ended = row < 0; c.ended {
		return
	}
	x := c.index
	c.chain = row
	low, high := 0, len(x.first)
	for high-low > 1 {
		if m := (low + high) / 2; x.first[m] <= row {
			low = m
		} else {
			high = m
		}
	}
	c.show, c.spans, c.row = x.show[low], x.spans[low], int(row-x.first[low])
}
