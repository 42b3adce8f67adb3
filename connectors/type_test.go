package connectors

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
)

func TestKindNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for k := Invalid; k <= Array; k++ {
		name := k.String()
		if name == "" || seen[name] {
			t.Errorf("kind %d has the name %q, which is empty or another's", k, name)
		}
		seen[name] = true
		if got := ParseKind(name); got != k {
			t.Errorf("ParseKind(%q) = %v, want %v", name, got, k)
		}
		if want := k >= Int8 && k <= Uint64; k.IsInteger() != want {
			t.Errorf("%v.IsInteger() = %v", k, k.IsInteger())
		}
	}
	for _, name := range []string{"", "INT8", "kind(200)", "int128"} {
		if got := ParseKind(name); got != Invalid {
			t.Errorf("ParseKind(%q) = %v, want invalid", name, got)
		}
	}
	if got := Kind(200).String(); got != "kind(200)" {
		t.Errorf("Kind(200) = %q", got)
	}
}

func TestNewDecimal(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		precision, scale int
		want             string
	}{
		{1, 0, "decimal(1,0)"},
		{1, 1, "decimal(1,1)"},
		{12, 2, "decimal(12,2)"},
		{38, 38, "decimal(38,38)"},
		{39, 0, "decimal(39,0)"},
		{76, 0, "decimal(76,0)"},
		{76, 76, "decimal(76,76)"},
		{77, 0, "numeric"},
		{1000, 2, "numeric"},
		{0, 0, "numeric"},
		{-1, 0, "numeric"},
		{5, -1, "numeric"},
		{2, 3, "numeric"},
	} {
		if got := NewDecimal(test.precision, test.scale).String(); got != test.want {
			t.Errorf("NewDecimal(%d, %d) = %s, want %s", test.precision, test.scale, got, test.want)
		}
	}
}

func TestArrowForms(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		t    Type
		want arrow.DataType
	}{
		{Type{Kind: Bool}, arrow.FixedWidthTypes.Boolean},
		{Type{Kind: Int8}, arrow.PrimitiveTypes.Int8},
		{Type{Kind: Int16}, arrow.PrimitiveTypes.Int16},
		{Type{Kind: Int32}, arrow.PrimitiveTypes.Int32},
		{Type{Kind: Int64}, arrow.PrimitiveTypes.Int64},
		{Type{Kind: Uint8}, arrow.PrimitiveTypes.Uint8},
		{Type{Kind: Uint16}, arrow.PrimitiveTypes.Uint16},
		{Type{Kind: Uint32}, arrow.PrimitiveTypes.Uint32},
		{Type{Kind: Uint64}, arrow.PrimitiveTypes.Uint64},
		{Type{Kind: Float32}, arrow.PrimitiveTypes.Float32},
		{Type{Kind: Float64}, arrow.PrimitiveTypes.Float64},
		{NewDecimal(1, 0), &arrow.Decimal128Type{Precision: 1}},
		{NewDecimal(38, 10), &arrow.Decimal128Type{Precision: 38, Scale: 10}},
		{NewDecimal(39, 10), &arrow.Decimal256Type{Precision: 39, Scale: 10}},
		{NewDecimal(76, 76), &arrow.Decimal256Type{Precision: 76, Scale: 76}},
		{NewDecimal(77, 0), arrow.BinaryTypes.String},
		{Type{Kind: Text, Length: 10, Fixed: true}, arrow.BinaryTypes.String},
		{Type{Kind: Bytes, Length: 16, Fixed: true}, arrow.BinaryTypes.Binary},
		{Type{Kind: Date}, arrow.FixedWidthTypes.Date32},
		{Type{Kind: Time, Precision: 3}, arrow.FixedWidthTypes.Time64us},
		{Type{Kind: Time, Wide: true}, arrow.FixedWidthTypes.Time64us},
		{Type{Kind: Timestamp, Precision: 3}, &arrow.TimestampType{Unit: arrow.Microsecond}},
		{Type{Kind: TimestampTZ}, &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}},
		{Type{Kind: Interval}, arrow.BinaryTypes.String},
		{Type{Kind: UUID}, &arrow.FixedSizeBinaryType{ByteWidth: 16}},
		{Type{Kind: JSON, Parsed: true}, arrow.BinaryTypes.String},
		{Type{Kind: Enum, Values: []string{"a"}}, arrow.BinaryTypes.String},
		{Type{Kind: Array, Elem: &Type{Kind: Int32}}, arrow.BinaryTypes.String},
	} {
		if got := test.t.Arrow(); !arrow.TypeEqual(got, test.want) {
			t.Errorf("the Arrow form of %s is %v, want %v", test.t, got, test.want)
		}
	}
}

func TestTypeString(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		t    Type
		want string
	}{
		{Type{}, "invalid"},
		{Type{Kind: Int32}, "int32"},
		{Type{Kind: Text}, "text"},
		{Type{Kind: Text, Length: 40}, "text(40)"},
		{Type{Kind: Bytes, Length: 16, Fixed: true}, "bytes(16) fixed"},
		{Type{Kind: Enum, Values: []string{"a", "it's"}}, "enum('a','it''s')"},
		{Type{Kind: Array, Elem: &Type{Kind: Array, Elem: &Type{Kind: Decimal, Precision: 12, Scale: 2}}}, "array(array(decimal(12,2)))"},
		{Type{Kind: Array}, "array"},
		{Type{Kind: Time, Wide: true}, "time wide"},
		{Type{Kind: TimestampTZ}, "timestamptz"},
	} {
		if got := test.t.String(); got != test.want {
			t.Errorf("%+v is spelled %s, want %s", test.t, got, test.want)
		}
	}
}

func TestTypeEqual(t *testing.T) {
	t.Parallel()
	different := []Type{
		{Kind: Int32},
		{Kind: Int64},
		{Kind: Text},
		{Kind: Text, Length: 4},
		{Kind: Text, Length: 4, Fixed: true},
		NewDecimal(12, 2), NewDecimal(12, 3), NewDecimal(13, 2),
		{Kind: Timestamp},
		{Kind: Timestamp, Precision: 3},
		{Kind: JSON},
		{Kind: JSON, Parsed: true},
		{Kind: Time},
		{Kind: Time, Wide: true},
		{Kind: Enum, Values: []string{"a", "b"}},
		{Kind: Enum, Values: []string{"a','b"}},
		{Kind: Enum, Values: []string{"b", "a"}},
		{Kind: Array, Elem: &Type{Kind: Int32}},
		{Kind: Array, Elem: &Type{Kind: Int64}},
	}
	for i, a := range different {
		for j, b := range different {
			if a.Equal(b) != (i == j) {
				t.Errorf("%s.Equal(%s) = %v", a, b, a.Equal(b))
			}
		}
	}
}

func TestTableColumn(t *testing.T) {
	t.Parallel()
	table := Table{TableRef: TableRef{Schema: "s", Name: "t"}, Columns: []Column{{Name: "id"}, {Name: "ID"}, {Name: "Größe"}}}
	for _, test := range []struct{ name, want string }{{"id", "id"}, {"ID", "ID"}, {"Id", "id"}, {"GRÖßE", "Größe"}, {"x", ""}} {
		if got, ok := table.Column(test.name); got.Name != test.want || ok != (test.want != "") {
			t.Errorf("Column(%q) = %q, %v, want %q", test.name, got.Name, ok, test.want)
		}
	}
	if got := table.TableRef.String() + " " + (TableRef{Name: "t"}).String(); got != "s.t t" {
		t.Errorf("the tables are called %s", got)
	}
}
