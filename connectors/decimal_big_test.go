package connectors

import (
	"math/big"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
)

// TestDecimalsAndIntegers goes there and back around every power of two, which
// is where words end.
func TestDecimalsAndIntegers(t *testing.T) {
	t.Parallel()
	one := big.NewInt(1)
	for power := range 255 {
		for _, by := range []int64{-1, 0, 1} {
			v := new(big.Int).Add(new(big.Int).Lsh(one, uint(power)), big.NewInt(by))
			if v.BitLen() > 255 {
				continue
			}
			for _, v := range []*big.Int{v, new(big.Int).Neg(v)} {
				if back := BigOf256(Decimal256Of(v)); back.Cmp(v) != 0 {
					t.Errorf("%v comes back as %v", v, back)
				}
				if v.BitLen() > 127 {
					continue
				}
				if back := BigOf128(Decimal128Of(v)); back.Cmp(v) != 0 {
					t.Errorf("%v of 128 bits comes back as %v", v, back)
				}
				if q, r := QuoRem128(Decimal128Of(v), decimal128.FromI64(10)); BigOf128(q.Mul(decimal128.FromI64(10)).Add(r)).Cmp(v) != 0 || r.Sign()*v.Sign() < 0 {
					t.Errorf("%v by ten is %v and %v", v, q, r)
				}
			}
		}
	}
	// The parts stand where Arrow has them.
	text := "-170141183460469231731687303715884105727"
	v, _ := new(big.Int).SetString(text, 10)
	if n := Decimal128Of(v); n.HighBits() != -1<<63 || n.LowBits() != 1 {
		t.Errorf("%s is %x %x", text, n.HighBits(), n.LowBits())
	}
	if n := Decimal256Of(v); n != decimal256.New(1<<64-1, 1<<64-1, 1<<63, 1) {
		t.Errorf("%s is %x", text, n.Array())
	}
}
