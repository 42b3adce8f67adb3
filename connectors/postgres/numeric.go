package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strconv"

	dec128 "github.com/apache/arrow-go/v18/arrow/decimal128"
	dec256 "github.com/apache/arrow-go/v18/arrow/decimal256"

	"arus/connectors"
)

// PostgreSQL sends a numeric as four 16-bit words (count of base-10000 groups,
// weight of the first, sign, digits after the point) and the groups.
const (
	numericNegative    = 0x4000
	numericNaN         = 0xC000
	numericInfinity    = 0xD000
	numericMinInfinity = 0xF000
)

var (
	errInfinite = fmt.Errorf("a decimal cannot be infinite: %w", errRange)
	errScale    = fmt.Errorf("more digits after the point than declared: %w", errRange)
	errDigits   = errors.New("not a decimal number")
	pow10       = [...]uint64{1, 10, 100, 1000, 10_000}
)

// numeric is the header of a binary numeric and its groups.
type numeric struct {
	groups []byte
	weight int
	sign   uint16
	scale  int
}

func parseNumeric(v []byte) (n numeric, err error) {
	if len(v) < 8 || len(v) != 8+2*int(binary.BigEndian.Uint16(v)) {
		return n, errWire
	}
	return numeric{
		groups: v[8:],
		weight: int(int16(binary.BigEndian.Uint16(v[2:]))),
		sign:   binary.BigEndian.Uint16(v[4:]),
		scale:  int(binary.BigEndian.Uint16(v[6:])),
	}, nil
}

// wide is an unsigned 256-bit integer, least word first.
type wide [4]uint64

// mulAdd makes w = w*m + a; it says whether the result fits.
func (w *wide) mulAdd(m, a uint64) bool {
	for i := range w {
		hi, lo := bits.Mul64(w[i], m)
		var carry uint64
		w[i], carry = bits.Add64(lo, a, 0)
		a = hi + carry
	}
	return a == 0
}

// divMod makes w = w/m and gives the remainder.
func (w *wide) divMod(m uint64) (r uint64) {
	for i := len(w) - 1; i >= 0; i-- {
		w[i], r = bits.Div64(r, w[i], m)
	}
	return r
}

// decimal128 reads a binary numeric as units of 10^-scale.
func decimal128(v []byte, scale int) (dec128.Num, error) {
	n, err := parseNumeric(v)
	if err != nil {
		return dec128.Num{}, err
	}
	if n.sign >= numericNaN {
		if n.sign == numericNaN {
			return connectors.DecimalNaN128, nil
		}
		return dec128.Num{}, errInfinite
	}
	// power is how many decimal digits the last group stands above 10^-scale.
	count := len(n.groups) / 2
	power := 4*(n.weight-count+1) + scale
	var out dec128.Num
	if 4*(n.weight+1)+scale <= 19 && count > 0 && power > -4 { // all of it fits one word
		var u uint64
		for i := 0; i < len(n.groups)-2; i += 2 {
			u = u*10_000 + uint64(binary.BigEndian.Uint16(n.groups[i:]))
		}
		last := uint64(binary.BigEndian.Uint16(n.groups[len(n.groups)-2:]))
		if power < 0 {
			cut := pow10[-power]
			if last%cut != 0 {
				return out, errScale
			}
			u = u*pow10[4+power] + last/cut
		} else {
			u = u*10_000 + last
			for ; power >= 4; power -= 4 {
				u *= 10_000
			}
			u *= pow10[power]
		}
		out = dec128.New(0, u)
	} else {
		w, err := n.units(scale)
		if err != nil {
			return out, err
		}
		if w[3] != 0 || w[2] != 0 || w[1]>>63 != 0 {
			return out, errRange
		}
		out = dec128.New(int64(w[1]), w[0])
	}
	if n.sign == numericNegative {
		out = out.Negate()
	}
	return out, nil
}

// decimal256 is decimal128 for the wide form.
func decimal256(v []byte, scale int) (dec256.Num, error) {
	n, err := parseNumeric(v)
	if err != nil {
		return dec256.Num{}, err
	}
	if n.sign >= numericNaN {
		if n.sign == numericNaN {
			return connectors.DecimalNaN256, nil
		}
		return dec256.Num{}, errInfinite
	}
	w, err := n.units(scale)
	if err != nil {
		return dec256.Num{}, err
	}
	if w[3]>>63 != 0 {
		return dec256.Num{}, errRange
	}
	out := dec256.New(w[3], w[2], w[1], w[0])
	if n.sign == numericNegative {
		out = out.Negate()
	}
	return out, nil
}

