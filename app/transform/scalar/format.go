package scalar

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// Format says how texts spell dates and numbers where the usual way does not do.
// It is made by NewFormat and used by one goroutine at a time.
type Format struct {
	unix      int64 // microseconds in a unit of a Unix time; 0: not one
	layout    []directive
	location  *time.Location // of texts without a zone; nil = UTC
	decimal   string
	thousands string
	bytes     string // hex or base64
}

// FormatOptions are what a person may say about a format.
type FormatOptions struct {
	Layout    string // %d.%m.%Y; unix, unix_ms, unix_us; iso; hex or base64 for bytes
	Timezone  string // of times without a zone: Europe/Vienna
	Decimal   string // the decimal separator
	Thousands string // what groups digits
}

// directive is a part of a layout: a %-letter, or a text that stands as it is.
type directive struct {
	letter byte
	text   string
}

const directives = "YymdjHIMSfpzZBbAaT"

var monthNames = []string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"}

var dayNames = []string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}

// NewFormat checks the options; nil when they say nothing.
func NewFormat(o FormatOptions) (*Format, error) {
	if o == (FormatOptions{}) {
		return nil, nil
	}
	f := &Format{decimal: o.Decimal, thousands: o.Thousands}
	if o.Decimal != "" && o.Decimal == o.Thousands {
		return nil, errors.New("the decimal separator and the thousands separator are the same")
	}
	if o.Timezone != "" {
		loc, err := time.LoadLocation(o.Timezone)
		if err != nil || o.Timezone == "Local" {
			return nil, fmt.Errorf("%q is not a time zone, such as Europe/Vienna", o.Timezone)
		}
		f.location = loc
	}
	switch o.Layout {
	case "", "iso":
		return f, nil
	case "unix":
		f.unix = Second
		return f, nil
	case "unix_ms":
		f.unix = 1000
		return f, nil
	case "unix_us":
		f.unix = 1
		return f, nil
	case "hex", "base64":
		f.bytes = o.Layout
		return f, nil
	}
	layout := strings.ReplaceAll(strings.ReplaceAll(o.Layout, "%F", "%Y-%m-%d"), "%T", "%H:%M:%S")
	for len(layout) > 0 {
		i := strings.IndexByte(layout, '%')
		if i < 0 {
			i = len(layout)
		}
		if i > 0 {
			f.layout = append(f.layout, directive{text: layout[:i]})
			layout = layout[i:]
			continue
		}
		switch {
		case len(layout) > 1 && layout[1] == '%':
			f.layout = append(f.layout, directive{text: "%"})
		case len(layout) > 1 && strings.IndexByte(directives, layout[1]) >= 0:
			f.layout = append(f.layout, directive{letter: layout[1]})
		default:
			return nil, fmt.Errorf("format %q: %q is none of %%Y %%y %%m %%d %%j %%H %%I %%M %%S %%f %%p %%z %%B %%b %%A %%a", o.Layout, layout[:min(2, len(layout))])
		}
		layout = layout[2:]
	}
	if !slices.ContainsFunc(f.layout, func(d directive) bool { return d.letter != 0 }) {
		return nil, fmt.Errorf("format %q has no %%-directive, and is none of iso, unix, unix_ms, unix_us, hex, base64", o.Layout)
	}
	return f, nil
}

// clock is a text read by a layout.
type clock struct {
	year, month, day, yearDay int
	hour, minute, second      int
	micros                    int
	pm, half, zoned           bool
	offset                    int // seconds east of UTC
}

