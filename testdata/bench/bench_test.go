package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestToCopy(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"plain", "1\ta\n2\tb\n", "1\ta\n2\tb\n"},
		{"null", "NULL\tx\tNULL\nNULL\n", "\\N\tx\t\\N\n\\N\n"},
		{"escapes stay", "a\\tb\\n\\\\\tNULLS\t\n", "a\\tb\\n\\\\\tNULLS\t\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			if err := toCopy(&out, strings.NewReader(tt.in)); err != nil || out.String() != tt.want {
				t.Errorf("toCopy(%q) = %q, %v, want %q", tt.in, out.String(), err, tt.want)
			}
		})
	}
	if err := toCopy(io.Discard, strings.NewReader("cut of")); err == nil {
		t.Error("a line without an end is no error")
	}
}

func TestPipe(t *testing.T) {
	t.Parallel()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("SKIPPED: no shell")
	}
	script := func(s string) stage { return stage{path: sh, args: []string{"-c", s}} }
	upper := func(w io.Writer, r io.Reader) error {
		text, err := io.ReadAll(r)
		return errors.Join(err, func() error { _, err := w.Write(bytes.ToUpper(text)); return err }())
	}
	tests := []struct {
		name    string
		between func(io.Writer, io.Reader) error
		stages  []stage
		want    string // in the error
	}{
		{"through", nil, []stage{script("echo rows"), script(`test "$(cat)" = rows`)}, ""},
		{"converted", upper, []stage{script("echo rows"), script(`test "$(cat)" = ROWS`)}, ""},
		{"first fails", nil, []stage{script("echo broken >&2; exit 3"), script("cat >/dev/null")}, "broken"},
		{"second fails", upper, []stage{script("echo rows"), script("cat >/dev/null; echo broken >&2; exit 3")}, "broken"},
		{"second is not there", upper, []stage{script("echo rows"), {path: "/nonexistent"}}, "nonexistent"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, err := pipe(t.Context(), tt.between, tt.stages...)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("error = %v", err)
			case tt.want == "" && s.Seconds <= 0:
				t.Errorf("took %v s", s.Seconds)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error = %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   []float64
		want float64
	}{
		{"none", nil, 0},
		{"one", []float64{3}, 3},
		{"odd", []float64{9, 1, 2}, 2},
		{"even", []float64{4, 1, 2, 3}, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var samples []sample
			for _, s := range tt.in {
				samples = append(samples, sample{Seconds: s})
			}
			if got := median(samples).Seconds; got != tt.want {
				t.Errorf("median(%v) = %v, want %v", tt.in, got, tt.want)
			}
		})
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	all := []lane{{name: "a-b"}, {name: "b-c"}, {name: "a-c"}}
	tests := []struct{ patterns, want string }{
		{"*", "[a-b b-c a-c]"},
		{"a-*", "[a-b a-c]"},
		{"a-c,b-c", "[b-c a-c]"},
		{"x", `no lane is called "x"; -lanes list lists them`},
		{"[", "-lanes [: syntax error in pattern"},
	}
	for _, tt := range tests {
		t.Run(tt.patterns, func(t *testing.T) {
			t.Parallel()
			chosen, err := choose(all, tt.patterns)
			var names []string
			for _, l := range chosen {
				names = append(names, l.name)
			}
			got := fmt.Sprint(names)
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("choose(%q) = %s, want %s", tt.patterns, got, tt.want)
			}
		})
	}
}

