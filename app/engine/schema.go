package engine

import (
	"encoding/json"
	"fmt"
	"slices"

	"arus/app/model"
	"arus/connectors"
)

// heldColumn is a column as a target holds it, in the form that the state keeps.
type heldColumn struct {
	Name     string   `json:"name"`
	Type     heldType `json:"type"`
	Nullable bool     `json:"nullable,omitempty"`
	Gone     bool     `json:"gone,omitempty"` // the source has it no more: it reads null
}

// heldType is a logical type in the form that the state keeps.
type heldType struct {
	Kind      string    `json:"kind"`
	Precision int       `json:"precision,omitempty"`
	Scale     int       `json:"scale,omitempty"`
	Length    int       `json:"length,omitempty"`
	Fixed     bool      `json:"fixed,omitempty"`
	Values    []string  `json:"values,omitempty"`
	Elem      *heldType `json:"elem,omitempty"`
	Wide      bool      `json:"wide,omitempty"`
	Parsed    bool      `json:"parsed,omitempty"`
}

func holdType(t connectors.Type) heldType {
	h := heldType{
		Kind: t.Kind.String(), Precision: t.Precision, Scale: t.Scale, Length: t.Length, Fixed: t.Fixed, Values: t.Values, Wide: t.Wide, Parsed: t.Parsed,
	}
	if t.Elem != nil {
		elem := holdType(*t.Elem)
		h.Elem = &elem
	}
	return h
}

func (h heldType) logical() connectors.Type {
	t := connectors.Type{
		Kind: connectors.ParseKind(h.Kind), Precision: h.Precision, Scale: h.Scale, Length: h.Length, Fixed: h.Fixed, Values: h.Values, Wide: h.Wide, Parsed: h.Parsed,
	}
	if h.Elem != nil {
		elem := h.Elem.logical()
		t.Elem = &elem
	}
	return t
}

func (h heldColumn) logical() connectors.Column {
	return connectors.Column{Name: h.Name, Type: h.Type.logical(), Nullable: h.Nullable}
}

func holdColumns(columns []connectors.Column) []heldColumn {
	held := make([]heldColumn, len(columns))
	for i, c := range columns {
		held[i] = heldColumn{Name: c.Name, Type: holdType(c.Type), Nullable: c.Nullable}
	}
	return held
}

// HeldColumns reads the columns of a stored schema.
func HeldColumns(s model.TableSchema) ([]connectors.Column, error) {
	held, err := parseHeld(s)
	columns := make([]connectors.Column, len(held))
	for i, h := range held {
		columns[i] = h.logical()
	}
	return columns, err
}

func parseHeld(s model.TableSchema) (held []heldColumn, err error) {
	if len(s.Columns) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(s.Columns, &held); err != nil {
		return nil, fmt.Errorf("read the stored schema of table %q: %w", s.SourceTable, err)
	}
	for _, h := range held {
		if connectors.ParseKind(h.Type.Kind) == connectors.Invalid {
			return nil, fmt.Errorf("read the stored schema of table %q: column %q has the unknown type %q", s.SourceTable, h.Name, h.Type.Kind)
		}
	}
	return held, nil
}

// findHeld is the position of a column by its exact name; -1 without it.
func findHeld(held []heldColumn, name string) int {
	return slices.IndexFunc(held, func(h heldColumn) bool { return h.Name == name })
}

func findColumn(columns []connectors.Column, name string) int {
	return slices.IndexFunc(columns, func(c connectors.Column) bool { return c.Name == name })
}
