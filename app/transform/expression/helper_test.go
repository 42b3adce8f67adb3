package expression

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/app/transform/scalar"
	"arus/connectors"
)

var testNow = time.Date(2024, 3, 15, 12, 30, 45, 0, time.UTC)

const casesFile = "../../../testdata/transform/expressions.json"

// expressionCases are expressions over one set of rows.
type expressionCases struct {
	Columns []string            `json:"columns"`
	Rows    [][]json.RawMessage `json:"rows"`
	Cases   []expressionCase    `json:"cases"`
}

type expressionCase struct {
	E     string `json:"e"`
	Type  string `json:"type,omitempty"`
	Want  []any  `json:"want,omitempty"` // canonical text, null, or "!" with the reason of the failure
	Fault any    `json:"fault,omitempty"`
}

func readCases(t testing.TB) (expressionCases, []connectors.Column, []arrow.Array) {
	t.Helper()
	raw, err := os.ReadFile(casesFile)
	if err != nil {
		t.Fatal(err)
	}
	var cases expressionCases
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	columns := make([]connectors.Column, len(cases.Columns))
	arrays := make([]arrow.Array, len(cases.Columns))
	for c, text := range cases.Columns {
		name, kind, _ := strings.Cut(text, ": ")
		columns[c] = connectors.Column{Name: name, Type: testType(t, kind)}
		arrays[c] = testArray(t, columns[c], cases.Rows, c)
	}
	return cases, columns, arrays
}

func testType(t testing.TB, name string) connectors.Type {
	t.Helper()
	switch name {
	case "int":
		return connectors.Type{Kind: connectors.Int64}
	case "float":
		return connectors.Type{Kind: connectors.Float64}
	case "str":
		return connectors.Type{Kind: connectors.Text}
	case "text(5)":
		return connectors.Type{Kind: connectors.Text, Length: 5}
	case "array(int)":
		return connectors.Type{Kind: connectors.Array, Elem: &connectors.Type{Kind: connectors.Int64}}
	case "decimal(12,2)":
		return connectors.NewDecimal(12, 2)
	case "decimal(6,3)":
		return connectors.NewDecimal(6, 3)
	case "decimal(60,5)":
		return connectors.NewDecimal(60, 5)
	}
	k := connectors.ParseKind(name)
	if k == connectors.Invalid {
		t.Fatalf("%q is no type", name)
	}
	return connectors.Type{Kind: k}
}

func testArray(t testing.TB, col connectors.Column, rows [][]json.RawMessage, c int) arrow.Array {
	t.Helper()
	b := array.NewBuilder(memory.DefaultAllocator, col.Type.Arrow())
	defer b.Release()
	put := scalar.Appender(b, col.Type)
	for r, row := range rows {
		text := string(row[c])
		var s string
		_ = json.Unmarshal(row[c], &s)
		switch {
		case text == "null":
			b.AppendNull()
			continue
		case col.Type.Kind == connectors.JSON || col.Type.Kind == connectors.Array:
			b.(*array.StringBuilder).Append(text)
			continue
		case col.Type.Kind == connectors.Date:
			if d, ok := connectors.InvalidDate(s); ok {
				b.(*array.Date32Builder).Append(d)
				continue
			}
		case col.Type.Kind == connectors.Timestamp:
			if ts, ok := connectors.InvalidTimestamp(s); ok {
				b.(*array.TimestampBuilder).Append(ts)
				continue
			}
		}
		var format *scalar.Format
		if col.Type.Kind == connectors.Bytes {
			format, _ = scalar.NewFormat(scalar.FormatOptions{Layout: "base64"})
		}
		v, err := scalar.Convert(text, connectors.Type{Kind: connectors.JSON}, col.Type, format)
		if err == nil {
			err = put(v)
		}
		if err != nil {
			t.Fatalf("row %d, column %s: %v", r, col.Name, err)
		}
	}
	return b.NewArray()
}

// evalRows gives the texts of an expression's values; failures begin with "!".
func evalRows(t testing.TB, p *Program, arrays []arrow.Array) []any {
	t.Helper()
	n := arrays[0].Len()
	arr, failures, err := p.Eval(context.Background(), arrays, n)
	if err != nil {
		t.Fatal(err)
	}
	defer arr.Release()
	rows := make([]any, n)
	for i := range rows {
		if !arr.IsNull(i) {
			rows[i] = string(connectors.AppendValue(nil, arr, p.Type(), i))
		}
	}
	for _, f := range failures {
		rows[f.Row] = "!" + f.Reason
	}
	return rows
}
