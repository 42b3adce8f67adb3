package expression

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"arus/app/transform/scalar"
	"arus/connectors"
)

// runes counts characters.
func runes(s string) int64 { return int64(utf8.RuneCountInString(s)) }

// textFunction types the functions over texts; nil when name is none of them.
func (c *checker) textFunction(n *node, name string, args []*node, arity func(least, most int)) *node {
	out := of(connectors.Text)
	// simple makes a function of one text
	simple := func(f func(string) string) *node {
		arity(1, 1)
		return c.call(n, impl{name: name, fn: func(v []any) (any, error) {
			return c.bounded(f(v[0].(string)))
		}, build: textMapKernel(f)}, out, c.text(n, args[0]))
	}
	test := func(f func(rune) bool) *node {
		arity(1, 1)
		return c.call(n, impl{name: name, fn: func(v []any) (any, error) {
			s := v[0].(string)
			return s != "" && strings.IndexFunc(s, func(r rune) bool { return !f(r) }) < 0, nil
		}}, of(connectors.Bool), c.text(n, args[0]))
	}
	switch name {
	case "lower":
		return simple(strings.ToLower)
	case "upper":
		return simple(strings.ToUpper)
	case "capitalize":
		return simple(func(s string) string {
			_, size := utf8.DecodeRuneInString(s)
			return strings.ToUpper(s[:size]) + strings.ToLower(s[size:])
		})
	case "title":
		return simple(title)
	case "isdigit":
		return test(unicode.IsDigit)
	case "isalpha":
		return test(unicode.IsLetter)
	case "isalnum":
		return test(func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
	case "isspace":
		return test(unicode.IsSpace)
	case "strip", "lstrip", "rstrip":
		return c.strip(n, name, args, arity)
	case "replace":
		return c.replace(n, args, arity)
	case "startswith", "endswith":
		arity(2, 2)
		f := strings.HasPrefix
		if name == "endswith" {
			f = strings.HasSuffix
		}
		if args[1].typ.Kind == connectors.Array { // startswith(('a', 'b'))
			return c.call(n, impl{name: name + ".any", fn: func(v []any) (any, error) {
				for _, e := range v[1].([]any) {
					if s, ok := e.(string); ok && f(v[0].(string), s) {
						return true, nil
					}
				}
				return false, nil
			}}, of(connectors.Bool), c.text(n, args[0]), args[1])
		}
		return c.textTest(n, name, args[0], args[1], f)
	case "contains":
		arity(2, 2)
		return c.textTest(n, name, args[0], args[1], strings.Contains)
	case "find", "count":
		arity(2, 2)
		return c.call(n, impl{name: name, fn: func(v []any) (any, error) {
			s, sub := v[0].(string), v[1].(string)
			if name == "count" {
				return int64(strings.Count(s, sub)), nil
			}
			before, _, found := strings.Cut(s, sub)
			if !found {
				return int64(-1), nil
			}
			return runes(before), nil
		}}, of(connectors.Int64), c.text(n, args[0]), c.text(n, args[1]))
	case "removeprefix", "removesuffix":
		arity(2, 2)
		return c.call(n, impl{name: name, fn: func(v []any) (any, error) {
			if name == "removeprefix" {
				return strings.TrimPrefix(v[0].(string), v[1].(string)), nil
			}
			return strings.TrimSuffix(v[0].(string), v[1].(string)), nil
		}}, out, c.text(n, args[0]), c.text(n, args[1]))
	case "zfill", "ljust", "rjust":
		return c.pad(n, name, args, arity)
	case "split":
		return c.split(n, args, arity)
	case "join":
		arity(2, 2)
		return c.join(n, args)
	}
	return nil
}

// bounded counts a text that was made against the budget.
func (c *checker) bounded(s string) (any, error) {
	if err := c.budget.spend(len(s)); err != nil {
		return nil, err
	}
	return s, nil
}

func title(s string) string {
	start := true
	return strings.Map(func(r rune) rune {
		defer func() { start = !unicode.IsLetter(r) }()
		if start {
			return unicode.ToTitle(r)
		}
		return unicode.ToLower(r)
	}, s)
}

func (c *checker) strip(n *node, name string, args []*node, arity func(int, int)) *node {
	arity(1, 2)
	cut := func(s string, in func(rune) bool) string {
		if name != "rstrip" {
			s = strings.TrimLeftFunc(s, in)
		}
		if name != "lstrip" {
			s = strings.TrimRightFunc(s, in)
		}
		return s
	}
	out := of(connectors.Text)
	if len(args) == 1 || args[1].typ.isNull() {
		f := func(s string) string { return cut(s, unicode.IsSpace) }
		return c.call(n, impl{name: name, fn: func(v []any) (any, error) { return f(v[0].(string)), nil }, build: textMapKernel(f)}, out, c.text(n, args[0]))
	}
	return c.call(n, impl{name: name, fn: func(v []any) (any, error) {
		return cut(v[0].(string), func(r rune) bool { return strings.ContainsRune(v[1].(string), r) }), nil
	}}, out, c.text(n, args[0]), c.text(n, args[1]))
}

func (c *checker) replace(n *node, args []*node, arity func(int, int)) *node {
	arity(3, 3)
	replace := func(s, old, fresh string) (string, error) {
		k := strings.Count(s, old)
		if k == 0 {
			return s, nil
		}
		size := len(s) - k*len(old)
		if len(fresh) > 0 && k > (maxRowText-size)/len(fresh) {
			return "", errBudget
		}
		if err := c.budget.spend(size + k*len(fresh)); err != nil {
			return "", err
		}
		return strings.ReplaceAll(s, old, fresh), nil
	}
	im := impl{name: "replace", fn: func(v []any) (any, error) {
		s, err := replace(v[0].(string), v[1].(string), v[2].(string))
		if err != nil {
			return nil, err
		}
		return s, nil
	}}
	old, ok1 := args[1].value.(string)
	fresh, ok2 := args[2].value.(string)
	if ok1 && ok2 && args[1].op == opConst && args[2].op == opConst && len(fresh) <= len(old) {
		im.build = firstOnly(textMapKernel(func(s string) string { return strings.ReplaceAll(s, old, fresh) }))
	}
	return c.call(n, im, of(connectors.Text), c.text(n, args[0]), c.text(n, args[1]), c.text(n, args[2]))
}

func (c *checker) pad(n *node, name string, args []*node, arity func(int, int)) *node {
	arity(2, 3)
	fill := "0"
	if name != "zfill" {
		fill = " "
		if len(args) == 3 {
			s, ok := args[2].value.(string)
			if args[2].op != opConst || !ok || utf8.RuneCountInString(s) != 1 {
				c.fail(n, "the fill must be one constant character")
			}
			fill = s
		}
	}
	if args[1].typ.class() != connectors.Int64 {
		c.fail(n, "the width must be an integer")
	}
	return c.call(n, impl{name: name, fn: func(v []any) (any, error) {
		s := v[0].(string)
		missing := v[1].(int64) - runes(s)
		if missing <= 0 {
			return s, nil
		}
		if missing > maxRowText/4 {
			return nil, errBudget
		}
		if err := c.budget.spend(len(s) + int(missing)*len(fill)); err != nil {
			return nil, err
		}
		pad := strings.Repeat(fill, int(missing))
		switch {
		case name == "ljust":
			return s + pad, nil
		case name == "zfill" && s != "" && (s[0] == '-' || s[0] == '+'):
			return s[:1] + pad + s[1:], nil
		}
		return pad + s, nil
	}}, of(connectors.Text), c.text(n, args[0]), c.convert(args[1], of(connectors.Int64), nil))
}

func (c *checker) split(n *node, args []*node, arity func(int, int)) *node {
	arity(1, 3)
	limit := -1
	if len(args) == 3 {
		v, ok := args[2].value.(int64)
		if args[2].op != opConst || !ok {
			c.fail(n, "the greatest number of splits must be a constant")
		}
		if v >= 0 && v < 1<<20 {
			limit = int(v) + 1
		}
	}
	elem := connectors.Type{Kind: connectors.Text}
	out := typ{Type: connectors.Type{Kind: connectors.Array, Elem: &elem}}
	list := func(parts []string) (any, error) {
		if err := c.budget.spend(32 * len(parts)); err != nil {
			return nil, err
		}
		values := make([]any, len(parts))
		for i, p := range parts {
			values[i] = p
		}
		return values, nil
	}
	if len(args) == 1 || args[1].typ.isNull() {
		if limit >= 0 {
			c.fail(n, "split by blanks has no limit: name the separator")
		}
		return c.call(n, impl{name: "split", fn: func(v []any) (any, error) { return list(strings.Fields(v[0].(string))) }}, out, c.text(n, args[0]))
	}
	return c.call(n, impl{name: "split", fn: func(v []any) (any, error) {
		s, sep := v[0].(string), v[1].(string)
		if sep == "" {
			return nil, errors.New("the separator is empty")
		}
		if strings.Count(s, sep) > maxRowText/32 {
			return nil, errBudget
		}
		return list(strings.SplitN(s, sep, limit))
	}}, out, c.text(n, args[0]), c.text(n, args[1]))
}

// join types ', '.join(list).
func (c *checker) join(n *node, args []*node) *node {
	sep, list := args[0], args[1]
	if sep.typ.Kind == connectors.Array {
		sep, list = list, sep
	}
	if list.typ.Kind != connectors.Array || scalar.ElemType(list.typ.Elem).Kind != connectors.Text {
		c.fail(n, "join takes a list of texts")
	}
	return c.call(n, impl{name: "join", fn: func(v []any) (any, error) {
		sep, items := v[0].(string), v[1].([]any)
		parts := make([]string, 0, len(items))
		size := 0
		for _, e := range items {
			if s, ok := e.(string); ok {
				parts = append(parts, s)
				size += len(s) + len(sep)
			}
		}
		if err := c.budget.spend(size); err != nil {
			return nil, err
		}
		return strings.Join(parts, sep), nil
	}}, of(connectors.Text), c.text(n, sep), list)
}

// index types value[i] over texts, lists and JSON.
func (c *checker) index(n, a, i *node) *node {
	switch {
	case a.typ.class() == connectors.Text && i.typ.class() == connectors.Int64:
		return c.call(n, impl{name: "index.text", fn: func(v []any) (any, error) {
			r := []rune(v[0].(string))
			at, ok := position(v[1].(int64), len(r))
			if !ok {
				return nil, errors.New("the index is out of range")
			}
			return string(r[at]), nil
		}}, of(connectors.Text), c.text(n, a), c.convert(i, of(connectors.Int64), nil))
	case a.typ.Kind == connectors.Array && i.typ.class() == connectors.Int64:
		return c.call(n, impl{name: "index.list", fn: func(v []any) (any, error) {
			list := v[0].([]any)
			at, ok := position(v[1].(int64), len(list))
			if !ok {
				return nil, errors.New("the index is out of range")
			}
			if j, ok := list[at].(scalar.JSONText); ok {
				return string(j), nil
			}
			return list[at], nil
		}}, typ{Type: scalar.ElemType(a.typ.Elem)}, a, c.convert(i, of(connectors.Int64), nil))
	case a.typ.Kind == connectors.JSON && (i.typ.class() == connectors.Text || i.typ.class() == connectors.Int64):
		return c.call(n, impl{name: "index.json", fn: func(v []any) (any, error) { return jsonIndex(v[0].(string), v[1]) }}, of(connectors.JSON), a, c.convert(i, i.typ.general(), nil))
	}
	c.fail(n, "%s cannot be indexed by %s", a.typ.name(), i.typ.name())
	return nil
}

// position is an index counted from the end where it is negative.
func position(i int64, length int) (int, bool) {
	if i < 0 {
		i += int64(length)
	}
	return int(i), i >= 0 && i < int64(length)
}

// jsonIndex is a member of an object or an element of an array; nil where it is
// absent or null.
func jsonIndex(s string, key any) (any, error) {
	var found json.RawMessage
	switch k := key.(type) {
	case string:
		var object map[string]json.RawMessage
		if err := json.Unmarshal([]byte(s), &object); err != nil {
			return nil, errors.New("the JSON value is not an object")
		}
		found = object[k]
	case int64:
		var list []json.RawMessage
		if err := json.Unmarshal([]byte(s), &list); err != nil {
			return nil, errors.New("the JSON value is not an array")
		}
		if at, ok := position(k, len(list)); ok {
			found = list[at]
		}
	}
	if found == nil || string(found) == "null" {
		return nil, nil
	}
	return string(found), nil
}

func jsonLength(s string) (any, error) {
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(s), &object) == nil {
		return int64(len(object)), nil
	}
	var list []json.RawMessage
	if json.Unmarshal([]byte(s), &list) == nil {
		return int64(len(list)), nil
	}
	return nil, errors.New("the JSON value is neither an object nor an array")
}

