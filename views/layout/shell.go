// Package layout is what surrounds every page: the document, the sidebar, the
// header.
package layout

import "arus/views/components"

// Shell is a page before its content.
type Shell struct {
	Title   string // of the page, without the program's name
	Status  string // stands before the title in the browser's tab: "2 failing"; empty: nothing
	Icon    string // of the tab: ok, bad or busy
	Crumbs  []components.Link
	Nav     []Group
	Theme   string // auto, light or dark
	User    User
	Account bool   // there is a page of one's own account
	Path    string // of this page, to come back to
	Search  string // what was searched for
	Alerts  int    // that nobody has looked at
	Flash   []components.Flash
	Events  uint64   // the last thing that happened before this page was made
	Script  []string // further scripts of this page, files under /static
	Style   []string // further style sheets
}

// Group is a part of the sidebar.
type Group struct {
	Label string
	Items []Item
}

// Item is a line of the sidebar.
type Item struct {
	Label  string
	Href   string
	Icon   string
	Key    string // with g, the keyboard shortcut
	Active bool
	Count  int    // 0 is not shown
	Tone   string // of the count: "" or "bad"
}

// User is who is signed in.
type User struct {
	Name  string
	Email string
	Role  string
}

// initials are what stands in the place of a picture.
func (u User) initials() string {
	letters := []rune{}
	start := true
	for _, c := range u.Name {
		if c == ' ' || c == '.' || c == '-' {
			start = true
			continue
		}
		if start && len(letters) < 2 {
			letters = append(letters, c)
		}
		start = false
	}
	return string(letters)
}

func (s Shell) documentTitle() string {
	title := s.Title + " · Arus"
	if s.Title == "" {
		title = "Arus"
	}
	if s.Status != "" {
		title = "(" + s.Status + ") " + title
	}
	return title
}

// Tab is how the browser's tab looks: its title, and the file of its icon.
func (s Shell) Tab() (title, icon string) { return s.documentTitle(), s.icon() }

// themeAttribute is the theme as the style sheet wants it. What "auto" means
// only the browser knows: theme.js says it before anything is drawn.
func (s Shell) themeAttribute() string {
	if s.Theme == "dark" {
		return "dark"
	}
	return "light"
}

func (s Shell) themeChoice() string {
	switch s.Theme {
	case "dark", "light":
		return s.Theme
	}
	return "auto"
}

func (s Shell) icon() string {
	switch s.Icon {
	case "bad", "busy":
		return "favicon-" + s.Icon + ".svg"
	}
	return "favicon.svg"
}

// htmxConfig switches off what the content security policy forbids, and shows
// the answer to a request also when it is an error.
const htmxConfig = `{"allowEval":false,"includeIndicatorStyles":false,"selfRequestsOnly":true,"historyEnabled":false,` +
	`"responseHandling":[{"code":"204","swap":false},{"code":"422","swap":true},{"code":"[23]..","swap":true},{"code":"[45]..","swap":true,"error":true}]}`
