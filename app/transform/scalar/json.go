package scalar

import (
	"encoding/json"
	"errors"
	"strings"
)

var errJSON = errors.New("the text is not JSON")

// Members calls each for the members of a JSON object in their order, with the
// text of each value. It looks no deeper than it must: what stands within a
// value is skipped, not checked.
func Members(s string, each func(key, value string) error) error {
	i := skipBlanks(s, 0)
	if i >= len(s) || s[i] != '{' {
		return errors.New("the JSON value is not an object")
	}
	if i = skipBlanks(s, i+1); i < len(s) && s[i] == '}' {
		return atEnd(s, i+1)
	}
	for {
		if i >= len(s) || s[i] != '"' {
			return errJSON
		}
		end, err := skipValue(s, i)
		if err != nil {
			return err
		}
		key, err := unquote(s[i:end])
		if err != nil {
			return err
		}
		if i = skipBlanks(s, end); i >= len(s) || s[i] != ':' {
			return errJSON
		}
		i = skipBlanks(s, i+1)
		if end, err = skipValue(s, i); err != nil {
			return err
		}
		if err := each(key, s[i:end]); err != nil {
			return err
		}
		if i = skipBlanks(s, end); i >= len(s) {
			return errJSON
		}
		switch s[i] {
		case ',':
			i = skipBlanks(s, i+1)
		case '}':
			return atEnd(s, i+1)
		default:
			return errJSON
		}
	}
}

// Elements is Members for an array.
func Elements(s string, each func(i int, value string) error) error {
	i := skipBlanks(s, 0)
	if i >= len(s) || s[i] != '[' {
		return errors.New("the JSON value is not an array")
	}
	if i = skipBlanks(s, i+1); i < len(s) && s[i] == ']' {
		return atEnd(s, i+1)
	}
	for k := 0; ; k++ {
		end, err := skipValue(s, i)
		if err != nil {
			return err
		}
		if err := each(k, s[i:end]); err != nil {
			return err
		}
		if i = skipBlanks(s, end); i >= len(s) {
			return errJSON
		}
		switch s[i] {
		case ',':
			i = skipBlanks(s, i+1)
		case ']':
			return atEnd(s, i+1)
		default:
			return errJSON
		}
	}
}

func atEnd(s string, i int) error {
	if skipBlanks(s, i) != len(s) {
		return errJSON
	}
	return nil
}

func skipBlanks(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\t' || s[i] == '\r') {
		i++
	}
	return i
}

// skipValue is where the value that begins at i ends.
func skipValue(s string, i int) (int, error) {
	if i >= len(s) {
		return 0, errJSON
	}
	switch s[i] {
	case '"':
		for i++; i < len(s); i++ {
			switch s[i] {
			case '\\':
				i++
			case '"':
				return i + 1, nil
			}
		}
		return 0, errJSON
	case '{', '[':
		depth := 0
		for i < len(s) {
			switch s[i] {
			case '"':
				end, err := skipValue(s, i)
				if err != nil {
					return 0, err
				}
				i = end
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1, nil
				}
			}
			i++
		}
		return 0, errJSON
	}
	start := i
	for i < len(s) && strings.IndexByte(",}] \n\t\r:", s[i]) < 0 {
		i++
	}
	if i == start {
		return 0, errJSON
	}
	return i, nil
}

func unquote(quoted string) (string, error) {
	if inner := quoted[1 : len(quoted)-1]; strings.IndexByte(inner, '\\') < 0 {
		return inner, nil
	}
	var s string
	if err := json.Unmarshal([]byte(quoted), &s); err != nil {
		return "", errJSON
	}
	return s, nil
}
