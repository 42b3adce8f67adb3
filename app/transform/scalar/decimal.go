package scalar

import (
	"errors"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// Decimal is an exact decimal number, NaN, or an infinity (a numeric column may
// hold those). Decimals are never changed once made.
type Decimal struct {
	coef  *big.Int // value * 10^scale; never changed; nil unless finite
	scale int      // digits after the point, never negative
	form  decimalForm
}

type decimalForm uint8

const (
	finite decimalForm = iota
	notNumber
	plusInfinity
	minusInfinity
)

// maxDigits bounds how long a decimal may grow.
const maxDigits = 4000

// The ways in which arithmetic fails.
var (
	ErrDivision = errors.New("division by zero")
	ErrInfinite = errors.New("an infinite number cannot be calculated with")
	ErrTooLong  = errors.New("the number has too many digits")
	ErrRange    = errors.New("the number is out of range")
)

var (
	nan = &Decimal{form: notNumber}
	ten = big.NewInt(10)
	two = big.NewInt(2)
)

// NewDecimal is coef / 10^scale; it takes coef over.
func NewDecimal(coef *big.Int, scale int) *Decimal {
	return &Decimal{coef: coef, scale: scale}
}

// DecimalOf is the decimal of an integer.
func DecimalOf(v int64) *Decimal {
	return &Decimal{coef: big.NewInt(v)}
}

// ParseDecimal reads [-+]digits[.digits][e[-+]digits], NaN and infinities, exactly.
func ParseDecimal(s string) (*Decimal, error) {
	bad := func() (*Decimal, error) { return nil, errors.New(quoted(s) + " is not a number") }
	switch strings.ToLower(strings.TrimLeft(s, "+")) {
	case "nan":
		return nan, nil
	case "infinity", "inf":
		return &Decimal{form: plusInfinity}, nil
	case "-infinity", "-inf":
		return &Decimal{form: minusInfinity}, nil
	}
	mantissa, exponent := s, 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		e, err := strconv.Atoi(s[i+1:])
		if err != nil || e > maxDigits || e < -maxDigits {
			return bad()
		}
		mantissa, exponent = s[:i], e
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole, "+-") + fraction
	if digits == "" || strings.Trim(digits, "0123456789") != "" || len(whole)-len(strings.TrimLeft(whole, "+-")) > 1 {
		return bad()
	}
	if len(digits) > maxDigits {
		return nil, ErrTooLong
	}
	coef, _ := new(big.Int).SetString(digits, 10)
	if strings.HasPrefix(whole, "-") {
		coef.Neg(coef)
	}
	scale := len(fraction) - exponent
	if scale < 0 {
		coef.Mul(coef, pow10(-scale))
		scale = 0
	}
	return &Decimal{coef: coef, scale: scale}, nil
}

// DecimalOfFloat is the shortest decimal that reads back as f, of 32 or 64 bits.
func DecimalOfFloat(f float64, bits int) *Decimal {
	switch {
	case math.IsNaN(f):
		return nan
	case math.IsInf(f, 1):
		return &Decimal{form: plusInfinity}
	case math.IsInf(f, -1):
		return &Decimal{form: minusInfinity}
	}
	d, err := ParseDecimal(strconv.FormatFloat(f, 'e', -1, bits))
	if err != nil {
		return nan // no finite float is further than maxDigits from the point
	}
	return d
}

// powers are those of ten that nearly all decimals need.
var powers = func() (p [64]*big.Int) {
	p[0] = big.NewInt(1)
	for i := 1; i < len(p); i++ {
		p[i] = new(big.Int).Mul(p[i-1], ten)
	}
	return p
}()

// pow10 is not the caller's to change.
func pow10(n int) *big.Int {
	if n < len(powers) {
		return powers[n]
	}
	return new(big.Int).Exp(ten, big.NewInt(int64(n)), nil)
}

// scaled is the coefficient at a scale that is not smaller.
func (d *Decimal) scaled(scale int) *big.Int {
	if scale == d.scale {
		return d.coef
	}
	return new(big.Int).Mul(d.coef, pow10(scale-d.scale))
}

// special settles an operation in which a or b is not finite.
func special(a, b *Decimal) (result *Decimal, settled bool, err error) {
	switch {
	case a.form == finite && b.form == finite:
		return nil, false, nil
	case a.form == notNumber || b.form == notNumber:
		return nan, true, nil
	}
	return nil, true, ErrInfinite
}

