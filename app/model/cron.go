package model

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The bounds of `every D`.
const (
	leastInterval = 10 * time.Second
	mostInterval  = 366 * 24 * time.Hour
)

// horizon is how many days ahead a schedule must come due: 29 February may be eight years away.
const horizon = 9 * 366

// Schedule is when something comes due, in one zone. The zero Schedule never does.
//
// It is read from five cron fields (minute, hour, day of month, month, day of week; 0 and 7 are Sunday, names are taken, and
// where both days are restricted either one suffices), from @hourly, @daily, @weekly, @monthly and @yearly, or from
// `every D` such as `every 15m`, which is counted from the beginning of 1970 in UTC, so that it needs no memory.
//
// When clocks change, a schedule for certain hours comes due once for each time of the clock: a time that is left out when
// the gap ends, a time that comes twice the first time. A schedule for every hour follows the clock as it is.
type Schedule struct {
	every                            time.Duration
	minutes, hours, days, months, wd uint64
	anyDay                           bool // one of the two day fields is a star: both must match
	zone                             *time.Location
}

// ManualSchedule is how the absence of a schedule may be spelled.
const ManualSchedule = "manual"

// ParseSchedule reads a schedule in a zone; nil means UTC. An empty text and "manual" are the zero Schedule. What never
// comes due is an error.
func ParseSchedule(text string, zone *time.Location) (Schedule, error) {
	if zone == nil {
		zone = time.UTC
	}
	s := Schedule{zone: zone}
	text = strings.TrimSpace(text)
	lower := strings.ToLower(text)
	switch lower {
	case "", ManualSchedule:
		return Schedule{}, nil
	case "@hourly":
		lower = "0 * * * *"
	case "@daily", "@midnight":
		lower = "0 0 * * *"
	case "@weekly":
		lower = "0 0 * * 0"
	case "@monthly":
		lower = "0 0 1 * *"
	case "@yearly", "@annually":
		lower = "0 0 1 1 *"
	}
	if rest, ok := strings.CutPrefix(strings.TrimPrefix(lower, "@"), "every "); ok {
		d, err := parseInterval(strings.TrimSpace(rest))
		s.every = d
		return s, err
	}
	fields := strings.Fields(lower)
	if len(fields) != 5 {
		return s, fmt.Errorf("%q is no schedule: write five fields (minute hour day month weekday), @hourly, @daily, @weekly, @monthly, @yearly or every 15m", text)
	}
	for i, f := range []struct {
		bits  *uint64
		field cronField
	}{
		{&s.minutes, cronField{"minute", 0, 59, ""}},
		{&s.hours, cronField{"hour", 0, 23, ""}},
		{&s.days, cronField{"day of the month", 1, 31, ""}},
		{&s.months, cronField{"month", 1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"}},
		{&s.wd, cronField{"weekday", 0, 7, "sun mon tue wed thu fri sat"}},
	} {
		bits, err := f.field.parse(fields[i])
		if err != nil {
			return s, err
		}
		*f.bits = bits
	}
	s.wd |= s.wd >> 7 & 1 // 7 is Sunday too
	star := func(f string) bool { return f[0] == '*' || f[0] == '?' }
	s.anyDay = star(fields[2]) || star(fields[4])
	if s.Next(time.Unix(0, 0)).IsZero() {
		return s, fmt.Errorf("%q never comes due: there is no such day", text)
	}
	return s, nil
}

// parseInterval reads 90s, 15m, 6h, 1d, 1w and what time.ParseDuration takes.
func parseInterval(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if n, isDay := strings.CutSuffix(text, "d"); isDay && err != nil {
		d, err = times(n, 24*time.Hour)
	} else if n, isWeek := strings.CutSuffix(text, "w"); isWeek && err != nil {
		d, err = times(n, 7*24*time.Hour)
	}
	if err != nil {
		return 0, fmt.Errorf("%q is no interval: write it as 90s, 15m, 6h, 1d or 1w", text)
	}
	if d < leastInterval || d > mostInterval || d%time.Second != 0 {
		return 0, fmt.Errorf("an interval must be whole seconds from %s to 366d, not %s", leastInterval, text)
	}
	return d, nil
}

func times(n string, unit time.Duration) (time.Duration, error) {
	i, err := strconv.ParseUint(n, 10, 16)
	if i > 1000 {
		err = errors.New("too many")
	}
	return time.Duration(i) * unit, err
}

// cronField is what one of the five fields may say.
type cronField struct {
	name        string
	least, most uint64
	names       string
}

// parse gives a bit for each number that the field admits.
func (f cronField) parse(text string) (uint64, error) {
	var bits uint64
	for part := range strings.SplitSeq(text, ",") {
		span, stepText, stepped := strings.Cut(part, "/")
		step := uint64(1)
		if stepped {
			var err error
			if step, err = strconv.ParseUint(stepText, 10, 8); err != nil || step == 0 {
				return 0, f.wrong(text, "the step after / must be a number above 0")
			}
		}
		low, high := f.least, f.most
		if f.names != "" && f.least == 0 {
			high = 6 // without a range each weekday is meant once
		}
		if span != "*" && span != "?" {
			from, to, ranged := strings.Cut(span, "-")
			var err error
			if low, err = f.number(from); err != nil {
				return 0, f.wrong(text, err.Error())
			}
			switch {
			case ranged:
				if high, err = f.number(to); err != nil {
					return 0, f.wrong(text, err.Error())
				}
			case !stepped:
				high = low
			}
			if low > high {
				return 0, f.wrong(text, "the range runs backwards")
			}
		}
		for n := low; n <= high; n += step {
			bits |= 1 << n
		}
	}
	return bits, nil
}

func (f cronField) number(text string) (uint64, error) {
	for i, name := range strings.Fields(f.names) {
		if text == name {
			return uint64(i) + f.least, nil
		}
	}
	n, err := strconv.ParseUint(text, 10, 8)
	if err != nil || n < f.least || n > f.most || text[0] == '+' {
		return 0, fmt.Errorf("%q is not a number from %d to %d", text, f.least, f.most)
	}
	return n, nil
}

func (f cronField) wrong(text, why string) error {
	return fmt.Errorf("the %s %q of the schedule is not valid: %s", f.name, text, why)
}

// IsZero says whether the schedule never comes due.
func (s Schedule) IsZero() bool { return s.zone == nil }

// Next is the first time after one; the zero time when there is none.
func (s Schedule) Next(after time.Time) time.Time {
	switch {
	case s.IsZero():
		return time.Time{}
	case s.every > 0:
		n := after.Unix() - mod(after.Unix(), int64(s.every/time.Second))
		return time.Unix(n, 0).Add(s.every).In(s.zone)
	}
	local := after.In(s.zone)
	year, month, day := local.Date()
	for i := range horizon {
		date := time.Date(year, month, day+i, 0, 0, 0, 0, time.UTC) // of the calendar, in no zone
		if !s.onDay(date) {
			continue
		}
		if at := s.nextOn(date, after); !at.IsZero() {
			return at
		}
	}
	return time.Time{}
}

// NextTimes are the first n times after one.
func (s Schedule) NextTimes(after time.Time, n int) []time.Time {
	list := []time.Time{}
	for range n {
		if after = s.Next(after); after.IsZero() {
			break
		}
		list = append(list, after)
	}
	return list
}

func mod(a, b int64) int64 { return ((a % b) + b) % b }

func (s Schedule) onDay(date time.Time) bool {
	if s.months>>uint(date.Month())&1 == 0 {
		return false
	}
	byDay, byWeekday := s.days>>uint(date.Day())&1 == 1, s.wd>>uint(date.Weekday())&1 == 1
	if s.anyDay {
		return byDay && byWeekday
	}
	return byDay || byWeekday
}

// everyHour are the bits of all 24 hours.
const everyHour = 1<<24 - 1

// nextOn is the first time after one on a date of the calendar.
func (s Schedule) nextOn(date, after time.Time) time.Time {
	if s.hours == everyHour {
		from, to := s.instant(date), s.instant(date.AddDate(0, 0, 1))
		if next := after.Truncate(time.Minute).Add(time.Minute); next.After(from) {
			from = next
		}
		for at := from; at.Before(to); at = at.Add(time.Minute) {
			if local := at.In(s.zone); s.minutes>>uint(local.Minute())&1 == 1 {
				return local
			}
		}
		return time.Time{}
	}
	for hour := range 24 {
		if s.hours>>uint(hour)&1 == 0 {
			continue
		}
		for minute := range 60 {
			if s.minutes>>uint(minute)&1 == 0 {
				continue
			}
			if at := s.instant(date.Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute)); at.After(after) {
				return at
			}
		}
	}
	return time.Time{}
}

// instant is when the zone's clock first shows what wall, in UTC, says; where the clock leaves that out, the end of the gap.
func (s Schedule) instant(wall time.Time) time.Time {
	_, before := wall.Add(-26 * time.Hour).In(s.zone).Zone()
	_, later := wall.Add(26 * time.Hour).In(s.zone).Zone()
	first := wall.Add(-time.Duration(before) * time.Second).In(s.zone)
	if before == later {
		return first
	}
	second := wall.Add(-time.Duration(later) * time.Second).In(s.zone)
	if first.After(second) {
		first, second = second, first
	}
	for _, at := range []time.Time{first, second} {
		if _, offset := at.Zone(); at.Unix()+int64(offset) == wall.Unix() {
			return at
		}
	}
	start, _ := second.ZoneBounds()
	return start
}
