package expression

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what the expressions give into the case table; read the difference before it is kept")

// TestExpressions runs the expressions of the case table over its rows: types,
// nulls, edge values, and what is refused with which words.
func TestExpressions(t *testing.T) {
	cases, columns, arrays := readCases(t)
	for i := range cases.Cases {
		c := &cases.Cases[i]
		t.Run(c.E, func(t *testing.T) {
			got := expressionCase{E: c.E}
			p, err := Compile(c.E, columns, testNow)
			if err != nil {
				if _, ok := errors.AsType[*Fault](err); !ok {
					t.Fatal(err)
				}
				got.Fault = err.Error()
			} else {
				got.Type, got.Want = p.Type().String(), evalRows(t, p, arrays)
			}
			if *update {
				if (c.Fault != nil) != (got.Fault != nil) {
					t.Errorf("a fault where none is expected, or none: %v, %v", c.Fault, got.Fault)
				}
				*c = got
				return
			}
			if diff := cmp.Diff(*c, got); diff != "" {
				t.Errorf("want -, got +\n%s", diff)
			}
		})
	}
	if *update {
		writeCases(t, cases)
	}
}

func writeCases(t *testing.T, cases expressionCases) {
	var b bytes.Buffer
	line := func(v any) []byte {
		var out bytes.Buffer
		e := json.NewEncoder(&out)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
		return bytes.TrimSpace(out.Bytes())
	}
	b.WriteString("{\n  \"columns\": ")
	b.Write(line(cases.Columns))
	b.WriteString(",\n  \"rows\": [\n")
	for i, r := range cases.Rows {
		b.WriteString("    ")
		b.Write(line(r))
		if i < len(cases.Rows)-1 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
	}
	b.WriteString("  ],\n  \"cases\": [\n")
	for i, c := range cases.Cases {
		b.WriteString("    ")
		b.Write(line(c))
		if i < len(cases.Cases)-1 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
	}
	b.WriteString("  ]\n}\n")
	if err := os.WriteFile(casesFile, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}
