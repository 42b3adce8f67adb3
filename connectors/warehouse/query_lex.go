package warehouse

import (
	"slices"
	"strings"
)

// tokenKind is what a token of a statement is.
type tokenKind uint8

const (
	tokenWord   tokenKind = iota // a keyword or a name
	tokenQuoted                  // a quoted name
	tokenNumber                  // without a sign
	tokenText
	tokenBlob
	tokenOther // an operator, a bracket
)

// token is one token of a statement.
type token struct {
	kind       tokenKind
	start, end int    // in the statement
	text       string // a word as it stands, a name or text without its quotes, an operator
}

// is says whether a token is a keyword or an operator.
func (t token) is(word string) bool {
	return (t.kind == tokenWord || t.kind == tokenOther) && strings.EqualFold(t.text, word)
}

func isLetter(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c >= 0x80
}

func isDigit(c byte) bool { return c-'0' <= 9 }

// lex cuts a statement into tokens; false where SQLite must say what is wrong.
func lex(sql string) ([]token, bool) {
	var out []token
	for at := 0; ; {
		at = len(sql) - len(skipBlank(sql[at:]))
		if at == len(sql) {
			return out, true
		}
		t := token{start: at}
		switch c := sql[at]; {
		case isLetter(c):
			for at < len(sql) && (isLetter(sql[at]) || isDigit(sql[at]) || sql[at] == '$') {
				at++
			}
			if t.text = sql[t.start:at]; strings.EqualFold(t.text, "x") && at < len(sql) && sql[at] == '\'' {
				i := strings.IndexByte(sql[at+1:], '\'')
				if i < 0 {
					return nil, false
				}
				t.kind, at = tokenBlob, at+i+2
				t.text = sql[t.start:at]
			}
		case isDigit(c) || c == '.' && at+1 < len(sql) && isDigit(sql[at+1]):
			t.kind = tokenNumber
			for at < len(sql) && (isDigit(sql[at]) || isLetter(sql[at]) || sql[at] == '.' || (sql[at] == '+' || sql[at] == '-') && sql[at-1]|0x20 == 'e') {
				at++
			}
			t.text = sql[t.start:at]
		case c == '\'' || c == '"' || c == '`' || c == '[':
			if c == '[' {
				c = ']'
			}
			var text strings.Builder
			for at++; ; at++ {
				i := strings.IndexByte(sql[at:], c)
				if i < 0 {
					return nil, false
				}
				text.WriteString(sql[at : at+i])
				if at += i + 1; c == ']' || at == len(sql) || sql[at] != c {
					break
				}
				text.WriteByte(c)
			}
			if t.kind = tokenQuoted; c == '\'' {
				t.kind = tokenText
			}
			t.text = text.String()
		default:
			t.kind = tokenOther
			n := 1
			for _, long := range []string{"->>", "->", "||", "<<", ">>", "<=", ">=", "<>", "!=", "=="} {
				if strings.HasPrefix(sql[at:], long) {
					n = len(long)
					break
				}
			}
			at += n
			t.text = sql[t.start:at]
		}
		t.end = at
		out = append(out, t)
	}
}

// shape is a statement of the common form: groups of one table.
type shape struct {
	sql    string
	table  token
	alias  string // by which the table's columns may be named
	named  bool   // the statement says it
	where  []token
	group  [][]token
	items  []item
	having []token
	order  []token
	limit  []token
	unique bool // SELECT DISTINCT
}

// item is an expression of the SELECT list.
type item struct {
	tokens []token
	alias  string
}

// clauses of a SELECT in their order.
func clauseWords() []string {
	return []string{"select", "from", "where", "group", "having", "order", "limit"}
}

