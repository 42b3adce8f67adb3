package components

import (
	"net/url"
	"slices"
)

// Form is what somebody has filled in, and what is wrong with it. The zero Form
// is empty and has no fault.
type Form struct {
	Values  url.Values        // what stands in the fields
	Faults  map[string]string // by the name of the field
	Message string            // what is wrong with the whole
}

// Value is what stands in a field.
func (f Form) Value(name string) string { return f.Values.Get(name) }

// Checked says whether a box is ticked.
func (f Form) Checked(name string) bool { return f.Values.Get(name) != "" }

// Failed says whether anything is wrong.
func (f Form) Failed() bool { return f.Message != "" || len(f.Faults) > 0 }

// rest are the faults of fields that none of the names is.
func (f Form) rest(names []string) []string {
	var list []string
	for name, fault := range f.Faults {
		if !slices.Contains(names, name) {
			list = append(list, name+" "+fault)
		}
	}
	slices.Sort(list)
	return list
}

// Field is one field of a form.
type Field struct {
	Form  Form
	Name  string
	Label string
	Type  string // of an input: text, email, number, date ...; empty: text
	Help  string

	Required     bool
	Needed       bool // required too, but the browser lets it be sent empty
	Placeholder  string
	Autocomplete string // what browsers may fill in; empty: off
	Options      []Option
	Rows         int  // of a text area
	Secret       bool // what was typed is not sent back
	Mono         bool // code: a fixed width
	Focus        bool // the page begins here
}

func (f Field) id() string { return "field-" + f.Name }

func (f Field) fault() string { return f.Form.Faults[f.Name] }

func (f Field) value() string {
	if f.Secret {
		return ""
	}
	return f.Form.Value(f.Name)
}

func (f Field) kind() string {
	switch {
	case f.Type != "":
		return f.Type
	case f.Secret:
		return "password"
	}
	return "text"
}

func (f Field) autocomplete() string {
	if f.Autocomplete == "" {
		return "off"
	}
	return f.Autocomplete
}

// describedBy are the ids of what explains the field.
func (f Field) describedBy() string {
	ids := ""
	if f.fault() != "" {
		ids = f.id() + "-fault"
	}
	if f.Help != "" {
		if ids != "" {
			ids += " "
		}
		ids += f.id() + "-help"
	}
	return ids
}

func (f Field) class(base string) string {
	if f.fault() != "" {
		base += " is-invalid"
	}
	if f.Mono {
		base += " font-monospace"
	}
	return base
}

func (f Field) rows() int {
	if f.Rows == 0 {
		return 4
	}
	return f.Rows
}

func contains(list []string, want string) bool { return slices.Contains(list, want) }