// parse reads the whole of s by the layout.
func (f *Format) parse(s string) (clock, error) {
	c := clock{year: 1900, month: 1, day: 1}
	rest := s
	bad := func() (clock, error) { return clock{}, errors.New(quoted(s) + " does not have the given format") }
	number := func(least, most int) (int, bool) {
		n := 0
		for n < most && n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
			n++
		}
		if n < least {
			return 0, false
		}
		v, err := strconv.Atoi(rest[:n])
		rest = rest[n:]
		return v, err == nil
	}
	name := func(names []string, letters int) (int, bool) {
		for i, full := range names {
			word := full
			if letters > 0 {
				word = full[:letters]
			}
			if len(rest) >= len(word) && strings.EqualFold(rest[:len(word)], word) {
				rest = rest[len(word):]
				return i + 1, true
			}
		}
		return 0, false
	}
	for _, d := range f.layout {
		ok := true
		switch d.letter {
		case 0:
			rest, ok = strings.CutPrefix(rest, d.text)
		case 'Y':
			c.year, ok = number(4, 4)
		case 'y':
			if c.year, ok = number(2, 2); c.year < 69 {
				c.year += 2000
			} else {
				c.year += 1900
			}
		case 'm':
			c.month, ok = number(1, 2)
		case 'd':
			c.day, ok = number(1, 2)
		case 'j':
			c.yearDay, ok = number(1, 3)
		case 'H':
			c.hour, ok = number(1, 2)
		case 'I':
			c.hour, ok = number(1, 2)
			c.half, ok = true, ok && c.hour >= 1 && c.hour <= 12
		case 'M':
			c.minute, ok = number(1, 2)
		case 'S':
			c.second, ok = number(1, 2)
		case 'f':
			before := len(rest)
			c.micros, ok = number(1, 6)
			for range 6 - (before - len(rest)) {
				c.micros *= 10
			}
		case 'p':
			var n int
			n, ok = name([]string{"AM", "PM"}, 0)
			c.pm = n == 2
		case 'B':
			c.month, ok = name(monthNames, 0)
		case 'b':
			c.month, ok = name(monthNames, 3)
		case 'A':
			_, ok = name(dayNames, 0)
		case 'a':
			_, ok = name(dayNames, 3)
		case 'z', 'Z':
			rest, ok = c.zone(rest)
		}
		if !ok {
			return bad()
		}
	}
	if rest != "" || c.hour > 23 || c.minute > 59 || c.second > 59 {
		return bad()
	}
	if c.half {
		c.hour %= 12
		if c.pm {
			c.hour += 12
		}
	}
	return c, nil
}

func (c *clock) zone(rest string) (string, bool) {
	c.zoned = true
	for _, word := range []string{"UTC", "GMT", "Z", "z"} {
		if r, ok := strings.CutPrefix(rest, word); ok {
			return r, true
		}
	}
	for _, n := range []int{6, 5, 3} {
		if len(rest) < n {
			continue
		}
		if _, zoned, err := connectors.ParseTimestamp("2000-01-01 00:00:00" + rest[:n]); err == nil && zoned {
			ts, _, _ := connectors.ParseTimestamp("2000-01-01 00:00:00" + rest[:n])
			base, _, _ := connectors.ParseTimestamp("2000-01-01 00:00:00")
			c.offset = int((base - ts) / arrow.Timestamp(Second))
			return rest[n:], true
		}
	}
	return rest, false
}

// timestamp is the wall clock that was read; its day must exist.
func (c clock) timestamp(s string) (arrow.Timestamp, error) {
	month, day := c.month, c.day
	if c.yearDay > 0 {
		var y int
		y, month, day = connectors.CivilFromDays(connectors.DaysFromCivil(c.year, 1, 1) + c.yearDay - 1)
		if y != c.year {
			return 0, errors.New(quoted(s) + " names a day that does not exist")
		}
	}
	days := connectors.DaysFromCivil(c.year, max(month, 1), 1)
	y, m, d := connectors.CivilFromDays(days + day - 1)
	if y != c.year || m != month || d != day || month < 1 || month > 12 {
		return 0, errors.New(quoted(s) + " names a day that does not exist")
	}
	return arrow.Timestamp(int64(days+day-1)*Day + int64(c.hour)*Hour + int64(c.minute)*Minute + int64(c.second)*Second + int64(c.micros)), nil
}

