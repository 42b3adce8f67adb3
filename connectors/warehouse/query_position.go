package warehouse

import (
	"context"
	"regexp"
	"strings"

	"arus/connectors/sqlite/lite"
)

var (
	nearToken    = regexp.MustCompile(`near "((?s).*?)": syntax error`)
	badToken     = regexp.MustCompile(`unrecognized token: "((?s).*?)"`)
	missingThing = regexp.MustCompile(`(?:no such (?:column|function): |ambiguous column name: |wrong number of arguments to function )([^\s(]+)`)
)

// ErrorPosition finds where in a statement the error of a query is, as an offset
// in bytes; false where the error does not say.
func ErrorPosition(ctx context.Context, sql string, err error) (int, bool) {
	if err == nil {
		return 0, false
	}
	text := err.Error()
	if m := badToken.FindStringSubmatch(text); m != nil {
		at := strings.Index(sql, m[1])
		return at, at >= 0
	}
	tokens, ok := lex(sql)
	if !ok {
		return 0, false
	}
	if m := missingThing.FindStringSubmatch(text); m != nil {
		name := m[1][strings.LastIndexByte(m[1], '.')+1:]
		for _, t := range tokens {
			if (t.kind == tokenWord || t.kind == tokenQuoted) && strings.EqualFold(t.text, name) {
				return t.start, true
			}
		}
		return 0, false
	}
	m := nearToken.FindStringSubmatch(text)
	if m == nil {
		if strings.Contains(text, "incomplete input") {
			return len(sql), true
		}
		return 0, false
	}
	return nearPosition(ctx, sql, m[1], tokens)
}

// nearPosition finds the token of a syntax error. Of several that look alike it is
// the first one up to which the statement has that error.
func nearPosition(ctx context.Context, sql, near string, tokens []token) (int, bool) {
	var alike []token
	for _, t := range tokens {
		if sql[t.start:t.end] == near {
			alike = append(alike, t)
		}
	}
	if len(alike) == 0 {
		return 0, false
	}
	if len(alike) == 1 {
		return alike[0].start, true
	}
	c, err := lite.MemoryStrict(sqliteDriver())
	if err != nil {
		return 0, false
	}
	defer func() { _ = c.Close() }()
	for _, t := range alike {
		// A space ends the token, as what follows it did.
		err := c.Exec(ctx, "EXPLAIN "+sql[:t.end]+" ")
		if err == nil {
			continue
		}
		if m := nearToken.FindStringSubmatch(err.Error()); m != nil && m[1] == near {
			return t.start, true
		}
	}
	return alike[len(alike)-1].start, true
}
