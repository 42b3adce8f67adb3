package expression

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Fault is what is wrong with an expression and where.
type Fault struct {
	Column  int // of the original text, in characters from 1
	Message string
}

func (f *Fault) Error() string { return fmt.Sprintf("at column %d: %s", f.Column, f.Message) }

type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenNumber
	tokenText
	tokenBytes
	tokenName
	tokenQuotedName // `any name`
	tokenSign       // an operator or a bracket
)

type token struct {
	kind tokenKind
	text string // of texts and quoted names: what stands within the quotes
	pos  int    // byte offset
	end  int
}

// signs are the operators and brackets, the longer before the shorter.
var signs = []string{
	"**=", "//=", "<<=", ">>=",
	"**", "//", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "??", ":=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "->",
	"+", "-", "*", "/", "%", "<", ">", "=", "!", "&", "|", "^", "~", "(", ")", "[", "]", "{", "}", ",", ".", ":", "?", ";", "@",
}

// lex divides the text into tokens; the last is the end.
func lex(src string) (tokens []token, err error) {
	at := 0
	fail := func(pos int, format string, args ...any) error {
		return &Fault{Column: utf8.RuneCountInString(src[:pos]) + 1, Message: fmt.Sprintf(format, args...)}
	}
	for {
		for at < len(src) && strings.IndexByte(" \t\r\n", src[at]) >= 0 {
			at++
		}
		if at >= len(src) {
			return append(tokens, token{kind: tokenEnd, pos: len(src), end: len(src)}), nil
		}
		start := at
		r, size := utf8.DecodeRuneInString(src[at:])
		switch {
		case r == utf8.RuneError && size <= 1:
			return nil, fail(at, "the text is not UTF-8")
		case r >= '0' && r <= '9' || r == '.' && at+1 < len(src) && src[at+1] >= '0' && src[at+1] <= '9':
			at = numberEnd(src, at)
			tokens = append(tokens, token{tokenNumber, strings.ReplaceAll(src[start:at], "_", ""), start, at})
			if next, _ := utf8.DecodeRuneInString(src[at:]); at < len(src) && (unicode.IsLetter(next) || next == '_') {
				return nil, fail(at, "a number ends in %q", string(next))
			}
		case r == '\'' || r == '"':
			text, end, err := textLiteral(src, at, false)
			if err != nil {
				return nil, fail(start, "%v", err)
			}
			tokens = append(tokens, token{tokenText, text, start, end})
			at = end
		case r == '`':
			n := strings.IndexByte(src[at+1:], '`')
			if n <= 0 {
				return nil, fail(at, "a column name in backticks does not end")
			}
			at += n + 2
			tokens = append(tokens, token{tokenQuotedName, src[start+1 : at-1], start, at})
		case unicode.IsLetter(r) || r == '_':
			for at < len(src) {
				r, size := utf8.DecodeRuneInString(src[at:])
				if !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' {
					break
				}
				at += size
			}
			word := src[start:at]
			if at < len(src) && (src[at] == '\'' || src[at] == '"') {
				prefix := strings.ToLower(word)
				switch prefix {
				case "r", "b", "u", "br", "rb":
					text, end, err := textLiteral(src, at, strings.Contains(prefix, "r"))
					if err != nil {
						return nil, fail(start, "%v", err)
					}
					kind := tokenText
					if strings.Contains(prefix, "b") {
						kind = tokenBytes
					}
					tokens = append(tokens, token{kind, text, start, end})
					at = end
					continue
				case "f", "fr", "rf":
					return nil, fail(start, "f-strings are not supported: join texts with + and str()")
				}
			}
			tokens = append(tokens, token{tokenName, word, start, at})
		default:
			sign := ""
			for _, s := range signs {
				if strings.HasPrefix(src[at:], s) {
					sign = s
					break
				}
			}
			if sign == "" {
				return nil, fail(at, "%q means nothing here", string(r))
			}
			at += len(sign)
			tokens = append(tokens, token{tokenSign, sign, start, at})
		}
	}
}

// numberEnd is where the number that begins at i ends.
func numberEnd(src string, i int) int {
	digits := func() {
		for i < len(src) && (src[i] >= '0' && src[i] <= '9' || src[i] == '_') {
			i++
		}
	}
	if src[i] == '0' && i+1 < len(src) && strings.IndexByte("xXoObB", src[i+1]) >= 0 {
		i += 2
		for i < len(src) && (src[i] >= '0' && src[i] <= '9' || src[i] == '_' || src[i]|0x20 >= 'a' && src[i]|0x20 <= 'f') {
			i++
		}
		return i
	}
	digits()
	if i < len(src) && src[i] == '.' {
		i++
		digits()
	}
	if i < len(src) && src[i]|0x20 == 'e' {
		j := i + 1
		if j < len(src) && (src[j] == '+' || src[j] == '-') {
			j++
		}
		if j < len(src) && src[j] >= '0' && src[j] <= '9' {
			i = j
			digits()
		}
	}
	return i
}

// textLiteral reads a quoted text as Python does; raw takes backslashes as they are.
func textLiteral(src string, at int, raw bool) (text string, end int, err error) {
	quote := src[at : at+1]
	if strings.HasPrefix(src[at:], strings.Repeat(quote, 3)) {
		quote = strings.Repeat(quote, 3)
	}
	var b strings.Builder
	for i := at + len(quote); i < len(src); {
		switch {
		case strings.HasPrefix(src[i:], quote):
			return b.String(), i + len(quote), nil
		case src[i] == '\n' && len(quote) == 1:
			return "", 0, fmt.Errorf("a text does not end on its line")
		case src[i] == '\\' && i+1 < len(src):
			if raw {
				b.WriteString(src[i : i+2])
				i += 2
				continue
			}
			n, err := escape(&b, src[i:])
			if err != nil {
				return "", 0, err
			}
			i += n
		default:
			b.WriteByte(src[i])
			i++
		}
	}
	return "", 0, fmt.Errorf("a text does not end: a quotation mark is missing")
}

// escape writes what the escape at the start of s means and says how long it is.
func escape(b *strings.Builder, s string) (int, error) {
	simple := map[byte]string{'n': "\n", 't': "\t", 'r': "\r", '\\': "\\", '\'': "'", '"': "\"", '0': "\x00", 'a': "\a", 'b': "\b", 'f': "\f", 'v': "\v", '\n': ""}
	if text, ok := simple[s[1]]; ok {
		b.WriteString(text)
		return 2, nil
	}
	if digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[1]]; digits > 0 {
		if len(s) < 2+digits {
			return 0, fmt.Errorf("the escape %s is too short", s)
		}
		code, err := strconv.ParseUint(s[2:2+digits], 16, 32)
		if err != nil || !utf8.ValidRune(rune(code)) {
			return 0, fmt.Errorf("%s is no character", s[:2+digits])
		}
		b.WriteRune(rune(code))
		return 2 + digits, nil
	}
	b.WriteByte('\\') // Python keeps a backslash that escapes nothing
	return 1, nil
}
