package connectors

import (
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
)

var decimalShape = regexp.MustCompile(`^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$`)

// wantDecimal is what math/big makes of a decimal text: the integer of units of
// 10^-scale, or why there is none.
func wantDecimal(s string, precision, scale int) (*big.Int, error) {
	if !decimalShape.MatchString(s) {
		return nil, errDecimal
	}
	if _, exponent, ok := strings.Cut(strings.ToLower(s), "e"); ok {
		if e, err := strconv.Atoi(exponent); err != nil || e > 2000 || e < -2000 {
			return nil, errDecimal
		}
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return nil, errDecimal
	}
	r.Mul(r, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)))
	if !r.IsInt() || new(big.Int).Abs(r.Num()).Cmp(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(precision)), nil)) >= 0 {
		return nil, errDecimalRange
	}
	return r.Num(), nil
}

// checkDecimal compares both parsers with the oracle and reads back what they write.
func checkDecimal(t *testing.T, s string, precision, scale int) {
	t.Helper()
	if s == "NaN" {
		return
	}
	want, wantErr := wantDecimal(s, precision, scale)
	verify := func(width string, got *big.Int, text []byte, again any, same bool, err error) {
		t.Helper()
		switch {
		case wantErr != nil:
			if !errors.Is(err, wantErr) {
				t.Errorf("%s %.90q as (%d,%d) = %v, %v, want %v", width, s, precision, scale, got, err, wantErr)
			}
		case err != nil || got.Cmp(want) != 0:
			t.Errorf("%s %.90q as (%d,%d) = %v, %v, want %v", width, s, precision, scale, got, err, want)
		case string(text) != new(big.Rat).SetFrac(want, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)).FloatString(scale):
			t.Errorf("%s %.90q as (%d,%d) is written %s", width, s, precision, scale, text)
		case !same:
			t.Errorf("%s %.90q as (%d,%d) is written %s, which reads as %v", width, s, precision, scale, text, again)
		}
	}
	if precision <= MaxDecimal128 {
		n, err := ParseDecimal128(s, precision, scale)
		text := AppendDecimal128(nil, n, scale)
		again, _ := ParseDecimal128(text, precision, scale)
		verify("128", BigOf128(n), text, again, again == n, err)
	}
	n, err := ParseDecimal256(s, precision, scale)
	text := AppendDecimal256(nil, n, scale)
	again, _ := ParseDecimal256(text, precision, scale)
	verify("256", BigOf256(n), text, again, again == n, err)
}

// forms is every precision and scale at an edge of the Arrow forms or of the parsers.
func forms() (all [][2]int) {
	for _, precision := range []int{1, 2, 3, 18, 19, 20, 21, 37, 38, 39, 75, 76} {
		for _, scale := range []int{0, 1, 2, precision / 2, precision - 1, precision} {
			if scale <= precision {
				all = append(all, [2]int{precision, scale})
			}
		}
	}
	return all
}

func TestParseDecimal(t *testing.T) {
	t.Parallel()
	nines := func(n int) string { return strings.Repeat("9", n) }
	texts := []string{
		"0", "-0", "+0", "0.0", "-0.00", ".0", "0.", "00", "0e5", "0e-5", "0.000000000000000000000000000000000000000000e3",
		"1", "+5", "-5", ".5", "5.", "-.5", "+.5", "0.5", "0.50", "0.05", "00019.90", "19.9", "19.90", "19.900000", "19.909",
		"1e1", "1E1", "1e+1", "1e-1", "15e-1", "150e-1", "1.5e0", "1.23e1", "1.23e2", "1.23e5", "123.45e-2", ".5e1", "5.e1", "5e-10", "50e-1",
		"1e37", "1e38", "1e75", "1e76", "1e-38", "1e-76", "1e2000", "1e-2000", "1e2001", "1e99999999999999999999",
		"1" + strings.Repeat("0", 50) + "e-50", "0." + strings.Repeat("0", 50) + "1e51", strings.Repeat("0", 200) + "7",
		"7." + strings.Repeat("0", 200), "18446744073709551615", "18446744073709551616", "9223372036854775808",
		"170141183460469231731687303715884105727", "170141183460469231731687303715884105728", "340282366920938463463374607431768211456",
		nines(17), nines(18), nines(19), nines(20), nines(37), nines(38), nines(39), nines(75), nines(76), nines(77),
		"-" + nines(38), "-" + nines(76), "0." + nines(38), "0." + nines(76), nines(19) + "." + nines(19), nines(36) + "." + nines(2), nines(38) + ".0",
		"", "-", "+", ".", "-.", "e5", ".e5", "1e", "1e+", "1e5.5", "1e5e5", "1.2.3", "--1", "+-1", "1-", "1 ", " 1", "1,5", "1_000", "0x10",
		"1e1_0", "nan", "-NaN", "Infinity", "-Infinity", "inf", "١", "1\x00", "1.5x", "1.x", "99999999999999999999999999999999999999999x",
	}
	for _, form := range forms() {
		t.Run(fmt.Sprint(form), func(t *testing.T) {
			t.Parallel()
			for _, s := range texts {
				checkDecimal(t, s, form[0], form[1])
			}
		})
	}
}

