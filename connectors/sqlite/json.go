package sqlite

// maxDepth is how deep arrays and objects may lie in each other.
const maxDepth = 10000

// validJSON says whether a text is one JSON value, as encoding/json judges it and
// several times as fast.
func validJSON(s []byte) bool {
	i := jsonValue(s, blanks(s, 0), 0)
	return i >= 0 && blanks(s, i) == len(s)
}

func blanks(s []byte, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\r' || s[i] == '\t') {
		i++
	}
	return i
}

// jsonValue gives the place behind the value that begins at i, -1 where there is
// none. So do the others.
func jsonValue(s []byte, i, depth int) int {
	if i >= len(s) {
		return -1
	}
	switch s[i] {
	case '"':
		return jsonText(s, i+1)
	case '{', '[':
		if depth == maxDepth {
			return -1
		}
		return jsonItems(s, i, depth+1)
	case 't':
		return jsonWord(s, i, "true")
	case 'f':
		return jsonWord(s, i, "false")
	case 'n':
		return jsonWord(s, i, "null")
	}
	return jsonNumber(s, i)
}

func jsonWord(s []byte, i int, word string) int {
	if len(s)-i < len(word) || string(s[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

// jsonItems reads an array or an object from its bracket on.
func jsonItems(s []byte, i, depth int) int {
	object, end := s[i] == '{', s[i]+2 // ASCII has each bracket's partner there
	i = blanks(s, i+1)
	if i < len(s) && s[i] == end {
		return i + 1
	}
	for {
		if object {
			if i >= len(s) || s[i] != '"' {
				return -1
			}
			if i = jsonText(s, i+1); i < 0 {
				return -1
			}
			if i = blanks(s, i); i >= len(s) || s[i] != ':' {
				return -1
			}
			i = blanks(s, i+1)
		}
		if i = jsonValue(s, i, depth); i < 0 {
			return -1
		}
		if i = blanks(s, i); i >= len(s) {
			return -1
		}
		switch s[i] {
		case end:
			return i + 1
		case ',':
			i = blanks(s, i+1)
		default:
			return -1
		}
	}
}

// jsonText reads a text from behind its first quotation mark on.
func jsonText(s []byte, i int) int {
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return i + 1
		case c < ' ':
			return -1
		case c == '\\':
			if i++; i >= len(s) {
				return -1
			}
			switch s[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				for range 4 {
					if i++; i >= len(s) || !hexDigit(s[i]) {
						return -1
					}
				}
			default:
				return -1
			}
		}
	}
	return -1
}

func hexDigit(c byte) bool { return c-'0' <= 9 || c|0x20-'a' <= 5 }

func digits(s []byte, i int) int {
	for i < len(s) && s[i]-'0' <= 9 {
		i++
	}
	return i
}

func jsonNumber(s []byte, i int) int {
	if s[i] == '-' {
		i++
	}
	begin := i
	switch {
	case i < len(s) && s[i] == '0':
		i++
	default:
		if i = digits(s, i); i == begin {
			return -1
		}
	}
	if i < len(s) && s[i] == '.' {
		begin = i + 1
		if i = digits(s, begin); i == begin {
			return -1
		}
	}
	if i < len(s) && s[i]|0x20 == 'e' {
		if i++; i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		begin = i
		if i = digits(s, begin); i == begin {
			return -1
		}
	}
	return i
}
