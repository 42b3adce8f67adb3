package warehouse

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestKeySet finds each key by the number that it was added by last, short and long ones, before and after the set is reset.
func TestKeySet(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 1))
	var set keySet
	for round := range 4 {
		numbers := map[rowKey]int{}
		for i := range 3*keyPage/2 + round {
			var k rowKey
			binary.BigEndian.PutUint64(k[:], random.Uint64N(1<<14))
			if round%2 == 1 && i > keyPage/2 {
				k[15] = byte(random.IntN(2))
			}
			was, there := numbers[k]
			if !there {
				was = -1
			}
			if got := set.put(k); got != was {
				t.Fatalf("round %d: key %x had the number %d, not %d", round, k, was, got)
			}
			numbers[k] = i
			if set.key(i) != k {
				t.Fatalf("round %d: key %d is %x, not %x", round, i, set.key(i), k)
			}
		}
		filter := newBloom(&set)
		for k, n := range numbers {
			if got, ok := set.find(k); !ok || got != n || !filter.has(k) {
				t.Fatalf("round %d: find(%x) = %d, %v: want %d", round, k, got, ok, n)
			}
		}
		if set.has(rowKey{0: 255}) {
			t.Error("the set has a key that was not added")
		}
		set.reset()
		if set.has(set.key(0)) {
			t.Error("the set has a key after its reset")
		}
	}
}

// TestKeyRuns takes keys for new ones only while they are.
func TestKeyRuns(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		keys string
		ends int // the first that may be a second one
	}{
		{"abcdef", 6},
		{"defabc", 6},
		{"defabcd", 6},
		{"efcdab", 6},
		{"aba", 2},
		{"aa", 1},
		{"acb", 2},
		{"efabg", 5},
		{"efabe", 4},
		{"efabf", 4},
		{"ghdeabcf", 8},
		{"ghabdecf", 6},
		{"zyxwvuts", 8},
		{"ab|mn|cd|op|ef", 14},
		{"ab|mn|cd|op|emf", 13},
		{"ab|mn|cd|bo", 9},
		{"abm|cn", 4},
	} {
		var r keyRuns
		var last []byte
		end := len(tt.keys)
		for i := range tt.keys { // a bar ends a batch
			key := []byte(tt.keys[i : i+1])
			if key[0] != '|' && !r.follows(key, last, i > 0 && tt.keys[i-1] == '|') {
				end = i
				break
			}
			if key[0] != '|' {
				last = append(last[:0], key...)
			}
		}
		if end != tt.ends {
			t.Errorf("%s: ended before %d, want %d", tt.keys, end, tt.ends)
		}
	}
	random := rand.New(rand.NewPCG(2, 2))
	for range 5000 {
		var r keyRuns
		var seen [][]byte
		for range 12 {
			key := []byte{byte(random.IntN(20))}
			var last []byte
			if len(seen) > 0 {
				last = seen[len(seen)-1]
			}
			fresh := r.follows(key, last, random.IntN(3) == 0)
			if fresh && slices.ContainsFunc(seen, func(k []byte) bool { return k[0] == key[0] }) {
				t.Fatalf("%v was taken for a new key after %v", key, seen)
			}
			if !fresh {
				break
			}
			seen = append(seen, key)
		}
	}
}
