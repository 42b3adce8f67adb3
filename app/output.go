package app

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"arus/app/engine"
)

// writeJSON prints one value as one JSON object with a line end.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// table prints aligned columns under a heading.
type table struct {
	w   *tabwriter.Writer
	err error
}

func newTable(w io.Writer, heading ...string) *table {
	t := &table{w: tabwriter.NewWriter(w, 2, 8, 2, ' ', 0)}
	if len(heading) > 0 {
		t.row(toAny(heading)...)
	}
	return t
}

func toAny(items []string) []any {
	out := make([]any, len(items))
	for i, s := range items {
		out[i] = s
	}
	return out
}

func (t *table) row(cells ...any) {
	texts := make([]string, len(cells))
	for i, c := range cells {
		texts[i] = strings.Map(func(r rune) rune {
			if r == '\t' || r == '\n' || r == '\r' || r == '\v' || r == '\f' {
				return ' '
			}
			return r
		}, fmt.Sprint(c))
	}
	if _, err := fmt.Fprintln(t.w, strings.Join(texts, "\t")); err != nil && t.err == nil {
		t.err = err
	}
}

func (t *table) flush() error {
	if err := t.w.Flush(); err != nil && t.err == nil {
		t.err = err
	}
	return t.err
}

// count prints a number with thousands separated.
func count(n int64) string {
	s := fmt.Sprint(n)
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if neg {
		s = "-" + s
	}
	return s
}

func millis(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	switch {
	case d < time.Second:
		return d.String()
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}

func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// printReport prints a run's outcome for people, or as one JSON object.
func (env *environment) printReport(r engine.Report) error {
	if env.flags.json {
		if r.Tables == nil {
			r.Tables = []engine.TableReport{}
		}
		return writeJSON(env.Out, r)
	}
	t := newTable(env.Out, "TABLE", "TARGET", "MODE", "READ", "LOADED", "ROWS/S", "WATERMARK BEFORE", "WATERMARK AFTER", "TIME", "STATUS")
	for _, x := range r.Tables {
		t.row(x.Table, dash(x.Target), dash(string(x.Mode)), count(x.RowsRead), count(x.RowsLoaded), rate(x.RowsRead, x.DurationMS),
			dash(x.WatermarkBefore), dash(x.WatermarkAfter), millis(x.DurationMS), x.Status)
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, x := range r.Tables {
		if x.Error != "" {
			_, _ = fmt.Fprintf(env.Err, "arus: %s: %s\n", x.Table, x.Error)
		}
	}
	for _, w := range r.Warnings {
		_, _ = fmt.Fprintf(env.Err, "warning: %s\n", w)
	}
	if r.Error != "" {
		_, _ = fmt.Fprintf(env.Err, "arus: %s\n", r.Error)
	}
	_, err := fmt.Fprintf(env.Out, "run %s: %s, %s rows read, %s loaded in %s\n", r.RunID, r.Status, count(r.RowsRead), count(r.RowsLoaded), millis(r.DurationMS))
	return err
}

func rate(rows, ms int64) string {
	if rows == 0 || ms == 0 {
		return "-"
	}
	return count(rows * 1000 / ms)
}

// finish prints a run's report and gives its exit code.
func (env *environment) finish(r engine.Report) error {
	if err := env.printReport(r); err != nil {
		return err
	}
	if code := runCode(r); code != exitOK {
		return &codeError{code}
	}
	return nil
}
