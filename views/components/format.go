package components

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Number groups the digits of a number by thousands.
func Number[N ~int | ~int32 | ~int64 | ~uint64](n N) string {
	text := fmt.Sprint(n)
	sign := ""
	if text[0] == '-' {
		sign, text = "-", text[1:]
	}
	var b strings.Builder
	for i, c := range text {
		if i > 0 && (len(text)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return sign + b.String()
}

// Short writes a number with at most four places: 950, 12.3K, 4.56M.
func Short(n int64) string {
	f, sign := float64(n), ""
	if f < 0 {
		f, sign = -f, "-"
	}
	for _, unit := range []string{"", "K", "M", "B"} {
		if f < 999.5 || unit == "B" {
			return sign + three(f, unit == "") + unit
		}
		f /= 1000
	}
	return ""
}

// Bytes writes a size in units of 1024.
func Bytes(n int64) string {
	f := float64(n)
	for _, unit := range []string{"B", "KB", "MB", "GB"} {
		if f < 1023.5 {
			return three(f, unit == "B") + " " + unit
		}
		f /= 1024
	}
	return three(f, false) + " TB"
}

// three writes a number with at most three significant digits.
func three(f float64, whole bool) string {
	places := 2
	switch {
	case whole || f >= 99.95:
		return strconv.FormatFloat(math.Round(f), 'f', -1, 64)
	case f >= 9.995:
		places = 1
	}
	return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(f, 'f', places, 64), "0"), ".")
}

// Duration writes how long something took: 340 ms, 12.3 s, 4 min 5 s, 2 h 10 min, 3 d 4 h.
func Duration(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + Duration(-d)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return strings.TrimSuffix(strconv.FormatFloat(d.Seconds(), 'f', 1, 64), ".0") + " s"
	case d < time.Hour:
		return pair(int(d.Minutes()), "min", int(d.Seconds())%60, "s")
	case d < 48*time.Hour:
		return pair(int(d.Hours()), "h", int(d.Minutes())%60, "min")
	}
	return pair(int(d.Hours())/24, "d", int(d.Hours())%24, "h")
}

// Milliseconds writes how long something took.
func Milliseconds(ms int64) string { return Duration(time.Duration(ms) * time.Millisecond) }

func pair(a int, unitA string, b int, unitB string) string {
	if b == 0 {
		return fmt.Sprintf("%d %s", a, unitA)
	}
	return fmt.Sprintf("%d %s %d %s", a, unitA, b, unitB)
}

// Relative writes a time as seen from now: just now, 5 min ago, in 2 h, and the
// date when it is further away than a week. app.js says the same.
func Relative(at, now time.Time) string {
	d := now.Sub(at)
	ahead := d < 0
	if ahead {
		d = -d
	}
	var text string
	switch {
	case d < 10*time.Second:
		if ahead {
			return "now"
		}
		return "just now"
	case d < time.Minute:
		text = fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		text = fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 24*time.Hour:
		text = fmt.Sprintf("%d h", int(d.Hours()))
	case d < 7*24*time.Hour:
		text = fmt.Sprintf("%d d", int(d.Hours())/24)
	default:
		return at.Format("2 Jan 2006")
	}
	if ahead {
		return "in " + text
	}
	return text + " ago"
}

// Clock writes a time in full, in the viewer's zone.
func Clock(ctx context.Context, at time.Time) string {
	return at.In(ViewerOf(ctx).Zone).Format("2006-01-02 15:04:05 MST")
}

// Percent is how much done is of total, from 0 to 100.
func Percent(done, total int64) int {
	if total <= 0 {
		return 0
	}
	return int(min(100, max(0, done*100/total)))
}

// Plural joins a count and its noun: "1 table", "3,200 tables".
func Plural[N ~int | ~int64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if before, ok := strings.CutSuffix(noun, "y"); ok && !strings.ContainsAny(before[max(0, len(before)-1):], "aeiou") {
		noun = before + "ie"
	}
	return Number(n) + " " + noun + "s"
}
