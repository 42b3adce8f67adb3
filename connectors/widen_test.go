package connectors

import "testing"

func TestWiden(t *testing.T) {
	t.Parallel()
	k := func(kind Kind) Type { return Type{Kind: kind} }
	text := func(n int) Type { return Type{Kind: Text, Length: n} }
	char := func(n int) Type { return Type{Kind: Text, Length: n, Fixed: true} }
	enum := func(values ...string) Type { return Type{Kind: Enum, Values: values} }
	array := func(e Type) Type { return Type{Kind: Array, Elem: &e} }
	none := Type{}
	for _, c := range []struct{ a, b, want Type }{
		{k(Int8), k(Int8), k(Int8)},
		{k(Int8), k(Int16), k(Int16)},
		{k(Int16), k(Int64), k(Int64)},
		{k(Uint8), k(Uint32), k(Uint32)},
		{k(Uint8), k(Int8), k(Int16)},
		{k(Uint8), k(Int32), k(Int32)},
		{k(Uint16), k(Int16), k(Int32)},
		{k(Uint32), k(Int8), k(Int64)},
		{k(Uint64), k(Int8), NewDecimal(20, 0)},
		{k(Int64), NewDecimal(10, 2), NewDecimal(21, 2)},
		{k(Int32), NewDecimal(30, 4), NewDecimal(30, 4)},
		{k(Uint64), NewDecimal(5, 5), NewDecimal(25, 5)},
		{NewDecimal(10, 2), NewDecimal(8, 4), NewDecimal(12, 4)},
		{NewDecimal(12, 2), NewDecimal(14, 2), NewDecimal(14, 2)},
		{NewDecimal(76, 0), NewDecimal(10, 5), k(Numeric)},
		{k(Int64), k(Numeric), k(Numeric)},
		{NewDecimal(10, 2), k(Numeric), k(Numeric)},
		{k(Float32), k(Float64), k(Float64)},
		{text(5), text(20), text(20)},
		{text(5), k(Text), k(Text)},
		{char(5), text(3), text(5)},
		{char(5), char(5), char(5)},
		{char(5), char(8), text(8)},
		{Type{Kind: Bytes, Length: 4, Fixed: true}, Type{Kind: Bytes, Length: 8, Fixed: true}, Type{Kind: Bytes, Length: 8}},
		{Type{Kind: Timestamp, Precision: 3}, Type{Kind: Timestamp, Precision: 6}, Type{Kind: Timestamp, Precision: 6}},
		{Type{Kind: Time}, Type{Kind: Time, Wide: true}, Type{Kind: Time, Wide: true}},
		{enum("a", "b"), enum("a", "b", "c"), enum("a", "b", "c")},
		{enum("a", "b"), enum("b", "a", "c"), none},
		{Type{Kind: JSON, Parsed: true}, k(JSON), k(JSON)},
		{array(k(Int16)), array(k(Int32)), array(k(Int32))},
		{array(k(Int16)), array(k(Text)), none},
		{k(Date), k(Timestamp), none},
		{k(Timestamp), k(TimestampTZ), none},
		{k(Int64), k(Float64), none},
		{k(Int32), k(Text), none},
		{k(UUID), k(Text), none},
		{k(Bool), k(Int8), none},
	} {
		for _, pair := range [][2]Type{{c.a, c.b}, {c.b, c.a}} {
			got, ok := Widen(pair[0], pair[1])
			if ok != (c.want.Kind != Invalid) || ok && !got.Equal(c.want) {
				t.Errorf("Widen(%s, %s) = %s, %v, want %s", pair[0], pair[1], got, ok, c.want)
			}
			if !ok {
				continue
			}
			for _, part := range pair { // the result holds both, so nothing widens it further
				if again, ok := Widen(got, part); !ok || !again.Equal(got) {
					t.Errorf("Widen(%s, %s) = %s, %v, want it to hold", got, part, again, ok)
				}
			}
		}
	}
}
