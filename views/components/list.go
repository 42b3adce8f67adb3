package components

import (
	"maps"
	"net/url"
	"strconv"
)

// List is the state of a list as its address has it: which page, in which order,
// filtered by what. The address alone says all of it, so it can be kept and sent.
type List struct {
	Path  string
	Query url.Values // everything but page, size, sort and order are filters
	Page  int        // from 1
	Size  int        // rows of a page
	Sort  string     // key of a column; empty: the list's own order
	Desc  bool
	Total int
}

// Sizes are the numbers of rows that a page may have.
func Sizes() []int { return []int{25, 50, 100, 200} }

// NewList reads the state of a list from its address.
func NewList(u *url.URL) List {
	q := u.Query()
	l := List{Path: u.Path, Query: q, Page: 1, Size: Sizes()[0], Sort: q.Get("sort"), Desc: q.Get("order") == "desc"}
	if n, err := strconv.Atoi(q.Get("page")); err == nil && n > 0 && n < 1_000_000 {
		l.Page = n
	}
	for _, size := range Sizes() {
		if q.Get("size") == strconv.Itoa(size) {
			l.Size = size
		}
	}
	return l
}

// Offset is how many rows come before the page.
func (l List) Offset() int { return (l.Page - 1) * l.Size }

// Pages is how many pages there are, at least one.
func (l List) Pages() int { return max(1, (l.Total+l.Size-1)/l.Size) }

// Filter is the value of a filter.
func (l List) Filter(name string) string { return l.Query.Get(name) }

// Filtered says whether any filter is set.
func (l List) Filtered() bool {
	for name, values := range l.Query {
		switch name {
		case "page", "size", "sort", "order":
		default:
			for _, v := range values {
				if v != "" {
					return true
				}
			}
		}
	}
	return false
}

// With is the address of the list with one thing changed, on its first page;
// without the thing when value is empty.
func (l List) With(name, value string) string {
	q := url.Values{}
	for k, v := range l.Query {
		if k != "page" {
			q[k] = v
		}
	}
	q.Del(name)
	if value != "" {
		q.Set(name, value)
	}
	return l.address(q)
}

// AtPage is the address of another page of the list.
func (l List) AtPage(page int) string {
	q := maps.Clone(l.Query)
	if q == nil {
		q = url.Values{}
	}
	q.Del("page")
	if page > 1 {
		q.Set("page", strconv.Itoa(page))
	}
	return l.address(q)
}

// Sorted is the address of the list in the order of a column: ascending, then
// descending.
func (l List) Sorted(key string) string {
	q, _ := url.ParseQuery(l.Query.Encode())
	q.Del("page")
	q.Set("sort", key)
	q.Del("order")
	if l.Sort == key && !l.Desc {
		q.Set("order", "desc")
	}
	return l.address(q)
}

func (l List) address(q url.Values) string {
	if len(q) == 0 {
		return l.Path
	}
	return l.Path + "?" + q.Encode()
}

// Column is a column of a table. One with a Key can be sorted by.
type Column struct {
	Label  string
	Key    string
	Number bool // stands to the right
	Hidden bool // the label is only read out
	Narrow bool // left out on narrow screens: give its cells the class col-wide
}

func (c Column) class() string {
	class := ""
	if c.Number {
		class = "text-end"
	}
	if c.Narrow {
		class += " col-wide"
	}
	return class
}

func ariaSort(l List, c Column) string {
	switch {
	case c.Key == "" || l.Sort != c.Key:
		return "none"
	case l.Desc:
		return "descending"
	}
	return "ascending"
}

func sortIcon(l List, c Column) string {
	switch ariaSort(l, c) {
	case "ascending":
		return "arrow-up"
	case "descending":
		return "arrow-down"
	}
	return "arrows-sort"
}

// Option is a choice of a select.
type Option struct {
	Value string
	Label string
}

// Options are choices that are called as they are.
func Options[T ~string](values ...T) []Option {
	list := make([]Option, len(values))
	for i, v := range values {
		list[i] = Option{Value: string(v), Label: string(v)}
	}
	return list
}

// Filter is one thing that a list is narrowed by: a select where it has options,
// else a text.
type Filter struct {
	Name    string
	Label   string
	Options []Option // without the empty one
}

func rangeWords(l List) string {
	if l.Total == 0 {
		return "0 of 0"
	}
	first := l.Offset() + 1
	last := min(l.Offset()+l.Size, l.Total)
	if first > l.Total {
		return "none of " + Number(l.Total)
	}
	return Number(first) + "–" + Number(last) + " of " + Number(l.Total)
}