// parseShape recognises the common form; nil for everything else.
func parseShape(sql string) *shape {
	tokens, ok := lex(sql)
	for ok && len(tokens) > 0 && tokens[len(tokens)-1].is(";") {
		tokens = tokens[:len(tokens)-1]
	}
	if !ok || len(tokens) == 0 || !tokens[0].is("select") {
		return nil
	}
	words := clauseWords()
	clauses := map[string][]token{}
	depth, cases, clause, from := 0, 0, 0, 1
	for i := 1; i <= len(tokens); i++ {
		next := -1
		if i < len(tokens) {
			t := tokens[i]
			switch {
			case t.is("("):
				depth++
			case t.is(")"):
				depth--
			case t.is("case"):
				cases++
			case t.is("end"):
				cases--
			}
			if slices.ContainsFunc([]string{"select", "union", "intersect", "except", "join", "over", "filter", "window", "exists", "indexed", "all", "values", "?", ":", "@", "$"}, t.is) {
				return nil
			}
			for w := clause + 1; w < len(words) && depth == 0; w++ {
				if t.is(words[w]) {
					next = w
				}
			}
			if next < 0 {
				continue
			}
		}
		clauses[words[clause]] = tokens[from:i]
		if next >= 0 {
			clause, from = next, i+1
			if w := words[next]; w == "group" || w == "order" {
				if from == len(tokens) || !tokens[from].is("by") {
					return nil
				}
				from++
			}
		}
	}
	if depth != 0 || cases != 0 {
		return nil
	}
	s := &shape{sql: sql, where: clauses["where"], having: clauses["having"], order: clauses["order"], limit: clauses["limit"]}
	if !s.from(clauses["from"]) {
		return nil
	}
	list := clauses["select"]
	if len(list) > 0 && list[0].is("distinct") {
		s.unique, list = true, list[1:]
	}
	for _, part := range split(list) {
		if len(part) == 0 {
			return nil
		}
		s.items = append(s.items, newItem(part))
	}
	if g, ok := clauses["group"]; ok {
		s.group = split(g)
	}
	for _, c := range []string{"where", "group", "having", "order", "limit"} {
		if have, ok := clauses[c]; ok && len(have) == 0 {
			return nil
		}
	}
	return s
}

func (s *shape) from(tokens []token) bool {
	if len(tokens) >= 2 && tokens[0].is("main") && tokens[1].is(".") {
		tokens = tokens[2:]
	}
	if len(tokens) == 3 && tokens[1].is("as") {
		tokens = []token{tokens[0], tokens[2]}
	}
	if len(tokens) == 0 || len(tokens) > 2 {
		return false
	}
	for _, t := range tokens {
		if t.kind != tokenWord && t.kind != tokenQuoted {
			return false
		}
	}
	s.table, s.alias, s.named = tokens[0], tokens[len(tokens)-1].text, len(tokens) == 2
	return true
}

// split cuts a list at its commas.
func split(tokens []token) [][]token {
	var out [][]token
	depth, from := 0, 0
	for i, t := range tokens {
		switch {
		case t.is("("):
			depth++
		case t.is(")"):
			depth--
		case t.is(",") && depth == 0:
			out = append(out, tokens[from:i])
			from = i + 1
		}
	}
	return append(out, tokens[from:])
}

func newItem(tokens []token) item {
	n := len(tokens)
	last := tokens[n-1]
	if n >= 3 && tokens[n-2].is("as") && last.kind != tokenOther && last.kind != tokenNumber {
		return item{tokens[:n-2], last.text}
	}
	if n >= 2 && (last.kind == tokenWord && !keyword(last.text) || last.kind == tokenQuoted) {
		if before := tokens[n-2]; before.is(")") || before.is("end") || before.kind != tokenOther && (before.kind != tokenWord || !keyword(before.text)) {
			return item{tokens[:n-1], last.text}
		}
	}
	return item{tokens, ""}
}

// keyword lists the words that stand within expressions and are no names.
func keyword(word string) bool {
	switch strings.ToLower(word) {
	case "and", "or", "not", "is", "null", "isnull", "notnull", "in", "like", "glob", "regexp", "match", "escape", "between", "case", "when", "then", "else", "end",
		"collate", "cast", "as", "distinct", "asc", "desc", "nulls", "first", "last", "from", "true", "false", "current_date", "current_time", "current_timestamp", "raise", "offset", "by":
		return true
	}
	return false
}

// text is the statement's text of some tokens.
func (s *shape) text(tokens []token) string {
	if len(tokens) == 0 {
		return ""
	}
	return s.sql[tokens[0].start:tokens[len(tokens)-1].end]
}

// same says whether two expressions are the same but for case and space.
func same(a, b []token) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := a[i], b[i]
		name := func(t token) bool { return t.kind == tokenWord || t.kind == tokenQuoted }
		if name(x) && name(y) && strings.EqualFold(x.text, y.text) || x.kind == y.kind && x.text == y.text {
			continue
		}
		return false
	}
	return true
}