// units is the absolute value in units of 10^-scale.
func (n numeric) units(scale int) (w wide, err error) {
	power := 4*n.weight + scale // of the group at hand
	for i := 0; i < len(n.groups); i, power = i+2, power-4 {
		group := uint64(binary.BigEndian.Uint16(n.groups[i:]))
		ok := true
		switch {
		case power >= 0:
			ok = w.mulAdd(10_000, group)
		case power > -4:
			if group%pow10[-power] != 0 {
				return w, errScale
			}
			ok = w.mulAdd(pow10[4+power], group/pow10[-power])
		case group != 0:
			return w, errScale
		}
		if !ok {
			return w, errRange
		}
	}
	// power now stands one group below the last one.
	for power += 4; power > 0 && len(n.groups) > 0; {
		step := min(power, 4)
		if !w.mulAdd(pow10[step], 0) {
			return w, errRange
		}
		power -= step
	}
	return w, nil
}

// appendNumericText writes a binary numeric exactly as PostgreSQL spells it.
func appendNumericText(dst, v []byte) ([]byte, error) {
	n, err := parseNumeric(v)
	if err != nil {
		return dst, err
	}
	switch n.sign {
	case numericNaN:
		return append(dst, "NaN"...), nil
	case numericInfinity:
		return append(dst, "Infinity"...), nil
	case numericMinInfinity:
		return append(dst, "-Infinity"...), nil
	case numericNegative:
		dst = append(dst, '-')
	}
	group := func(i int) uint64 { // the i-th from the first; absent ones are zero
		if i < 0 || 2*i >= len(n.groups) {
			return 0
		}
		return uint64(binary.BigEndian.Uint16(n.groups[2*i:]))
	}
	if n.weight < 0 {
		dst = append(dst, '0')
	}
	for i := 0; i <= n.weight; i++ {
		if i == 0 {
			dst = strconv.AppendUint(dst, group(0), 10)
		} else {
			dst = appendGroup(dst, group(i), 4)
		}
	}
	if n.scale == 0 {
		return dst, nil
	}
	dst = append(dst, '.')
	for i, left := n.weight+1, n.scale; left > 0; i, left = i+1, left-4 {
		dst = appendGroup(dst, group(i), min(left, 4))
	}
	return dst, nil
}

// appendGroup writes the leading digits of a four-digit group.
func appendGroup(dst []byte, g uint64, digits int) []byte {
	for i := range digits {
		dst = append(dst, byte('0'+g/pow10[3-i]%10))
	}
	return dst
}

// appendDecimal128 writes a decimal as a binary numeric with its length.
func appendDecimal128(dst []byte, v dec128.Num, scale int) []byte {
	if v == connectors.DecimalNaN128 {
		return appendSpecial(dst, numericNaN)
	}
	sign := uint16(0)
	if v.Sign() < 0 {
		sign = numericNegative
		v = v.Negate()
	}
	if v.HighBits() != 0 {
		return appendGroups(dst, wide{v.LowBits(), uint64(v.HighBits())}, sign, scale)
	}
	// One word: the common case, without the long division.
	u := v.LowBits()
	var groups [8]uint16
	first := len(groups)
	fraction := (scale + 3) / 4
	if cut := scale % 4; cut > 0 {
		first--
		groups[first] = uint16(u % pow10[cut] * pow10[4-cut])
		u /= pow10[cut]
	}
	for u > 0 {
		first--
		groups[first] = uint16(u % 10_000)
		u /= 10_000
	}
	return appendNumeric(dst, groups[first:], len(groups)-first-fraction-1, sign, scale)
}

// appendDecimal256 is appendDecimal128 for the wide form.
func appendDecimal256(dst []byte, v dec256.Num, scale int) []byte {
	if v == connectors.DecimalNaN256 {
		return appendSpecial(dst, numericNaN)
	}
	sign := uint16(0)
	if v.Sign() < 0 {
		sign = numericNegative
		v = v.Negate()
	}
	words := v.Array()
	return appendGroups(dst, wide{words[0], words[1], words[2], words[3]}, sign, scale)
}

