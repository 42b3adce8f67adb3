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

// hashIndex keeps the columns that a query needs of a whole table, with a chain of
// rows for every bucket of hashes of the columns that it is looked up by.
type hashIndex struct {
	seed    maphash.Seed // of texts
	terms   []int        // of the plan: the equalities
	batches []arrow.RecordBatch
	show    [][]shower
	spans   [][]span
	first   []int32 // by batch: the number of its first row
	sums    []uint64
	null    []bool  // rows that equal nothing
	head    []int32 // by bucket, -1 = none
	next    []int32 // by row
	wanted  uint64
}

func (x *hashIndex) release() {
	if x == nil {
		return
	}
	for _, b := range x.batches {
		b.Release()
	}
}

// hash adds a value to a hash, which is the same for values that are equal to
// SQLite; false for a null, which equals nothing.
func (x *hashIndex) hash(sum uint64, a *atom) (uint64, bool) {
	const spread = 0x9e3779b97f4a7c15
	v := uint64(a.whole)
	switch a.kind {
	case nullAtom:
		return 0, false
	case realAtom:
		if v = math.Float64bits(a.real); a.real >= -1<<63 && a.real < 1<<63 && a.real == math.Trunc(a.real) {
			v = uint64(int64(a.real))
		}
	case textAtom:
		v = maphash.String(x.seed, a.text)
	case blobAtom:
		v = maphash.String(x.seed, a.text) + 1
	}
	// Numbers that follow each other stay near each other, as rows that have them do.
	return sum*spread + v + (v>>20)*spread>>24, true
}

// link makes the chains, each in the order of the rows.
func (x *hashIndex) link() {
	size := 1
	for size < len(x.sums) {
		size *= 2
	}
	x.head, x.next = make([]int32, size), make([]int32, len(x.sums))
	for i := range x.head {
		x.head[i] = -1
	}
	for row := len(x.sums) - 1; row >= 0; row-- {
		if !x.null[row] {
			head := &x.head[x.sums[row]&uint64(size-1)]
			x.next[row], *head = *head, int32(row)
		}
	}
	x.null = nil
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
	x.wanted = 0
	for _, i := range x.terms {
		c.value.set(args[i])
		var ok bool
		if x.wanted, ok = x.hash(x.wanted, &c.value); !ok {
			c.ended = true
			return true, nil
		}
	}
	c.follow(x.head[x.wanted&uint64(len(x.head)-1)])
	return true, nil
}

// build reads the whole table into an index; false when it is too large.
func (c *cursor) build(p plan, terms []int) (bool, error) {
	x := &hashIndex{seed: maphash.MakeSeed(), terms: terms}
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
			sum, full := uint64(0), true
			for _, t := range terms {
				if shows[c.place[p.terms[t].column]](&c.value, i); full {
					sum, full = x.hash(sum, &c.value)
				}
			}
			x.sums, x.null = append(x.sums, sum), append(x.null, !full)
			row++
		}
		if err := c.load(); err != nil {
			x.release()
			return false, err
		}
	}
	x.link()
	c.index, c.table.read.Indexed = x, true
	return true, c.endScan()
}

// follow makes the next row of a chain current that may be wanted.
func (c *cursor) follow(row int32) {
	x := c.index
	for row >= 0 && x.sums[row] != x.wanted {
		row = x.next[row]
	}
	if c.ended = row < 0; c.ended {
		return
	}
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
