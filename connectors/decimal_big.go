package connectors

import (
	"math/big"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
)

// Arrow's own ways between its decimals and big.Int take a machine word for 64
// bits: where words have 32, they lose half of every number. These do not.

// BigOf128 is a decimal of 128 bits as an integer.
func BigOf128(n decimal128.Num) *big.Int {
	if n.Sign() < 0 {
		v := BigOf128(n.Negate())
		return v.Neg(v)
	}
	return bigOf(n.LowBits(), uint64(n.HighBits()))
}

// BigOf256 is a decimal of 256 bits as an integer.
func BigOf256(n decimal256.Num) *big.Int {
	if n.Sign() < 0 {
		v := BigOf256(n.Negate())
		return v.Neg(v)
	}
	a := n.Array()
	return bigOf(a[:]...)
}

// bigOf puts 64 bits after 64 bits, the lowest first.
func bigOf(parts ...uint64) *big.Int {
	words := make([]big.Word, 0, len(parts)*64/bits.UintSize)
	for _, p := range parts {
		words = append(words, big.Word(p))
		if bits.UintSize == 32 {
			words = append(words, big.Word(p>>32))
		}
	}
	return new(big.Int).SetBits(words)
}

// Decimal128Of is an integer of less than 128 bits as a decimal.
func Decimal128Of(v *big.Int) decimal128.Num {
	var parts [2]uint64
	partsOf(v, parts[:])
	n := decimal128.New(int64(parts[1]), parts[0])
	if v.Sign() < 0 {
		return n.Negate()
	}
	return n
}

// Decimal256Of is an integer of less than 256 bits as a decimal.
func Decimal256Of(v *big.Int) decimal256.Num {
	var parts [4]uint64
	partsOf(v, parts[:])
	n := decimal256.New(parts[3], parts[2], parts[1], parts[0])
	if v.Sign() < 0 {
		return n.Negate()
	}
	return n
}

// partsOf puts the words of a number into 64 bits each, the lowest first.
func partsOf(v *big.Int, parts []uint64) {
	for i, word := range v.Bits() {
		at := i * bits.UintSize
		parts[at/64] |= uint64(word) << (at % 64)
	}
}

// QuoRem128 divides decimals as integers, towards zero.
func QuoRem128(a, b decimal128.Num) (quotient, remainder decimal128.Num) {
	q, r := new(big.Int).QuoRem(BigOf128(a), BigOf128(b), new(big.Int))
	return Decimal128Of(q), Decimal128Of(r)
}
