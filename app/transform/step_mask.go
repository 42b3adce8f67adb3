package transform

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/app/transform/scalar"
	"arus/connectors"
)

// mask hides values. NULL stays NULL. hash is HMAC-SHA-256 under the salt, in
// hex: equal values stay equal, so that they can be counted and joined. Without
// a salt, values that can be guessed can be found by trying. partial leaves some
// characters at the ends. constant puts one value in the place of all.
type mask struct {
	Columns   []string        `json:"columns"`
	Method    string          `json:"method"`
	Salt      string          `json:"salt"`
	KeepStart *int            `json:"keep_start"`
	KeepEnd   *int            `json:"keep_end"`
	Character string          `json:"character"`
	Value     json.RawMessage `json:"value"`
}

func (s *mask) check(f *faults) {
	f.columnList("columns", s.Columns, true)
	switch s.Method {
	case "hash":
	case "partial":
		for key, v := range map[string]*int{"keep_start": s.KeepStart, "keep_end": s.KeepEnd} {
			if v != nil && (*v < 0 || *v > 1000) {
				f.add("."+key, "must be from 0 to 1000")
			}
		}
		if utf8.RuneCountInString(s.Character) != 1 {
			f.add(".character", "must be one character")
		}
	case "constant":
		if len(s.Value) == 0 {
			f.add(".value", "is required, null for none")
		}
	default:
		f.add(".method", "%q is not one of hash, partial, constant", s.Method)
	}
}

func (s *mask) compile(c *compilation) runner {
	var masks masking
	for k, at := range c.findAll("columns", s.Columns) {
		if at < 0 {
			continue
		}
		col := c.columns[at]
		switch s.Method {
		case "hash":
			masks = append(masks, hidden{at, hashed([]byte(s.Salt), col.Type)})
			c.change(at, connectors.Type{Kind: connectors.Text, Length: 2 * sha256.Size}, true)
		case "partial":
			if col.Type.Kind == connectors.Bytes {
				c.faults.add(".columns", "column %s is bytes: use hash or constant", col.Name)
			}
			start, end := 0, 4
			if s.KeepStart != nil {
				start, end = *s.KeepStart, 0
			}
			if s.KeepEnd != nil {
				end = *s.KeepEnd
			}
			masks = append(masks, hidden{at, partly(col.Type, start, end, s.Character)})
			t := connectors.Type{Kind: connectors.Text}
			if col.Type.Kind == connectors.Text {
				t.Length = col.Type.Length
			}
			c.change(at, t, false)
		case "constant":
			l, err := typedLiteral(s.Value, col.Type)
			if err != nil {
				c.faults.add(".value", "column %s is %s: %v", s.Columns[k], col.Type, err)
				continue
			}
			masks = append(masks, hidden{at, constantly(l)})
			c.change(at, col.Type, false)
			c.columns[at].Nullable = col.Nullable || l.value == nil
		}
	}
	return masks
}

type hidden struct {
	at   int
	hide func(arrow.Array) (arrow.Array, error)
}

type masking []hidden

func (m masking) run(_ context.Context, f *frame) error {
	for _, h := range m {
		arr, err := h.hide(f.arrays[h.at])
		if err != nil {
			return err
		}
		f.set(h.at, arr)
	}
	return nil
}

func hashed(salt []byte, t connectors.Type) func(arrow.Array) (arrow.Array, error) {
	mac := hmac.New(sha256.New, salt)
	return func(arr arrow.Array) (arrow.Array, error) {
		b := array.NewStringBuilder(memory.DefaultAllocator)
		defer b.Release()
		b.Reserve(arr.Len())
		b.ReserveData(arr.Len() * 2 * sha256.Size)
		var text, sum, digits []byte
		for i := range arr.Len() {
			if arr.IsNull(i) {
				b.AppendNull()
				continue
			}
			mac.Reset()
			text = connectors.AppendValue(text[:0], arr, t, i)
			mac.Write(text)
			sum = mac.Sum(sum[:0])
			digits = hex.AppendEncode(digits[:0], sum)
			b.BinaryBuilder.Append(digits)
		}
		return b.NewArray(), nil
	}
}

func partly(t connectors.Type, start, end int, character string) func(arrow.Array) (arrow.Array, error) {
	hide := func(s string) string {
		n := utf8.RuneCountInString(s)
		from, to := start, n-end
		if start+end >= n { // nothing would be hidden
			from, to = 0, n
		}
		var b strings.Builder
		i := 0
		for _, r := range s {
			if i >= from && i < to {
				b.WriteString(character)
			} else {
				b.WriteRune(r)
			}
			i++
		}
		return b.String()
	}
	return func(arr arrow.Array) (arrow.Array, error) {
		if text, ok := arr.(*array.String); ok {
			return mapText(text, hide), nil
		}
		b := array.NewStringBuilder(memory.DefaultAllocator)
		defer b.Release()
		spell := textOf(arr, t)
		var text []byte
		for i := range arr.Len() {
			if arr.IsNull(i) {
				b.AppendNull()
				continue
			}
			text = spell(text[:0], i)
			b.Append(hide(string(text)))
		}
		return b.NewArray(), nil
	}
}

func constantly(l literal) func(arrow.Array) (arrow.Array, error) {
	return func(arr arrow.Array) (arrow.Array, error) {
		b := array.NewBuilder(memory.DefaultAllocator, l.t.Arrow())
		defer b.Release()
		b.Reserve(arr.Len())
		put := scalar.Appender(b, l.t)
		for i := range arr.Len() {
			v := l.value
			if arr.IsNull(i) {
				v = nil
			}
			if err := put(v); err != nil {
				return nil, err
			}
		}
		return b.NewArray(), nil
	}
}
