package transform

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"arus/connectors"
)

var update = flag.Bool("update", false, "write what the steps give into the case tables; read the difference before it is kept")

// stepCase is one line of a case table: rows, steps, and what they must give.
type stepCase struct {
	Name     string              `json:"name"`
	Columns  []string            `json:"columns"`
	Rows     [][]json.RawMessage `json:"rows,omitempty"`
	Steps    json.RawMessage     `json:"steps"`
	Faults   []string            `json:"faults,omitempty"` // the configuration is refused
	Error    string              `json:"error,omitempty"`  // the table fails
	Out      []string            `json:"out,omitempty"`
	Want     [][]any             `json:"want,omitempty"` // canonical texts
	Filtered int64               `json:"filtered,omitempty"`
	Failed   []string            `json:"failed,omitempty"`
}

// TestSteps runs every case table of testdata/transform.
func TestSteps(t *testing.T) {
	files, err := filepath.Glob("../../testdata/transform/*.json")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d case tables: %v", len(files), err)
	}
	for _, file := range files {
		if strings.HasPrefix(filepath.Base(file), "expression") {
			continue // for package expression
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) { runTable(t, file) })
	}
}

func runTable(t *testing.T, file string) {
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []*stepCase
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatal("the table is empty")
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			got := c.run(t)
			if *update {
				got.Name, got.Columns, got.Rows, got.Steps = c.Name, c.Columns, c.Rows, c.Steps
				*c = got
				return
			}
			if diff := cmp.Diff(stepCase{Faults: c.Faults, Error: c.Error, Out: c.Out, Want: c.Want, Filtered: c.Filtered, Failed: c.Failed}, got); diff != "" {
				t.Errorf("want -, got +\n%s", diff)
			}
		})
	}
	if *update {
		writeTable(t, file, cases)
	}
}

func (c *stepCase) run(t *testing.T) (got stepCase) {
	columns := tableColumns(t, c.Columns)
	steps, faults := Parse(c.Steps)
	var plan *Plan
	if len(faults) == 0 {
		var err error
		plan, err = Compile(context.Background(), steps, columns, Options{Now: testNow, Scripts: testScripts{}})
		wrong, ok := errors.AsType[*Error](err)
		switch {
		case ok:
			faults = wrong.Faults
		case err != nil:
			t.Fatal(err)
		}
	}
	if len(faults) > 0 {
		for _, f := range faults {
			got.Faults = append(got.Faults, f.Error())
		}
		return got
	}
	defer func() {
		if err := plan.Close(); err != nil {
			t.Error(err)
		}
	}()
	batch := tableBatch(t, columns, c.Rows)
	defer batch.Release()
	o, err := runAll(t, plan, batch)
	if err != nil {
		got.Error = err.Error()
		return got
	}
	for _, col := range o.columns {
		got.Out = append(got.Out, col.Name+": "+col.Type.String())
	}
	got.Want, got.Filtered = o.rows, o.filtered
	for _, f := range o.failed {
		got.Failed = append(got.Failed, rowFailure(f))
	}
	return got
}

func rowFailure(f Failure) string {
	text, _ := json.Marshal(f.Row)
	return "row " + string(text) + ": " + f.String()
}

// writeTable writes cases with one line a row.
func writeTable(t *testing.T, file string, cases []*stepCase) {
	var b bytes.Buffer
	line := func(v any) string {
		var out bytes.Buffer
		e := json.NewEncoder(&out)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out.String())
	}
	b.WriteString("[\n")
	for i, c := range cases {
		b.WriteString("  {\n    \"name\": " + line(c.Name) + ",\n    \"columns\": " + line(c.Columns) + ",\n")
		list := func(key string, rows int, at func(int) any) {
			if rows == 0 {
				return
			}
			b.WriteString("    \"" + key + "\": [\n")
			for r := range rows {
				b.WriteString("      " + line(at(r)))
				if r < rows-1 {
					b.WriteByte(',')
				}
				b.WriteByte('\n')
			}
			b.WriteString("    ],\n")
		}
		list("rows", len(c.Rows), func(r int) any { return c.Rows[r] })
		b.WriteString("    \"steps\": " + line(c.Steps) + ",\n")
		list("faults", len(c.Faults), func(r int) any { return c.Faults[r] })
		if c.Error != "" {
			b.WriteString("    \"error\": " + line(c.Error) + ",\n")
		}
		if c.Out != nil {
			b.WriteString("    \"out\": " + line(c.Out) + ",\n")
		}
		list("want", len(c.Want), func(r int) any { return c.Want[r] })
		if c.Filtered > 0 {
			b.WriteString("    \"filtered\": " + line(c.Filtered) + ",\n")
		}
		list("failed", len(c.Failed), func(r int) any { return c.Failed[r] })
		text := strings.TrimSuffix(b.String(), ",\n")
		b.Reset()
		b.WriteString(text + "\n  }")
		if i < len(cases)-1 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
	}
	b.WriteString("]\n")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// testScripts are scripts written in Go.
type testScripts struct{}

func (testScripts) Open(_ context.Context, name string, in []connectors.Column) (Script, error) {
	script, ok := goScripts[name]
	if !ok {
		return nil, errors.New("there is no script " + name)
	}
	return script(in), nil
}
