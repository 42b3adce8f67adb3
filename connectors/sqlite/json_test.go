package sqlite

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
)

// The judgement is that of encoding/json, of texts that are JSON, nearly so, and far from it.
func TestJSONIsJudgedAsByTheStandardLibrary(t *testing.T) {
	seeds := []string{
		``, ` `, `{}`, `[]`, `{"a":1}`, ` { "a" : [ 1 , -0.5e+10 , "x\u00e9\n" ] , "b" : { } } `, `"\ud800"`, `"\x"`, `"\u12g4"`, `"`, `"a`, `"\`, `"\u`, "\"\x01\"", "\"\x80\"",
		`0`, `-0`, `-`, `01`, `1.`, `.5`, `1e`, `1E+`, `1e5`, `-1.25E-3`, `+1`, `NaN`, `Infinity`, `true`, `tru`, `truex`, `false`, `null`, `nulll`, `[1,]`, `[,1]`, `[1 2]`, `{"a"}`, `{"a":}`,
		`{"a":1,}`, `{a:1}`, `{"a":1 "b":2}`, `[[[[]]]]`, `[}`, `{]`, `[1]]`, "\ufeff{}", "{}\x00", "{\u00a0}",
		strings.Repeat("[", 9999) + strings.Repeat("]", 9999), strings.Repeat("[", 10000) + strings.Repeat("]", 10000), strings.Repeat("[", 10001) + strings.Repeat("]", 10001),
	}
	check := func(s string) {
		if got, want := validJSON([]byte(s)), json.Valid([]byte(s)); got != want {
			t.Errorf("%.80q: %v, want %v", s, got, want)
		}
	}
	for _, s := range seeds {
		check(s)
	}
	random := rand.New(rand.NewPCG(1, 2))
	const alphabet = "{}[]\",:\\/bfnrtue0123456789+-.eE \t\r\nalsx\x00\x7f\xff"
	for range 200_000 {
		s := []byte(seeds[random.IntN(len(seeds)-3)])
		for range 1 + random.IntN(3) {
			at := random.IntN(len(s) + 1)
			c := alphabet[random.IntN(len(alphabet))]
			switch random.IntN(3) {
			case 0:
				s = append(s[:at], append([]byte{c}, s[at:]...)...)
			case 1:
				if at < len(s) {
					s = append(s[:at], s[at+1:]...)
				}
			default:
				if at < len(s) {
					s[at] = c
				}
			}
		}
		check(string(s))
	}
}