// slice types value[from:to:step] over texts and lists, as Python does.
func (c *checker) slice(n *node) *node {
	a := c.check(n.args[0])
	if a.typ.class() != connectors.Text && a.typ.Kind != connectors.Array && a.typ.Kind != connectors.UUID {
		c.fail(n, "%s cannot be sliced", a.typ.name())
	}
	args := []*node{a}
	if a.typ.Kind != connectors.Array {
		args[0] = c.text(n, a)
	}
	for _, part := range n.args[1:] {
		if part == nil {
			args = append(args, c.constant(n, nil, of(connectors.Int64)))
			continue
		}
		bound := c.check(part)
		if bound.typ.class() != connectors.Int64 && !bound.typ.isNull() {
			c.fail(part, "an integer is expected here, not %s", bound.typ.name())
		}
		args = append(args, c.convert(bound, of(connectors.Int64), nil))
	}
	return c.call(n, impl{name: "slice", nulls: true, fn: sliceValue, build: sliceKernel(args)}, args[0].typ.general(), args...)
}

func sliceValue(v []any) (any, error) {
	switch a := v[0].(type) {
	case string:
		if v[3] == nil && ascii(a) {
			from, to, _ := bounds(v, len(a))
			if from >= to {
				return "", nil
			}
			return a[from:to], nil
		}
		r := []rune(a)
		picked, err := sliceOf(r, v)
		return string(picked), err
	case []any:
		return sliceOf(a, v)
	}
	return nil, nil
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// bounds resolves the bounds of a slice for a step of 1.
func bounds(v []any, length int) (from, to int, ok bool) {
	resolve := func(x any, absent int) int {
		i, ok := x.(int64)
		if !ok {
			return absent
		}
		if i < 0 {
			i = max(i+int64(length), 0)
		}
		return int(min(i, int64(length)))
	}
	return resolve(v[1], 0), resolve(v[2], length), true
}

func sliceOf[T any](items []T, v []any) ([]T, error) {
	step, ok := v[3].(int64)
	if !ok {
		step = 1
	}
	length := len(items)
	if step == 0 {
		return nil, errors.New("the step of a slice is zero")
	}
	if step > 0 {
		from, to, _ := bounds(v, length)
		var out []T
		for i := int64(from); i < int64(to); i += step {
			out = append(out, items[i])
			if step > int64(length) {
				break
			}
		}
		return out, nil
	}
	resolve := func(x any, absent int64) int64 {
		i, ok := x.(int64)
		if !ok {
			return absent
		}
		if i < 0 {
			i = max(i+int64(length), -1)
		}
		return min(i, int64(length)-1)
	}
	var out []T
	for i := resolve(v[1], int64(length)-1); i > resolve(v[2], -1); i += step {
		out = append(out, items[i])
		if step < -int64(length) {
			break
		}
	}
	return out, nil
}

// member types value.name without a call: parts of times, and of JSON.
func (c *checker) member(n, a *node) *node {
	if a.typ.Kind == connectors.JSON {
		return c.index(n, a, c.constant(n, n.text, of(connectors.Text)))
	}
	switch n.text {
	case "year", "month", "day", "hour", "minute", "second", "microsecond", "days", "seconds":
		return c.function(n, n.text, []*node{a})
	}
	c.fail(n, "%s has nothing named %s%s", a.typ.name(), n.text, methodHint(n.text))
	return nil
}

func methodHint(name string) string {
	if _, ok := aliases[name]; ok {
		return ": write " + strconv.Quote(name+"()")
	}
	if slices.Contains(functionNames, name) {
		return ": it is a function, write " + name + "()"
	}
	return ""
}