func appendGroups(dst []byte, w wide, sign uint16, scale int) []byte {
	var groups [24]uint16
	first := len(groups)
	if cut := scale % 4; cut > 0 {
		first--
		groups[first] = uint16(w.divMod(pow10[cut]) * pow10[4-cut])
	}
	for w != (wide{}) {
		first--
		groups[first] = uint16(w.divMod(10_000))
	}
	return appendNumeric(dst, groups[first:], len(groups)-first-(scale+3)/4-1, sign, scale)
}

// appendNumeric writes groups of which the first has the given weight; zero
// groups at either end are left out, as PostgreSQL keeps them.
func appendNumeric(dst []byte, groups []uint16, weight int, sign uint16, scale int) []byte {
	for len(groups) > 0 && groups[0] == 0 {
		groups = groups[1:]
		weight--
	}
	for len(groups) > 0 && groups[len(groups)-1] == 0 {
		groups = groups[:len(groups)-1]
	}
	if len(groups) == 0 {
		weight, sign = 0, 0
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(8+2*len(groups)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(groups)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(int16(weight)))
	dst = binary.BigEndian.AppendUint16(dst, sign)
	dst = binary.BigEndian.AppendUint16(dst, uint16(scale))
	for _, g := range groups {
		dst = binary.BigEndian.AppendUint16(dst, g)
	}
	return dst
}

func appendSpecial(dst []byte, sign uint16) []byte {
	dst = binary.BigEndian.AppendUint32(dst, 8)
	dst = binary.BigEndian.AppendUint32(dst, 0)
	dst = binary.BigEndian.AppendUint16(dst, sign)
	return binary.BigEndian.AppendUint16(dst, 0)
}

// Limits of a numeric without a declared precision.
const (
	maxNumericWhole    = 131072
	maxNumericFraction = 16383
)

// appendNumericBinary turns an exact decimal text into a binary numeric with
// its length, keeping its digits after the point. groups is scratch space.
func appendNumericBinary(dst []byte, text string, groups []uint16) ([]byte, []uint16, error) {
	switch text {
	case "NaN":
		return appendSpecial(dst, numericNaN), groups, nil
	case "Infinity":
		return appendSpecial(dst, numericInfinity), groups, nil
	case "-Infinity":
		return appendSpecial(dst, numericMinInfinity), groups, nil
	}
	sign := uint16(0)
	if text != "" && (text[0] == '-' || text[0] == '+') {
		if text[0] == '-' {
			sign = numericNegative
		}
		text = text[1:]
	}
	mantissa, exponent := text, 0
	for i := range len(text) {
		if text[i] == 'e' || text[i] == 'E' {
			var err error
			if exponent, err = strconv.Atoi(text[i+1:]); err != nil {
				return dst, groups, errDigits
			}
			mantissa = text[:i]
			break
		}
	}
	point, count := -1, 0
	for i := range len(mantissa) {
		switch c := mantissa[i]; {
		case c-'0' <= 9:
			count++
		case c == '.' && point < 0:
			point = count
		default:
			return dst, groups, errDigits
		}
	}
	if count == 0 {
		return dst, groups, errDigits
	}
	if point < 0 {
		point = count
	}
	if exponent > maxNumericWhole || exponent < -maxNumericFraction {
		return dst, groups, errRange
	}
	point += exponent // digits before the decimal point; may lie outside them
	scale := max(count-point, 0)
	if scale > maxNumericFraction || point > maxNumericWhole {
		return dst, groups, errRange
	}
	// The first group holds the digits up to the first multiple of four before the point.
	groups = groups[:0]
	weight := (point+3)>>2 - 1
	position := 4*(weight+1) - point // leading zeros that complete the first group
	group := uint64(0)
	for i := range len(mantissa) {
		if mantissa[i] == '.' {
			continue
		}
		group = group*10 + uint64(mantissa[i]-'0')
		if position++; position%4 == 0 {
			groups = append(groups, uint16(group))
			group = 0
		}
	}
	if rest := position % 4; rest != 0 {
		groups = append(groups, uint16(group*pow10[4-rest]))
	}
	return appendNumeric(dst, groups, weight, sign, scale), groups, nil
}