// A lane that copied wrongly shows no figures, and the program fails.
func TestReport(t *testing.T) {
	t.Parallel()
	samples := []sample{{Seconds: 4, CPU: 1, PeakMB: 50, Load: 3.5}}
	took := func(name string, s float64) timed {
		return timed{Name: name, Median: sample{Seconds: s}, Samples: []sample{{Seconds: s}}}
	}
	r := report{Rows: 1000, Runs: 1, Lanes: []result{
		{Name: "pg-pg", Rows: 1000000, Bytes: 200e6, Floors: []timed{took("a | b", 2), took("c", 8)}, Arus: timed{Median: samples[0], Samples: samples}},
		{Name: "pg-pg-3x", Rows: 3000000, Bytes: 600e6, Arus: timed{Median: samples[0], Samples: samples}},
		{Name: "nothing", Rows: 1000, Idle: true, Arus: timed{Median: sample{Seconds: 0.1}}},
		{Name: "wrong", Error: "WRONG COPY: 9 rows instead of 10", Arus: timed{Median: sample{Seconds: 77.77}}},
		{Name: "absent", Skipped: "not measured: no server"},
	}}
	var text, markdown bytes.Buffer
	r.table(&text)
	if err := r.writeMarkdown(&markdown); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"pg-pg 1,000,000 2.00 4.00 2.00 250,000 1.00 50 50.0",
		"- c 8.00 0.50",
		"wrong: FAILED: WRONG COPY: 9 rows instead of 10",
		"absent: not measured: no server",
		"to 3.5 on 0 cores. The machine was doing other work too",
		"50.0 MB for 1,000,000 rows, 50.0 MB for 3,000,000 rows",
	} {
		if !strings.Contains(strings.Join(strings.Fields(text.String()), " "), want) {
			t.Errorf("no %q in the table:\n%s", want, &text)
		}
	}
	for _, want := range []string{
		"| pg-pg | 1,000,000 | 2.00 | 4.00 | 2.00 | 250,000 | 1.00 | 50 | 50.0 |",
		"floor: `a \\| b`",
		"| wrong | FAILED: WRONG COPY: 9 rows instead of 10 |",
	} {
		if !strings.Contains(markdown.String(), want) {
			t.Errorf("no %q in the Markdown:\n%s", want, &markdown)
		}
	}
	if strings.Contains(text.String()+markdown.String(), "77.77") {
		t.Error("the time of a wrong copy is shown")
	}
	if err := r.failure(); err == nil || err.Error() != "failed: wrong" {
		t.Errorf("failure = %v", err)
	}
}

// TestReportsAreJoined: of a lane that was measured twice the later counts, and the lanes stand in their own order.
func TestReportsAreJoined(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name string, r report) string {
		path := filepath.Join(dir, name)
		if err := r.write(options{json: path}); err != nil {
			t.Fatal(err)
		}
		return path
	}
	lane := func(name string, s float64) result {
		return result{Name: name, Rows: 1, Arus: timed{Median: sample{Seconds: s}}}
	}
	one := file("one", report{Arus: "b", Rows: 1000, Runs: 3, Lanes: []result{lane("pg-clickhouse", 1), lane("pg-pg-upsert", 2)}})
	two := file("two", report{Arus: "a", Rows: 1000, Runs: 3, Lanes: []result{lane("pg-pg-upsert", 3), lane("pg-pg", 4)}})
	r, err := joined([]string{one, two})
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, l := range r.Lanes {
		got += fmt.Sprint(l.Name, " ", l.Arus.Median.Seconds, "; ")
	}
	if want := "pg-pg 4; pg-pg-upsert 3; pg-clickhouse 1; "; got != want || r.Arus != "a, b" || r.Only != "pg-pg,pg-pg-upsert,pg-clickhouse" {
		t.Errorf("%q of %q, lanes %q, want %q", got, r.Arus, r.Only, want)
	}
	other := file("other", report{Rows: 2000, Runs: 3})
	if _, err := joined([]string{one, other}); err == nil || !strings.Contains(err.Error(), "other rows") {
		t.Errorf("runs of different sizes: %v", err)
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	want := sum{10, "77"}
	for _, got := range []sum{{9, "77"}, {10, "78"}, {}} {
		if want.compare(got) == nil {
			t.Errorf("%v passes for %v", got, want)
		}
	}
	if err := want.compare(want); err != nil {
		t.Error(err)
	}
}

// Wrong flags are refused before a server is asked for.
func TestFlags(t *testing.T) {
	t.Setenv(envPostgres+"_URL", "")
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"-rows", "10"}, "-rows is at least"},
		{[]string{"-runs", "0"}, "-runs is at least"},
		{[]string{"pg-pg"}, "unexpected argument"},
		{nil, envPostgres + "_URL is not set"},
	}
	for _, tt := range tests {
		err := run(context.WithoutCancel(t.Context()), tt.args, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("run(%q): %v, want an error with %q", tt.args, err, tt.want)
		}
	}
}
