package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"arus/app/control"
	"arus/app/model"
)

// call is one request being answered. Faults of its query gather, and are one
// answer in the end.
type call struct {
	*API
	w       http.ResponseWriter
	r       *http.Request
	ctx     context.Context
	faults  []model.FieldError
	ignored []string
	leave   func() // when it is over; nil: nothing to do
}

func (c *call) fault(field, message string) {
	c.faults = append(c.faults, model.FieldError{Field: field, Message: message})
}

// err is all the faults found so far.
func (c *call) err() error {
	if len(c.faults) == 0 {
		return nil
	}
	return &control.InvalidError{What: "the request", Faults: c.faults}
}

// id is an id of the path. What is no id is not found.
func (c *call) id(name string) (string, error) {
	text := c.r.PathValue(name)
	if err := uuid.Validate(text); err != nil || len(text) != 36 {
		return "", control.ErrNotFound
	}
	return strings.ToLower(text), nil
}

// param is a parameter of the query.
func (c *call) param(name string) string { return c.r.URL.Query().Get(name) }

// number is a whole number of the query within bounds.
func (c *call) number(name string, def, least, most int) int {
	text := c.param(name)
	if text == "" {
		return def
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		c.fault(name, "must be a whole number from "+strconv.Itoa(least)+" to "+strconv.Itoa(most))
		return def
	}
	return n
}

// page is limit and offset.
func (c *call) page(def, most int) control.Page {
	return control.Page{Limit: c.number("limit", def, 1, most), Offset: c.number("offset", 0, 0, 1<<31-1)}
}

// flag is a truth value of the query.
func (c *call) flag(name string) bool {
	text := c.param(name)
	if text == "" {
		return false
	}
	yes, err := strconv.ParseBool(text)
	if err != nil {
		c.fault(name, "must be true or false")
	}
	return yes
}

// when is a time of the query: a date, or a time with its zone.
func (c *call) when(name string) time.Time {
	text := c.param(name)
	if text == "" {
		return time.Time{}
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at
		}
	}
	c.fault(name, "must be a date such as 2026-01-31 or a time such as 2026-01-31T15:04:05Z")
	return time.Time{}
}

// decode reads the body into v, a pointer to a struct. No body is an empty one.
// Fields that v does not have are named in the answer, as "ignored".
func (c *call) decode(v any) error {
	if err := c.err(); err != nil {
		return err
	}
	text, err := io.ReadAll(c.r.Body)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	if err := json.Unmarshal(text, v); err != nil {
		c.fault(bodyFault(err))
		return c.err()
	}
	var given map[string]json.RawMessage
	if json.Unmarshal(text, &given) == nil {
		known := fieldNames(reflect.TypeOf(v).Elem())
		for name := range given {
			if known != nil && !slices.Contains(known, name) {
				c.ignored = append(c.ignored, name)
			}
		}
		slices.Sort(c.ignored)
	}
	return nil
}

// decodeMap reads a body of any fields, with numbers as they are written.
func (c *call) decodeMap(v *map[string]any) error {
	if err := c.err(); err != nil {
		return err
	}
	text, err := io.ReadAll(c.r.Body)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(v); err != nil || dec.More() {
		c.fault("body", "must be an object")
	}
	return c.err()
}

// bodyFault says which field of a body is wrong, and how.
func bodyFault(err error) (field, message string) {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && t.Field != "" {
		return t.Field, "must be " + jsonName(t.Type) + ", not " + t.Value
	}
	return "body", "is not valid JSON"
}

func jsonName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.String:
		return "a text"
	case reflect.Pointer:
		return jsonName(t.Elem())
	}
	return "a number that fits"
}

// fieldNames are the names of a struct's fields in JSON, embedded ones included;
// nil for what is no struct.
func fieldNames(t reflect.Type) []string {
	if t.Kind() != reflect.Struct {
		return nil
	}
	names := []string{}
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return names
}

// write sends data in the envelope.
func (c *call) write(status int, data any) {
	envelope := struct {
		Status  string   `json:"status"`
		Data    any      `json:"data"`
		Message string   `json:"message,omitempty"`
		Ignored []string `json:"ignored,omitempty"`
	}{"ok", data, "", c.ignored}
	if m, ok := data.(message); ok {
		envelope.Message = m.Message
	}
	writeJSON(c.w, status, envelope)
}

// message is an answer that says something and holds nothing.
type message struct {
	Message string `json:"message"`
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		b.Reset()
		b.WriteString(`{"status":"error","error":{"code":"INTERNAL_ERROR","message":"the answer has no JSON form"}}` + "\n")
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// total says beside a bare list how many items there are.
func (c *call) total(n int) { c.w.Header().Set("X-Total-Count", strconv.Itoa(n)) }

// stamp is a time in an answer: null when it is zero.
func stamp(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// orNil is a text in an answer: null when it is empty.
func orNil[T ~string](s T) *T {
	if s == "" {
		return nil
	}
	return &s
}

// list is a list in an answer: never null.
func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

// convert gives every item its shape.
func convert[A, B any](items []A, shape func(A) B) []B {
	out := make([]B, len(items))
	for i, item := range items {
		out[i] = shape(item)
	}
	return out
}
