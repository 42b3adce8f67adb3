package notify

import (
	"strings"
	"unicode"
	"unicode/utf16"

	"arus/app/model"
)

// size is how long a text is in the units in which the services count.
func size(text string) int {
	n := 0
	for _, r := range text {
		n += max(1, utf16.RuneLen(r))
	}
	return n
}

const cutMark = " […] "

// shorten cuts the middle out of a text so that it measures at most limit: its
// head says what was attempted, its end is the cause. It cuts between runes.
// measure must not shrink as a text grows.
func shorten(text string, limit int, measure func(string) int) string {
	if measure(text) <= limit {
		return text
	}
	runes := []rune(text)
	cut := func(keep int) string {
		tail := keep / 3
		return string(runes[:keep-tail]) + cutMark + string(runes[len(runes)-tail:])
	}
	low, high := 0, len(runes)
	for low < high {
		if mid := (low + high + 1) / 2; measure(cut(mid)) <= limit {
			low = mid
		} else {
			high = mid - 1
		}
	}
	if low == 0 && measure(cutMark) > limit {
		return ""
	}
	return cut(low)
}

// fit escapes a text so that what comes out measures at most limit.
func fit(text string, limit int, escape func(string) string) string {
	return escape(shorten(text, limit, func(s string) int { return size(escape(s)) }))
}

// clean takes out of a message what no service shows.
func clean(m model.Message) model.Message {
	m.Title, m.Cause = plain(m.Title, false), plain(m.Cause, true)
	fields := make([]model.MessageField, len(m.Fields))
	for i, f := range m.Fields {
		fields[i] = model.MessageField{Name: plain(f.Name, false), Value: plain(f.Value, false)}
	}
	m.Fields = fields
	return m
}

// plain is a text without control characters, on one line unless lines says
// otherwise.
func plain(text string, lines bool) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' && lines, !unicode.IsControl(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return '\uFFFD'
	}, strings.ToValidUTF8(text, "\uFFFD"))
	return strings.TrimSpace(text)
}

// unfence keeps a text from ending a block of code between three backticks.
func unfence(text string) string { return strings.ReplaceAll(text, "`", "ˋ") }