func checked(coef *big.Int, scale int) (*Decimal, error) {
	if coef.BitLen() > maxDigits*10/3 {
		return nil, ErrTooLong
	}
	return &Decimal{coef: coef, scale: scale}, nil
}

// Add is a + b at the larger scale.
func Add(a, b *Decimal) (*Decimal, error) {
	if d, settled, err := special(a, b); settled {
		return d, err
	}
	scale := max(a.scale, b.scale)
	return checked(new(big.Int).Add(a.scaled(scale), b.scaled(scale)), scale)
}

// Sub is a - b at the larger scale.
func Sub(a, b *Decimal) (*Decimal, error) {
	if d, settled, err := special(a, b); settled {
		return d, err
	}
	scale := max(a.scale, b.scale)
	return checked(new(big.Int).Sub(a.scaled(scale), b.scaled(scale)), scale)
}

// Mul is a * b at the sum of the scales.
func Mul(a, b *Decimal) (*Decimal, error) {
	if d, settled, err := special(a, b); settled {
		return d, err
	}
	return checked(new(big.Int).Mul(a.coef, b.coef), a.scale+b.scale)
}

// Div is a / b at the given scale, rounded half to even.
func Div(a, b *Decimal, scale int) (*Decimal, error) {
	if d, settled, err := special(a, b); settled {
		return d, err
	}
	if b.coef.Sign() == 0 {
		return nil, ErrDivision
	}
	num := new(big.Int).Mul(a.coef, pow10(scale+b.scale))
	return checked(divHalfEven(num, new(big.Int).Mul(b.coef, pow10(a.scale))), scale)
}

// FloorDiv is the greatest integer not above a / b.
func FloorDiv(a, b *Decimal) (*Decimal, error) {
	if d, settled, err := special(a, b); settled {
		return d, err
	}
	if b.coef.Sign() == 0 {
		return nil, ErrDivision
	}
	scale := max(a.scale, b.scale)
	return checked(floorDiv(a.scaled(scale), b.scaled(scale)), 0)
}

// Mod is a - b*FloorDiv(a, b): it has b's sign.
func Mod(a, b *Decimal) (*Decimal, error) {
	if d, settled, err := special(a, b); settled {
		return d, err
	}
	if b.coef.Sign() == 0 {
		return nil, ErrDivision
	}
	scale := max(a.scale, b.scale)
	x, y := a.scaled(scale), b.scaled(scale)
	return checked(new(big.Int).Sub(x, new(big.Int).Mul(y, floorDiv(x, y))), scale)
}

// floorDiv rounds towards minus infinity.
func floorDiv(a, b *big.Int) *big.Int {
	q, r := new(big.Int).QuoRem(a, b, new(big.Int))
	if r.Sign() != 0 && r.Sign() != b.Sign() {
		q.Sub(q, big.NewInt(1))
	}
	return q
}

// divHalfEven rounds to the nearest, a tie to the even neighbour.
func divHalfEven(a, b *big.Int) *big.Int {
	q, r := new(big.Int).QuoRem(a, b, new(big.Int))
	if r.Sign() == 0 {
		return q
	}
	twice := new(big.Int).Mul(r, two)
	switch c := twice.CmpAbs(b); {
	case c > 0, c == 0 && q.Bit(0) == 1:
		if a.Sign() == b.Sign() {
			q.Add(q, big.NewInt(1))
		} else {
			q.Sub(q, big.NewInt(1))
		}
	}
	return q
}

// Pow is d to the n-th power, n not negative.
func (d *Decimal) Pow(n int64) (*Decimal, error) {
	if d.form == notNumber {
		return nan, nil
	}
	if d.form != finite {
		return nil, ErrInfinite
	}
	if n*int64(max(d.coef.BitLen(), 1)) > maxDigits*10/3 || n > maxDigits || n*int64(d.scale) > maxDigits {
		return nil, ErrTooLong
	}
	return checked(new(big.Int).Exp(d.coef, big.NewInt(n), nil), d.scale*int(n))
}

