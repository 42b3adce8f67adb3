package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

type report struct {
	Arus    string   `json:"arus"`
	Rows    int64    `json:"rows"`
	Runs    int      `json:"runs"`
	Only    string   `json:"lanes_asked_for,omitempty"` // empty: all
	Machine machine  `json:"machine"`
	Lanes   []result `json:"lanes"`
}

// joined is one report of several runs on one machine, in the order of the lanes.
func joined(files []string) (report, error) {
	var all report
	by := map[string]result{}
	versions := map[string]bool{}
	for i, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return all, err
		}
		var r report
		if err := json.Unmarshal(text, &r); err != nil {
			return all, fmt.Errorf("%s: %w", file, err)
		}
		if i > 0 && (r.Rows != all.Rows || r.Runs != all.Runs || r.Machine.CPU != all.Machine.CPU || r.Machine.Cores != all.Machine.Cores) {
			return all, fmt.Errorf("%s: other rows, runs or another machine than in %s", file, files[0])
		}
		for _, l := range r.Lanes {
			by[l.Name] = l
		}
		versions[r.Arus] = true
		all.Rows, all.Runs, all.Machine = r.Rows, r.Runs, r.Machine
	}
	all.Arus = strings.Join(slices.Sorted(maps.Keys(versions)), ", ")
	var names []string
	for _, l := range lanes() {
		if r, ok := by[l.name]; ok {
			all.Lanes, names = append(all.Lanes, r), append(names, l.name)
		}
	}
	all.Only = strings.Join(names, ",")
	return all, nil
}

var heading = []string{"lane", "rows", "floor s", "arus s", "ratio", "rows/s", "CPU s", "peak MB", "MB/s"}

// cells is the lines of the table: one for each lane and one for each further floor.
func (r report) cells() (lines [][]string) {
	for _, l := range r.Lanes {
		switch {
		case l.Skipped != "":
			lines = append(lines, pad(l.Name, l.Skipped))
			continue
		case l.Error != "":
			lines = append(lines, pad(l.Name, "FAILED: "+l.Error))
			continue
		}
		arus := l.Arus.Median
		line := []string{l.Name, count(l.Rows), "-", seconds(arus.Seconds), "-", "-", seconds(arus.CPU), fmt.Sprintf("%.0f", maxPeak(l.Arus.Samples)), "-"}
		if len(l.Floors) > 0 {
			line[2], line[4] = seconds(l.Floors[0].Median.Seconds), ratio(l.Floors[0].Median, arus)
		}
		if !l.Idle && arus.Seconds > 0 {
			line[5] = count(int64(float64(l.Rows) / arus.Seconds))
			if l.Bytes > 0 {
				line[8] = fmt.Sprintf("%.1f", float64(l.Bytes)/1e6/arus.Seconds)
			}
		}
		lines = append(lines, line)
		for _, f := range l.Floors[min(1, len(l.Floors)):] {
			more := pad("- " + f.Name)
			more[2], more[4] = seconds(f.Median.Seconds), ratio(f.Median, arus)
			lines = append(lines, more)
		}
	}
	return lines
}

func pad(cells ...string) []string {
	return append(cells, make([]string, len(heading)-len(cells))...)
}

func seconds(s float64) string { return fmt.Sprintf("%.2f", s) }

func ratio(floor, arus sample) string {
	if floor.Seconds == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", arus.Seconds/floor.Seconds)
}

func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// memory is the answer to whether the peak grows with the table.
func (r report) memory() string {
	peaks, rows := map[string]float64{}, map[string]int64{}
	for _, l := range r.Lanes {
		if l.Error == "" {
			peaks[l.Name], rows[l.Name] = maxPeak(l.Arus.Samples), l.Rows
		}
	}
	one, three := peaks["pg-pg"], peaks["pg-pg-3x"]
	if one == 0 || three == 0 {
		return ""
	}
	return fmt.Sprintf("Peak memory of PostgreSQL to PostgreSQL: %.1f MB for %s rows, %.1f MB for %s rows.", one, count(rows["pg-pg"]), three, count(rows["pg-pg-3x"]))
}

// load says how busy the machine was: the bench alone keeps it at one to the number of cores.
func (r report) load() string {
	low, high := math.Inf(1), 0.0
	for _, l := range r.Lanes {
		for _, t := range append([]timed{l.Arus}, l.Floors...) {
			for _, s := range t.Samples {
				low, high = min(low, s.Load), max(high, s.Load)
			}
		}
	}
	if high == 0 {
		return ""
	}
	text := fmt.Sprintf("Load average before the measurements: %.1f to %.1f on %d cores.", low, high, r.Machine.Cores)
	if high > float64(r.Machine.Cores)+1 {
		text += " The machine was doing other work too, so the times are too long and the ratios blurred."
	}
	return text
}

// facts are the figures that have no floor, a line each.
func (r report) facts() (lines []string) {
	for _, l := range r.Lanes {
		if l.Error == "" {
			for _, f := range l.Facts {
				lines = append(lines, l.Name+": "+f.String())
			}
		}
	}
	return lines
}

