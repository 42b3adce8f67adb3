package scalar

import (
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

func randomDecimal(rng *rand.Rand) *Decimal {
	coef := big.NewInt(rng.Int64N(2_000_001) - 1_000_000)
	if rng.IntN(3) == 0 {
		coef.Mul(coef, big.NewInt(rng.Int64()))
	}
	return NewDecimal(coef, rng.IntN(12))
}

func rat(d *Decimal) *big.Rat { return new(big.Rat).SetFrac(d.Coefficient(), pow10(d.Scale())) }

// TestDecimalsAreExact compares the arithmetic with fractions.
func TestDecimalsAreExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		a, b := randomDecimal(rng), randomDecimal(rng)
		x, y := rat(a), rat(b)
		for name, op := range map[string]struct {
			got  func(a, b *Decimal) (*Decimal, error)
			want *big.Rat
		}{"+": {Add, new(big.Rat).Add(x, y)}, "-": {Sub, new(big.Rat).Sub(x, y)}, "*": {Mul, new(big.Rat).Mul(x, y)}} {
			d, err := op.got(a, b)
			if err != nil || rat(d).Cmp(op.want) != 0 {
				t.Fatalf("%s %s %s = %v, %v", a, name, b, d, err)
			}
		}
		if order, ok := Compare(a, b); !ok || order != x.Cmp(y) {
			t.Fatalf("%s and %s compare as %d", a, b, order)
		}
		if back, err := ParseDecimal(a.String()); err != nil || back.String() != a.String() {
			t.Fatalf("%s reads back as %v, %v", a, back, err)
		}
		if b.Sign() == 0 {
			continue
		}
		scale := rng.IntN(15)
		q, err := Div(a, b, scale)
		if err != nil {
			t.Fatal(err)
		}
		off := new(big.Rat).Sub(rat(q), new(big.Rat).Quo(x, y)) // at most half a unit, a tie to the even digit
		unit := new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Mul(big.NewInt(2), pow10(scale)))
		if c := off.Abs(off).Cmp(unit); c > 0 || c == 0 && q.Coefficient().Bit(0) == 1 {
			t.Fatalf("%s / %s = %s", a, b, q)
		}
		f, _ := FloorDiv(a, b)
		m, _ := Mod(a, b)
		product, _ := Mul(f, b)
		sum, _ := Add(product, m)
		if order, _ := Compare(sum, a); order != 0 || m.Sign() != 0 && m.Sign() != b.Sign() {
			t.Fatalf("%s = %s * %s + %s", a, f, b, m)
		}
	}
}

// TestDurationsReadBack: what is printed is read as the same span.
func TestDurationsReadBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for range 5000 {
		sign := int64(rng.IntN(3) - 1)
		d := Duration{Months: sign * rng.Int64N(500), Days: sign * rng.Int64N(400), Micros: sign * rng.Int64N(200*Hour)}
		got, err := ParseDuration(d.String())
		if err != nil || got != d {
			t.Fatalf("%+v is %s, which reads as %+v, %v", d, d, got, err)
		}
	}
	for _, bad := range []string{"", "P", "PT", "1", "h", "1x", "P1", "1 5", "P1H", "--1h", "1.5 days 3", "9223372036854775807 weeks"} {
		if d, err := ParseDuration(bad); err == nil {
			t.Errorf("%q is %+v", bad, d)
		}
	}
}

// TestFormatsReadBack: a layout with all parts of a date reads what it writes.
func TestFormatsReadBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	naive, zoned := connectors.Type{Kind: connectors.Timestamp}, connectors.Type{Kind: connectors.TimestampTZ}
	text := connectors.Type{Kind: connectors.Text}
	for _, o := range []FormatOptions{
		{Layout: "%Y-%m-%d %H:%M:%S.%f"},
		{Layout: "%d.%m.%Y, %I:%M:%S.%f %p"},
		{Layout: "%A, %d %B %Y %T,%f"},
		{Layout: "%Y%j%H%M%S%f"},
		{Layout: "%b %d %Y %H|%M|%S|%f %% %z"},
		{Layout: "%F %T.%f %z", Timezone: "Europe/Vienna"},
		{Layout: "unix_us"},
	} {
		f, err := NewFormat(o)
		if err != nil {
			t.Fatal(err)
		}
		for range 500 {
			ts := arrow.Timestamp(rng.Int64N(8_000_000_000_000_000) - 4_000_000_000_000_000) // 1843 to 2096
			var from connectors.Type
			var v any
			if from, v = naive, any(ts); o.Timezone != "" || strings.Contains(o.Layout, "%z") {
				from, v = zoned, Instant(ts)
			}
			s, err := Convert(v, from, text, f)
			if err != nil {
				t.Fatal(err)
			}
			back, err := Convert(s, text, from, f)
			if err != nil {
				t.Fatalf("%s: %v", s, err)
			}
			// %z has minutes only, and clocks before 1900 were off by seconds
			if back != v && (o.Timezone == "" || int64(ts) >= -2_300_000_000_000_000) {
				t.Fatalf("%v is %s, which reads as %v", v, s, back)
			}
		}
	}
}

func FuzzMembers(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1}`, `{"a":{"b":[1,"x\"y"]},"c":null}`, `[`, `{"a"`, `{"a":}`, `{"a":1,}`, `{,}`, `"x"`, `{"\u00e9":1}`, `{"a":[}`, `{"a":"`} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, s string) {
		_ = Members(s, func(_, v string) error { return Elements(v, func(int, string) error { return nil }) })
	})
}
