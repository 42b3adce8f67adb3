package web

import (
	"fmt"
	"strconv"
	"strings"
)

// scheduleWords says a schedule in words; one that is too particular for that
// stays as it is written.
func scheduleWords(schedule string) string {
	text := strings.ToLower(strings.TrimSpace(schedule))
	switch text {
	case "", "manual":
		return "only when somebody starts it"
	case "@hourly":
		return "every hour"
	case "@daily", "@midnight":
		return "every day at 00:00"
	case "@weekly":
		return "every Sunday at 00:00"
	case "@monthly":
		return "on day 1 of every month at 00:00"
	case "@yearly", "@annually":
		return "on 1 January at 00:00"
	}
	if rest, ok := strings.CutPrefix(strings.TrimPrefix(text, "@"), "every "); ok {
		return "every " + intervalWords(strings.TrimSpace(rest))
	}
	f := strings.Fields(text)
	if len(f) != 5 || f[3] != "*" {
		return schedule
	}
	minute, hour, day, weekday := f[0], f[1], f[2], f[4]
	everyDay := day == "*" && weekday == "*"
	if step, ok := strings.CutPrefix(minute, "*/"); ok && hour == "*" && everyDay && divides(step, 60) {
		return "every " + step + " minutes"
	}
	m, err := strconv.Atoi(minute)
	if err != nil {
		if minute == "*" && hour == "*" && everyDay {
			return "every minute"
		}
		return schedule
	}
	if step, ok := strings.CutPrefix(hour, "*/"); ok && everyDay && divides(step, 24) {
		return fmt.Sprintf("every %s hours at minute %d", step, m)
	}
	if hour == "*" && everyDay {
		if m == 0 {
			return "every hour"
		}
		return fmt.Sprintf("every hour at minute %d", m)
	}
	h, err := strconv.Atoi(hour)
	if err != nil {
		return schedule
	}
	at := fmt.Sprintf(" at %02d:%02d", h, m)
	switch {
	case everyDay:
		return "every day" + at
	case day == "*":
		if days, ok := weekdayWords(weekday); ok {
			return "every " + days + at
		}
	case weekday == "*":
		if d, err := strconv.Atoi(day); err == nil {
			return fmt.Sprintf("on day %d of every month%s", d, at)
		}
	}
	return schedule
}

// divides says whether steps of n fill up a whole, so that "every n" is true.
func divides(n string, whole int) bool {
	i, err := strconv.Atoi(n)
	return err == nil && i > 1 && whole%i == 0
}

// intervalWords writes 15m as 15 minutes.
func intervalWords(text string) string {
	for suffix, unit := range map[string]string{"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week"} {
		n, ok := strings.CutSuffix(text, suffix)
		if i, err := strconv.Atoi(n); ok && err == nil {
			if i == 1 {
				return unit
			}
			return n + " " + unit + "s"
		}
	}
	return text
}

// weekdayWords writes 1-5 as working day and 1,3 as Monday and Wednesday.
func weekdayWords(text string) (string, bool) {
	if text == "1-5" || text == "mon-fri" {
		return "working day", true
	}
	full := []string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}
	var list []string
	for part := range strings.SplitSeq(text, ",") {
		i, err := strconv.Atoi(part)
		if err != nil {
			i = -1
			for j, name := range full[:7] {
				if strings.ToLower(name[:3]) == part {
					i = j
				}
			}
		}
		if i < 0 || i > 7 {
			return "", false
		}
		list = append(list, full[i])
	}
	if n := len(list); n > 1 {
		return strings.Join(list[:n-1], ", ") + " and " + list[n-1], true
	}
	return list[0], true
}