func TestParseDecimalRandom(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	digits := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "0000123456789"[rng.IntN(13)]
		}
		return string(b)
	}
	all := forms()
	for range 20_000 {
		form := all[rng.IntN(len(all))]
		s := []string{"", "-", "+"}[rng.IntN(3)] + digits(rng.IntN(form[0]-form[1]+3))
		if rng.IntN(4) > 0 {
			s += "." + digits(rng.IntN(form[1]+3))
		}
		if rng.IntN(6) == 0 {
			s += "e" + strconv.Itoa(rng.IntN(80)-40)
		}
		checkDecimal(t, s, form[0], form[1])
	}
}

func TestDecimalNaN(t *testing.T) {
	t.Parallel()
	for _, scale := range []int{0, 2, 38} {
		n, err := ParseDecimal128("NaN", 38, scale)
		if err != nil || n != DecimalNaN128 {
			t.Errorf("ParseDecimal128(NaN) = %v, %v", n, err)
		}
		if text := string(AppendDecimal128(nil, n, scale)); text != "NaN" {
			t.Errorf("AppendDecimal128(NaN) = %s", text)
		}
		w, err := ParseDecimal256([]byte("NaN"), 76, scale)
		if err != nil || w != DecimalNaN256 {
			t.Errorf("ParseDecimal256(NaN) = %v, %v", w, err)
		}
		if text := string(AppendDecimal256(nil, w, scale)); text != "NaN" {
			t.Errorf("AppendDecimal256(NaN) = %s", text)
		}
	}
	lowest128, err := ParseDecimal128("-"+strings.Repeat("9", 38), 38, 0)
	if err != nil || lowest128.LessEqual(DecimalNaN128) {
		t.Errorf("the lowest decimal128 is %v, %v, not above NaN's stand-in", lowest128, err)
	}
	lowest256, err := ParseDecimal256("-"+strings.Repeat("9", 76), 76, 0)
	if err != nil || lowest256.LessEqual(DecimalNaN256) {
		t.Errorf("the lowest decimal256 is %v, %v, not above NaN's stand-in", lowest256, err)
	}
}

func TestAppendDecimal(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		n     int64
		scale int
		want  string
	}{
		{0, 0, "0"},
		{0, 2, "0.00"},
		{5, 0, "5"},
		{5, 1, "0.5"},
		{5, 3, "0.005"},
		{-5, 2, "-0.05"},
		{1990, 2, "19.90"},
		{-1990, 2, "-19.90"},
		{100, 2, "1.00"},
		{-100, 3, "-0.100"},
	} {
		if got := string(AppendDecimal128([]byte("x"), decimal128.FromI64(test.n), test.scale)); got != "x"+test.want {
			t.Errorf("AppendDecimal128(%d, %d) = %s, want x%s", test.n, test.scale, got, test.want)
		}
		if got := string(AppendDecimal256([]byte("x"), decimal256.FromI64(test.n), test.scale)); got != "x"+test.want {
			t.Errorf("AppendDecimal256(%d, %d) = %s, want x%s", test.n, test.scale, got, test.want)
		}
	}
}

func FuzzParseDecimal(f *testing.F) {
	f.Add("19.90", uint8(12), uint8(2))
	f.Add("-1.23e5", uint8(38), uint8(0))
	f.Add("1e37", uint8(38), uint8(1))
	f.Add(strings.Repeat("9", 38), uint8(38), uint8(38))
	f.Fuzz(func(t *testing.T, s string, precision, scale uint8) {
		p := 1 + int(precision)%MaxDecimal256
		checkDecimal(t, s, p, int(scale)%(p+1))
	})
}

func BenchmarkParseDecimal128(b *testing.B) {
	text := []byte("1234567.89")
	for b.Loop() {
		if _, err := ParseDecimal128(text, 12, 2); err != nil {
			b.Fatal(err)
		}
	}
}
