package model

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robfig/cron/v3"
)

func location(t testing.TB, name string) *time.Location {
	t.Helper()
	at, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestScheduleTimes follows schedules through days on which clocks change, in
// zones that change at different hours and by different amounts.
func TestScheduleTimes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ schedule, zone, after, want string }{
		{"*/15 * * * *", "UTC", "2026-01-01T00:07:30Z", "01T00:15Z 01T00:30Z 01T00:45Z"},
		{"0 0 * * 0", "UTC", "2026-01-01T00:00:00Z", "04T00:00Z 11T00:00Z"}, // 4 January 2026 is a Sunday
		{"0 0 * * 7", "UTC", "2026-01-01T00:00:00Z", "04T00:00Z 11T00:00Z"},
		{"0 0 * * sun", "UTC", "2026-01-01T00:00:00Z", "04T00:00Z 11T00:00Z"},
		{"0 9 * * 1-5", "UTC", "2026-01-02T09:00:00Z", "05T09:00Z 06T09:00Z"},
		{"0 9 * * 5-7", "UTC", "2026-01-01T00:00:00Z", "02T09:00Z 03T09:00Z 04T09:00Z 09T09:00Z"},
		{"0 0 13 * 5", "UTC", "2026-01-01T00:00:00Z", "02T00:00Z 09T00:00Z 13T00:00Z"}, // either day
		{"0 0 29 feb *", "UTC", "2026-01-01T00:00:00Z", "29T00:00Z"},
		{"@hourly", "UTC", "2026-01-01T00:59:59Z", "01T01:00Z 01T02:00Z"},
		{"every 15m", "UTC", "2026-01-01T00:00:00Z", "01T00:15Z 01T00:30Z"},
		{"every 1d", "UTC", "2026-01-01T10:00:00Z", "02T00:00Z"},
		// Berlin, 29 March 2026: 02:00 becomes 03:00.
		{"30 2 * * *", "Europe/Berlin", "2026-03-28T02:30:00+01:00", "29T01:00Z 30T00:30Z"},
		{"0,30 2 * * *", "Europe/Berlin", "2026-03-28T02:30:00+01:00", "29T01:00Z 30T00:00Z"}, // the gap's end, once
		{"30 * * * *", "Europe/Berlin", "2026-03-29T00:30:00+01:00", "29T00:30Z 29T01:30Z"},
		// Berlin, 25 October 2026: 03:00 becomes 02:00.
		{"30 2 * * *", "Europe/Berlin", "2026-10-24T03:00:00+02:00", "25T00:30Z 26T01:30Z"},
		{"*/30 * * * *", "Europe/Berlin", "2026-10-25T01:30:00+02:00", "25T00:00Z 25T00:30Z 25T01:00Z 25T01:30Z 25T02:00Z"},
		{"0 3 * * *", "Europe/Berlin", "2026-10-24T03:00:00+02:00", "25T02:00Z 26T02:00Z"},
		// New York, 8 March and 1 November 2026.
		{"15 2 * * *", "America/New_York", "2026-03-07T12:00:00-05:00", "08T07:00Z 09T06:15Z"},
		{"15 1 * * *", "America/New_York", "2026-10-31T12:00:00-04:00", "01T05:15Z 02T06:15Z"},
		// Lord Howe moves by half an hour, on 5 April 2026 back from 02:00 to 01:30, on 4 October forth.
		{"45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00+11:00", "04T14:45Z 05T15:15Z"},
		{"15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00+10:30", "03T15:30Z 04T15:15Z"},
		// In Beirut and Santiago midnight itself is left out.
		{"0 0 * * *", "Africa/Cairo", "2026-04-23T12:00:00+02:00", "23T22:00Z 24T21:00Z"},
		{"0 0 * * *", "America/Santiago", "2026-09-05T12:00:00-04:00", "06T04:00Z 07T03:00Z"},
		// Samoa had no 30 December 2011.
		{"0 12 * * *", "Pacific/Apia", "2011-12-29T12:00:00-10:00", "30T10:00Z 30T22:00Z"},
		{"0 5 * * *", "Asia/Kathmandu", "2026-01-01T00:00:00Z", "01T23:15Z"},
	} {
		s, err := ParseSchedule(c.schedule, location(t, c.zone))
		if err != nil {
			t.Errorf("%s: %v", c.schedule, err)
			continue
		}
		after, err := time.Parse(time.RFC3339, c.after)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, at := range s.NextTimes(after, len(strings.Fields(c.want))) {
			got = append(got, at.UTC().Format("02T15:04Z"))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s in %s after %s: %s, want %s", c.schedule, c.zone, c.after, got, c.want)
		}
	}
}

