package web

import (
	"fmt"
	"strconv"
	"strings"
	"time"
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
	if len(f) != 5 {
		return schedule
	}
	hours, often, ok := timeWords(f[0], f[1])
	day, always, known := dayWords(f[2], f[3], f[4])
	switch {
	case !ok || !known:
		return schedule
	case often && always:
		return hours
	case often:
		return hours + ", " + day
	}
	return day + " " + hours
}

// timeWords says minutes and hours in words; often says that they come several
// times a day by themselves.
func timeWords(minute, hour string) (words string, often, ok bool) {
	minutes, single := numbers(minute, 59)
	hours, daily := numbers(hour, 23)
	from, to, span := strings.Cut(hour, "-")
	first, err1 := strconv.Atoi(from)
	last, err2 := strconv.Atoi(to)
	span = span && err1 == nil && err2 == nil && first <= last && last < 24
	step, every := strings.CutPrefix(minute, "*/")
	every = every && divides(step, 60)
	hourStep, everyHours := strings.CutPrefix(hour, "*/")
	everyHours = everyHours && divides(hourStep, 24)
	switch {
	case minute == "*" && hour == "*":
		return "every minute", true, true
	case every && hour == "*":
		return "every " + step + " minutes", true, true
	case every && span:
		return fmt.Sprintf("every %s minutes from %02d:00 to %02d:59", step, first, last), true, true
	case single && hour == "*" && len(minutes) == 1 && minutes[0] == 0:
		return "every hour", true, true
	case single && hour == "*" && len(minutes) == 1:
		return fmt.Sprintf("every hour at minute %d", minutes[0]), true, true
	case single && hour == "*":
		return "every hour at minutes " + listWords(minutes, strconv.Itoa), true, true
	case single && everyHours && len(minutes) == 1:
		return fmt.Sprintf("every %s hours at minute %d", hourStep, minutes[0]), true, true
	case single && span && len(minutes) == 1:
		return fmt.Sprintf("every hour from %02d:%02d to %02d:%02d", first, minutes[0], last, minutes[0]), true, true
	case single && daily && len(minutes)*len(hours) <= 6:
		var times []string
		for _, h := range hours {
			for _, m := range minutes {
				times = append(times, fmt.Sprintf("%02d:%02d", h, m))
			}
		}
		return "at " + listWords(times, func(t string) string { return t }), false, true
	}
	return "", false, false
}

// dayWords says days, months and weekdays in words; always says that it is every
// day.
func dayWords(day, month, weekday string) (words string, always, ok bool) {
	in := ""
	months, some := monthNumbers(month)
	if !some && month != "*" || day != "*" && weekday != "*" { // both: either of them is enough, which few words say
		return "", false, false
	}
	if some {
		in = " in " + listWords(months, func(m int) string { return time.Month(m).String() })
	}
	switch days, listed := numbers(day, 31); {
	case weekday != "*":
		text, ok := weekdayWords(weekday)
		return "every " + text + in, false, ok
	case day == "*":
		return "every day" + in, !some, true
	case listed && some && len(days) == 1 && len(months) == 1:
		return fmt.Sprintf("on %d %s", days[0], time.Month(months[0])), false, true
	case listed && some:
		return "on day " + listWords(days, strconv.Itoa) + in, false, true
	case listed:
		return "on day " + listWords(days, strconv.Itoa) + " of every month", false, true
	}
	return "", false, false
}

// numbers reads a list of numbers up to a greatest.
func numbers(text string, most int) (list []int, ok bool) {
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 || n > most {
			return nil, false
		}
		list = append(list, n)
	}
	return list, true
}

func monthNumbers(text string) (list []int, ok bool) {
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(part)
		for m := time.January; err != nil && m <= time.December; m++ {
			if strings.ToLower(m.String()[:3]) == part {
				n, err = int(m), nil
			}
		}
		if err != nil || n < 1 || n > 12 {
			return nil, false
		}
		list = append(list, n)
	}
	return list, true
}

// listWords joins a list with commas and a last "and".
func listWords[T any](list []T, word func(T) string) string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = word(v)
	}
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
	return words[0]
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
	return listWords(list, func(day string) string { return day }), true
}
