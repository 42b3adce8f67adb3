package segment

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/parquet-go/parquet-go"

	"arus/connectors"
)

// comparison is how the values of a column are ordered.
type comparison uint8

const (
	bySigned comparison = iota
	byUnsigned
	byFloat
	byDouble
	byBytes
	byDecimal // bytes of a signed number
	byFlag
)

func comparisonOf(kind parquet.Kind, t connectors.Type) comparison {
	switch kind {
	case parquet.Boolean:
		return byFlag
	case parquet.Float:
		return byFloat
	case parquet.Double:
		return byDouble
	case parquet.ByteArray:
		return byBytes
	case parquet.FixedLenByteArray:
		if t.Kind == connectors.Decimal {
			return byDecimal
		}
		return byBytes
	}
	switch t.Kind {
	case connectors.Uint8, connectors.Uint16, connectors.Uint32, connectors.Uint64:
		return byUnsigned
	}
	return bySigned
}

// bounds are the least and the greatest value of a row group's column.
type bounds struct {
	known    bool
	low, top int64 // of words: the values themselves, unsigned ones with the sign turned
	least    float64
	most     float64
	from, to []byte
}

// turned is a word in the order of int64.
func (l *leaf) turned(w uint64) int64 {
	switch {
	case l.compare == byUnsigned:
		return int64(w ^ 1<<63)
	case l.form == words32:
		return int64(int32(uint32(w)))
	}
	return int64(w)
}

// see widens the bounds by the values of the open page, or of the dictionary.
func (l *leaf) see() {
	if l.long {
		return
	}
	b := &l.bounds
	switch l.form {
	case words32:
		for _, v := range l.w32 {
			l.seeWord(b, uint64(uint32(v)))
		}
	case words64:
		for _, v := range l.w64 {
			l.seeWord(b, uint64(v))
		}
	case texts:
		for i, end := range l.ends[1:] {
			l.seeBytes(b, l.data[l.ends[i]:end])
		}
	default:
		for i := 0; i < len(l.data); i += l.width {
			l.seeBytes(b, l.data[i:i+l.width])
		}
	}
}

func (l *leaf) seeDictionary() {
	if l.long {
		return
	}
	for _, w := range l.dict.words {
		l.seeWord(&l.bounds, w)
	}
	for i := range l.dict.ends {
		l.seeBytes(&l.bounds, l.dict.textAt(int32(i)))
	}
}

func (l *leaf) seeWord(b *bounds, w uint64) {
	switch l.compare {
	case byFloat, byDouble:
		f := math.Float64frombits(w)
		if l.compare == byFloat {
			f = float64(math.Float32frombits(uint32(w)))
		}
		if f != f {
			return
		}
		if !b.known {
			b.known, b.least, b.most = true, f, f
		}
		b.least, b.most = min(b.least, f), max(b.most, f)
	default:
		v := l.turned(w)
		if !b.known {
			b.known, b.low, b.top = true, v, v
		}
		b.low, b.top = min(b.low, v), max(b.top, v)
	}
}

func (l *leaf) seeBytes(b *bounds, v []byte) {
	less := func(x, y []byte) bool {
		if l.compare == byDecimal && x[0]^y[0] >= 0x80 {
			return x[0] >= 0x80
		}
		return bytes.Compare(x, y) < 0
	}
	if !b.known {
		b.known, b.from, b.to = true, append([]byte{}, v...), append([]byte{}, v...)
		return
	}
	if less(v, b.from) {
		b.from = append(b.from[:0], v...)
	} else if less(b.to, v) {
		b.to = append(b.to[:0], v...)
	}
}

// plain gives the bounds as a file has them.
func (l *leaf) plain() (low, high []byte) {
	b := &l.bounds
	if !b.known || l.long {
		return nil, nil
	}
	word := func(v int64) []byte {
		if l.compare == byUnsigned {
			v ^= math.MinInt64
		}
		if l.form == words32 {
			return binary.LittleEndian.AppendUint32(nil, uint32(v))
		}
		return binary.LittleEndian.AppendUint64(nil, uint64(v))
	}
	fraction := func(f float64) []byte {
		if l.form == words32 {
			return binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(f)))
		}
		return binary.LittleEndian.AppendUint64(nil, math.Float64bits(f))
	}
	switch l.compare {
	case byFloat, byDouble: // a zero counts as both of them
		least, most := b.least, b.most
		if least == 0 {
			least = math.Copysign(0, -1)
		}
		if most == 0 {
			most = 0
		}
		return fraction(least), fraction(most)
	case bySigned, byUnsigned:
		return word(b.low), word(b.top)
	}
	return b.from, b.to
}