// instant puts a wall clock into the format's time zone.
func (f *Format) instant(ts arrow.Timestamp) arrow.Timestamp {
	if f == nil || f.location == nil || Regular(ts) != nil {
		return ts
	}
	t := time.UnixMicro(int64(ts)).UTC()
	local := time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), f.location)
	return arrow.Timestamp(local.UnixMicro())
}

// wall is the inverse of instant: the clock on the wall at an instant.
func (f *Format) wall(ts arrow.Timestamp) (clock arrow.Timestamp, offset int) {
	if f == nil || f.location == nil || Regular(ts) != nil {
		return ts, 0
	}
	_, offset = time.UnixMicro(int64(ts)).In(f.location).Zone()
	return ts + arrow.Timestamp(int64(offset)*Second), offset
}

// render writes a wall clock by the layout.
func (f *Format) render(ts arrow.Timestamp, zoned bool, offset int) (string, error) {
	if err := Regular(ts); err != nil {
		return "", err
	}
	days, us := floorSplit(int64(ts))
	year, month, day := connectors.CivilFromDays(int(days))
	weekday := int(((days+3)%7 + 7) % 7)
	hour, minute, second := int(us/Hour), int(us%Hour/Minute), int(us%Minute/Second)
	var b strings.Builder
	for _, d := range f.layout {
		switch d.letter {
		case 0:
			b.WriteString(d.text)
		case 'Y':
			fmt.Fprintf(&b, "%04d", year)
		case 'y':
			fmt.Fprintf(&b, "%02d", (year%100+100)%100)
		case 'm':
			fmt.Fprintf(&b, "%02d", month)
		case 'd':
			fmt.Fprintf(&b, "%02d", day)
		case 'j':
			fmt.Fprintf(&b, "%03d", int(days)-connectors.DaysFromCivil(year, 1, 1)+1)
		case 'H':
			fmt.Fprintf(&b, "%02d", hour)
		case 'I':
			fmt.Fprintf(&b, "%02d", (hour+11)%12+1)
		case 'M':
			fmt.Fprintf(&b, "%02d", minute)
		case 'S':
			fmt.Fprintf(&b, "%02d", second)
		case 'f':
			fmt.Fprintf(&b, "%06d", us%Second)
		case 'p':
			b.WriteString([]string{"AM", "PM"}[hour/12])
		case 'B':
			b.WriteString(monthNames[month-1])
		case 'b':
			b.WriteString(monthNames[month-1][:3])
		case 'A':
			b.WriteString(dayNames[weekday])
		case 'a':
			b.WriteString(dayNames[weekday][:3])
		case 'z':
			if zoned {
				fmt.Fprintf(&b, "%+03d%02d", offset/3600, max(offset, -offset)/60%60)
			}
		case 'Z':
			if zoned {
				b.WriteString("UTC")
				if offset != 0 {
					fmt.Fprintf(&b, "%+03d:%02d", offset/3600, max(offset, -offset)/60%60)
				}
			}
		}
	}
	return b.String(), nil
}

// plain takes the grouping out of a number's text and gives it a point; it is
// empty where the text has another format.
func (f *Format) plain(s string) string {
	s = strings.TrimSpace(s)
	if f == nil {
		return s
	}
	point := "."
	if f.decimal != "" {
		point = f.decimal
	}
	whole, fraction, has := strings.Cut(s, point)
	if f.thousands != "" && strings.Contains(whole, f.thousands) {
		groups := strings.Split(strings.TrimLeft(whole, "+-"), f.thousands)
		for i, g := range groups {
			if i == 0 && (g == "" || len(g) > 3) || i > 0 && i < len(groups)-1 && len(g) != 3 && len(g) != 2 || i == len(groups)-1 && len(g) != 3 {
				return "" // no number is grouped like this
			}
		}
		whole = strings.ReplaceAll(whole, f.thousands, "")
	}
	if point != "." && strings.Contains(s, ".") && f.thousands != "." || strings.Contains(fraction, ".") {
		return ""
	}
	if has {
		return whole + "." + fraction
	}
	return whole
}