// Neg is -d.
func (d *Decimal) Neg() *Decimal {
	switch d.form {
	case plusInfinity:
		return &Decimal{form: minusInfinity}
	case minusInfinity:
		return &Decimal{form: plusInfinity}
	case notNumber:
		return d
	}
	return &Decimal{coef: new(big.Int).Neg(d.coef), scale: d.scale}
}

// Sign is -1, 0 or 1; 0 for NaN.
func (d *Decimal) Sign() int {
	switch d.form {
	case plusInfinity:
		return 1
	case minusInfinity:
		return -1
	case notNumber:
		return 0
	}
	return d.coef.Sign()
}

// IsNaN says whether d is not a number.
func (d *Decimal) IsNaN() bool { return d.form == notNumber }

// IsFinite says whether d is neither NaN nor infinite.
func (d *Decimal) IsFinite() bool { return d.form == finite }

// Scale is the number of digits after the point.
func (d *Decimal) Scale() int { return d.scale }

// Precision is the number of digits, those after the point included.
func (d *Decimal) Precision() int {
	return max(len(new(big.Int).Abs(d.coef).Text(10)), d.scale, 1)
}

// Coefficient is the integer d * 10^Scale of a finite d, not the caller's to change.
func (d *Decimal) Coefficient() *big.Int { return d.coef }

// Compare orders two decimals; ok is false when one is NaN.
func Compare(a, b *Decimal) (order int, ok bool) {
	if a.form == notNumber || b.form == notNumber {
		return 0, false
	}
	if a.form != finite || b.form != finite {
		rank := func(d *Decimal) int {
			switch d.form {
			case plusInfinity:
				return 1
			case minusInfinity:
				return -1
			}
			return 0
		}
		return rank(a) - rank(b), true
	}
	scale := max(a.scale, b.scale)
	return a.scaled(scale).Cmp(b.scaled(scale)), true
}

// Rescale gives d exactly scale digits after the point, rounded half to even.
func (d *Decimal) Rescale(scale int) *Decimal {
	if d.form != finite || d.scale == scale {
		return d
	}
	if scale > d.scale {
		return &Decimal{coef: d.scaled(scale), scale: scale}
	}
	return &Decimal{coef: divHalfEven(d.coef, pow10(d.scale-scale)), scale: scale}
}

// RoundTo rounds half to even to n digits after the point; a negative n rounds
// before the point. The scale stays at least 0.
func (d *Decimal) RoundTo(n int) *Decimal {
	if n >= 0 || d.form != finite {
		return d.Rescale(max(n, 0))
	}
	n = max(n, -maxDigits)
	q := divHalfEven(d.coef, pow10(d.scale-n))
	return &Decimal{coef: q.Mul(q, pow10(-n))}
}

// Trunc is the whole part.
func (d *Decimal) Trunc() *Decimal {
	if d.form != finite || d.scale == 0 {
		return d
	}
	return &Decimal{coef: new(big.Int).Quo(d.coef, pow10(d.scale))}
}

// Floor is the greatest integer not above d.
func (d *Decimal) Floor() *Decimal {
	if d.form != finite || d.scale == 0 {
		return d
	}
	return &Decimal{coef: floorDiv(d.coef, pow10(d.scale))}
}

// Int64 is the whole part as an int64.
func (d *Decimal) Int64() (int64, error) {
	if d.form == notNumber {
		return 0, errors.New("NaN is not an integer")
	}
	t := d.Trunc()
	if d.form != finite || !t.coef.IsInt64() {
		return 0, ErrRange
	}
	return t.coef.Int64(), nil
}

// Float64 is the nearest float.
func (d *Decimal) Float64() float64 {
	f, err := strconv.ParseFloat(d.String(), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return math.NaN()
	}
	return f
}

// String writes d plainly, with all digits after the point.
func (d *Decimal) String() string {
	switch d.form {
	case notNumber:
		return "NaN"
	case plusInfinity:
		return "Infinity"
	case minusInfinity:
		return "-Infinity"
	}
	digits := new(big.Int).Abs(d.coef).Text(10)
	if d.scale > 0 {
		if pad := d.scale + 1 - len(digits); pad > 0 {
			digits = strings.Repeat("0", pad) + digits
		}
		digits = digits[:len(digits)-d.scale] + "." + digits[len(digits)-d.scale:]
	}
	if d.coef.Sign() < 0 {
		return "-" + digits
	}
	return digits
}
