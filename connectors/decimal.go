package connectors

import (
	"errors"
	"math/big"
	"math/bits"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
)

var (
	errDecimal      = errors.New("not a decimal number")
	errDecimalRange = errors.New("does not fit the column's precision and scale")
)

// ParseDecimal128 reads a plain decimal ([-+]digits[.digits][e[-+]digits]) into a
// value of the given scale, exactly: digits that do not fit are an error, never
// rounded. "NaN" gives DecimalNaN128.
func ParseDecimal128[T ~string | ~[]byte](s T, precision, scale int) (decimal128.Num, error) {
	neg, i := sign(s)
	var hi, lo uint64
	digits, frac := 0, -1
	for ; i < len(s); i++ {
		c := s[i]
		switch {
		case c-'0' <= 9:
			if frac >= 0 {
				if frac == scale {
					if c != '0' { // too fine, unless an exponent follows
						return slowDecimal128(string(s), precision, scale)
					}
					continue
				}
				frac++
			}
			carry, l := bits.Mul64(lo, 10)
			l, c0 := bits.Add64(l, uint64(c-'0'), 0)
			over, h := bits.Mul64(hi, 10)
			h, c1 := bits.Add64(h, carry, c0)
			if over != 0 || c1 != 0 || h >= 1<<63 { // too large, unless an exponent follows
				return slowDecimal128(string(s), precision, scale)
			}
			hi, lo = h, l
			digits++
		case c == '.' && frac < 0:
			frac = 0
		default:
			return slowDecimal128(string(s), precision, scale)
		}
	}
	if digits == 0 {
		return slowDecimal128(string(s), precision, scale)
	}
	for frac = max(frac, 0); frac < scale; frac++ {
		carry, l := bits.Mul64(lo, 10)
		over, h := bits.Mul64(hi, 10)
		h, c1 := bits.Add64(h, carry, 0)
		if over != 0 || c1 != 0 || h >= 1<<63 {
			return decimal128.Num{}, errDecimalRange
		}
		hi, lo = h, l
	}
	n := decimal128.New(int64(hi), lo)
	if (hi != 0 || precision < 20) && !n.FitsInPrecision(int32(precision)) {
		return decimal128.Num{}, errDecimalRange
	}
	if neg {
		n = n.Negate()
	}
	return n, nil
}

func sign[T ~string | ~[]byte](s T) (neg bool, i int) {
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		return s[0] == '-', 1
	}
	return false, 0
}

// slowDecimal128 takes what the digit loop does not: NaN, exponents, faults.
func slowDecimal128(s string, precision, scale int) (decimal128.Num, error) {
	if s == "NaN" {
		return DecimalNaN128, nil
	}
	v, err := scaledInt(s, precision, scale)
	if err != nil {
		return decimal128.Num{}, err
	}
	return Decimal128Of(v), nil
}

// ParseDecimal256 is ParseDecimal128 for up to 76 digits.
func ParseDecimal256[T ~string | ~[]byte](s T, precision, scale int) (decimal256.Num, error) {
	if string(s) == "NaN" {
		return DecimalNaN256, nil
	}
	v, err := scaledInt(string(s), precision, scale)
	if err != nil {
		return decimal256.Num{}, err
	}
	return Decimal256Of(v), nil
}

// scaledInt reads a decimal text as an integer of 10^-scale units, exactly.
func scaledInt(s string, precision, scale int) (*big.Int, error) {
	neg, i := sign(s)
	var digits []byte
	point, exponent := -1, 0
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case c-'0' <= 9:
			digits = append(digits, c)
		case c == '.' && point < 0:
			point = len(digits)
		case (c == 'e' || c == 'E') && len(digits) > 0:
			e, err := strconv.Atoi(s[i+1:])
			if err != nil || e > 2000 || e < -2000 {
				return nil, errDecimal
			}
			exponent, i = e, len(s)
		default:
			return nil, errDecimal
		}
	}
	if len(digits) == 0 {
		return nil, errDecimal
	}
	if point < 0 {
		point = len(digits)
	}
	point += exponent + scale // digits left of here are whole units of 10^-scale
	for point < len(digits) {
		if digits[len(digits)-1] != '0' {
			if point <= 0 && allZero(digits) {
				return new(big.Int), nil
			}
			return nil, errDecimalRange
		}
		if digits = digits[:len(digits)-1]; len(digits) == 0 {
			return new(big.Int), nil
		}
	}
	for len(digits) < point {
		digits = append(digits, '0')
	}
	v, ok := new(big.Int).SetString(string(digits), 10)
	if !ok {
		return nil, errDecimal
	}
	if v.Sign() != 0 && len(v.Text(10)) > precision {
		return nil, errDecimalRange
	}
	if neg {
		v.Neg(v)
	}
	return v, nil
}

func allZero(digits []byte) bool {
	for _, d := range digits {
		if d != '0' {
			return false
		}
	}
	return true
}

// AppendDecimal128 writes the value with exactly scale digits after the point;
// DecimalNaN128 as NaN.
func AppendDecimal128(dst []byte, n decimal128.Num, scale int) []byte {
	if n == DecimalNaN128 {
		return append(dst, "NaN"...)
	}
	if n.Sign() < 0 {
		dst = append(dst, '-')
		n = n.Negate()
	}
	if n.HighBits() == 0 {
		var buf [20]byte
		return appendScaled(dst, strconv.AppendUint(buf[:0], n.LowBits(), 10), scale)
	}
	var buf [40]byte
	return appendScaled(dst, BigOf128(n).Append(buf[:0], 10), scale)
}

// AppendDecimal256 is AppendDecimal128 for the wide form.
func AppendDecimal256(dst []byte, n decimal256.Num, scale int) []byte {
	if n == DecimalNaN256 {
		return append(dst, "NaN"...)
	}
	v := BigOf256(n)
	if v.Sign() < 0 {
		dst = append(dst, '-')
		v.Neg(v)
	}
	var buf [80]byte
	return appendScaled(dst, v.Append(buf[:0], 10), scale)
}

// appendScaled puts the decimal point scale digits from the right.
func appendScaled(dst, digits []byte, scale int) []byte {
	if scale == 0 {
		return append(dst, digits...)
	}
	if len(digits) <= scale {
		dst = append(dst, '0', '.')
		for range scale - len(digits) {
			dst = append(dst, '0')
		}
		return append(dst, digits...)
	}
	point := len(digits) - scale
	dst = append(dst, digits[:point]...)
	dst = append(dst, '.')
	return append(dst, digits[point:]...)
}