// table prints what people read.
func (r report) table(out io.Writer) {
	var aligned strings.Builder
	w := tabwriter.NewWriter(&aligned, 0, 8, 2, ' ', tabwriter.AlignRight)
	lines := r.cells()
	name := len(heading[0])
	for _, line := range lines {
		name = max(name, len(line[0]))
	}
	for _, line := range append([][]string{heading}, lines...) {
		if strings.HasPrefix(line[1], "FAILED") || strings.HasPrefix(line[1], errSkip.Error()) {
			continue
		}
		// The first column stands left although the rest stands right.
		_, _ = fmt.Fprintf(w, "%-*s\t%s\t\n", name, line[0], strings.Join(line[1:], "\t"))
	}
	_ = w.Flush()
	for line := range strings.Lines(aligned.String()) {
		_, _ = fmt.Fprintln(out, strings.TrimRight(strings.TrimPrefix(line, "  "), " \n"))
	}
	for _, line := range lines {
		if strings.HasPrefix(line[1], "FAILED") || strings.HasPrefix(line[1], errSkip.Error()) {
			_, _ = fmt.Fprintf(out, "%s: %s\n", line[0], line[1])
		}
	}
	for _, text := range append(r.facts(), r.memory(), r.load()) {
		if text != "" {
			_, _ = fmt.Fprintln(out, text)
		}
	}
}

func (r report) write(o options) error {
	var errs []error
	if o.json != "" {
		errs = append(errs, toFile(o.json, func(w io.Writer) error {
			e := json.NewEncoder(w)
			e.SetIndent("", "  ")
			e.SetEscapeHTML(false)
			return e.Encode(r)
		}))
	}
	if o.markdown != "" {
		errs = append(errs, toFile(o.markdown, r.writeMarkdown))
	}
	return errors.Join(errs...)
}

func (r report) writeMarkdown(w io.Writer) error {
	var s strings.Builder
	m := r.Machine
	fmt.Fprintf(&s, `# Performance

Made by `+"`go tool task bench --%s -rows %d -runs %d -markdown docs/performance.md`"+` on %s, with %s: medians of %d.

| lane | what is copied |
|---|---|
`, r.onlyFlag(), r.Rows, r.Runs, m.Time.Format("2006-01-02"), r.Arus, r.Runs)
	for _, l := range r.Lanes {
		fmt.Fprintf(&s, "| %s | %s%s |\n", l.Name, l.Title, firstFloor(l))
	}
	s.WriteString("\n| " + strings.Join(heading, " | ") + " |\n|---|" + strings.Repeat("---:|", len(heading)-1) + "\n")
	for _, line := range r.cells() {
		for i := range line {
			line[i] = strings.ReplaceAll(line[i], "|", `\|`)
		}
		s.WriteString("| " + strings.Join(line, " | ") + " |\n")
	}
	for _, text := range r.facts() {
		s.WriteString("\n- " + text)
	}
	s.WriteString("\n")
	for _, text := range []string{r.memory(), r.load()} {
		if text != "" {
			s.WriteString("\n" + text + "\n")
		}
	}
	fmt.Fprintf(&s, `
The **floor** is the least that the databases' own clients need for the same rows between the same servers, on the same
machine, in turns with Arus; *ratio* is Arus's time to the floor's. The floor's table is a plain heap unless the line says otherwise,
while Arus makes the primary key and two columns of its own, and swaps the table in as a whole. *CPU* and *peak* are those of
the arus process alone, the peak being the highest of all runs; *MB/s* counts the rows as COPY writes them as text.
Arus is a process of its own with a fresh data directory each time, and each copy is compared with its source by a checksum over all
values before it counts.

The rows have 12 columns: a bigint key, two integers, decimal(12,2), two varchar(40), a text of about 80 characters, boolean,
double precision, date, jsonb, and an indexed timestamp with microseconds; four of them are null in a tenth of the rows. They
are a function of the row's number.

The machine: %d cores (%s), %.0f GB, %s, %s; PostgreSQL %s`, m.Cores, m.CPU, m.MemoryGB, m.OS, m.Go, m.Postgres)
	if m.MariaDB != "" {
		fmt.Fprintf(&s, ", MariaDB %s", m.MariaDB)
	}
	s.WriteString(". Clients and servers share it. The servers' settings:\n\n")
	for _, name := range slices.Sorted(maps.Keys(m.Settings)) {
		fmt.Fprintf(&s, "- %s = %s\n", name, m.Settings[name])
	}
	_, err := io.WriteString(w, s.String())
	return err
}

// onlyFlag repeats which lanes were asked for.
func (r report) onlyFlag() string {
	if r.Only == "" {
		return ""
	}
	return " -lanes '" + r.Only + "'"
}

func firstFloor(l result) string {
	if len(l.Floors) == 0 {
		return ""
	}
	return "; floor: `" + strings.ReplaceAll(l.Floors[0].Name, "|", `\|`) + "`"
}

// failure makes a lane that copied wrongly, or not at all, the program's own failure.
func (r report) failure() error {
	var failed []string
	measured := false
	for _, l := range r.Lanes {
		if l.Error != "" {
			failed = append(failed, l.Name)
		}
		measured = measured || l.Skipped == ""
	}
	switch {
	case len(failed) > 0:
		return fmt.Errorf("failed: %s", strings.Join(failed, ", "))
	case !measured:
		return errors.New("nothing was measured")
	}
	return nil
}