func TestScheduleRefuses(t *testing.T) {
	t.Parallel()
	for text, wants := range map[string]string{
		"* * * *": "five fields", "* * * * * *": "five fields", "60 * * * *": "minute", "* 24 * * *": "hour", "* * 0 * *": "day of the month",
		"* * * 13 *": "month", "* * * * 8": "weekday", "5-1 * * * *": "backwards", "*/0 * * * *": "step", "0 0 30 2 *": "never",
		"every": "five fields", "every 1s": "whole seconds", "every 1ms": "whole seconds", "every 400d": "366d", "every x": "no interval", "@reboot": "five fields", "+5 * * * *": "minute",
		", * * * *": "minute", "1- * * * *": "minute",
	} {
		if _, err := ParseSchedule(text, nil); err == nil || !strings.Contains(err.Error(), wants) {
			t.Errorf("%q: %v, want %q", text, err, wants)
		}
	}
	for _, text := range []string{"", "manual", " Manual "} {
		if s, err := ParseSchedule(text, nil); err != nil || !s.IsZero() || !s.Next(time.Now()).IsZero() {
			t.Errorf("%q comes due", text)
		}
	}
}

// TestScheduleAgreesWithCron compares with another implementation where clocks
// do not change.
func TestScheduleAgreesWithCron(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	field := func(least, most int) string {
		span := most - least + 1
		switch n := least + rnd.IntN(span); rnd.IntN(6) {
		case 0:
			return fmt.Sprint(n)
		case 1:
			return fmt.Sprintf("%d-%d", n, n+rnd.IntN(most-n+1))
		case 2:
			return fmt.Sprintf("*/%d", 1+rnd.IntN(span))
		case 3:
			return fmt.Sprintf("%d,%d/%d", n, least+rnd.IntN(span), 1+rnd.IntN(span))
		default:
			return "*"
		}
	}
	start := time.Date(2026, 2, 27, 22, 58, 31, 5, time.UTC)
	for range 3000 {
		text := strings.Join([]string{field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6)}, " ")
		if f := strings.Fields(text); f[2][0] == '*' && f[2] != "*" || f[4][0] == '*' && f[4] != "*" {
			continue // here the other does not take */n for a star
		}
		want, err := cron.ParseStandard(text)
		if err != nil {
			t.Fatal(err)
		}
		s, err := ParseSchedule(text, time.UTC)
		a, b := start, start
		for range 5 {
			a, b = s.Next(a), want.Next(b)
			if b.IsZero() || b.Year() > 2030 { // the other looks five years ahead only
				break
			}
			if err != nil || !a.Equal(b) {
				t.Fatalf("%s: %s, %v; the other says %s", text, a, err, b)
			}
		}
	}
}

func FuzzSchedule(f *testing.F) {
	for _, seed := range []string{"*/5 * * * *", "0 0 * * 7", "@daily", "every 15m", "0 0 29 2 *", "1-5/2,7 * 1 jan sun-fri", "every 9999999999h", "\x00", "0 2 * * *"} {
		f.Add(seed, int64(1_774_746_000), uint8(0))
	}
	zones := []*time.Location{time.UTC, location(f, "Europe/Berlin"), location(f, "Australia/Lord_Howe"), location(f, "Pacific/Apia"), location(f, "America/Santiago")}
	f.Fuzz(func(t *testing.T, text string, unix int64, zone uint8) {
		s, err := ParseSchedule(text, zones[int(zone)%len(zones)])
		if err != nil || s.IsZero() {
			return
		}
		at := time.Unix(mod(unix, 4_000_000_000), 0)
		list := s.NextTimes(at, 4)
		if len(list) != 4 || !slices.IsSortedFunc(append([]time.Time{at}, list...), func(a, b time.Time) int {
			if a.Before(b) {
				return -1
			}
			return 1
		}) {
			t.Fatalf("%q after %s: %s", text, at, list)
		}
		for i, due := range list { // what lies in between says the same
			before := at
			if i > 0 {
				before = list[i-1]
			}
			if mid := before.Add(due.Sub(before) / 2); !s.Next(mid).Equal(due) {
				t.Fatalf("%q: after %s comes %s, after %s %s", text, before, due, mid, s.Next(mid))
			}
		}
	})
}
