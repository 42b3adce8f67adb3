package api

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"arus/connectors/warehouse/schema"
)

// maxTextValues bounds what a body of text becomes in memory.
const maxTextValues = 1 << 21

// textRows are rows of values in the spelling of default values.
type textRows struct {
	columns []string
	places  map[string]int
	rows    [][]*string
	values  int
}

func badRows(format string, args ...any) error {
	return &schema.Error{Class: schema.Invalid, Message: "Bad request: " + fmt.Sprintf(format, args...)}
}

// grow counts what one row more takes.
func (t *textRows) grow() error {
	if t.values += max(1, len(t.columns)); t.values > maxTextValues {
		return badRows("more than %d values in one body: send it in parts", maxTextValues)
	}
	return nil
}

// object adds a row by names; a name that is new is a column that the rows before
// have no value of.
func (t *textRows) object(row map[string]json.RawMessage) error {
	if t.places == nil {
		t.places = map[string]int{}
	}
	names := make([]string, 0, len(row))
	for name := range row {
		if _, ok := t.places[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		t.places[name] = len(t.columns)
		t.columns = append(t.columns, name)
	}
	if len(t.columns) > schema.MaxColumns {
		return badRows("more than %d columns", schema.MaxColumns)
	}
	if err := t.grow(); err != nil {
		return err
	}
	out := make([]*string, len(t.columns))
	for name, raw := range row {
		out[t.places[name]] = textOf(raw)
	}
	t.rows = append(t.rows, out)
	return nil
}

// textOf is a JSON value as text, nil for null.
func textOf(raw json.RawMessage) *string {
	raw = bytes.TrimSpace(raw)
	var s string
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return nil
	case raw[0] == '"' && json.Unmarshal(raw, &s) == nil:
		return &s
	}
	s = string(raw)
	return &s
}

// even gives all rows all columns.
func (t *textRows) even() error {
	if len(t.rows)*len(t.columns) > maxTextValues {
		return badRows("more than %d values in one body: send it in parts", maxTextValues)
	}
	for i, row := range t.rows {
		t.rows[i] = append(row, make([]*string, len(t.columns)-len(row))...)
	}
	return nil
}

// readJSON reads an object, or a list of them.
func readJSON(body []byte) (textRows, error) {
	body = bytes.TrimSpace(body)
	if len(body) > 0 && body[0] == '{' {
		return readNDJSON(body)
	}
	var t textRows
	d := json.NewDecoder(bytes.NewReader(body))
	if token, err := d.Token(); err != nil || token != json.Delim('[') {
		return t, badRows("the body must be a JSON object or a list of them")
	}
	for d.More() {
		if err := t.next(d); err != nil {
			return t, err
		}
	}
	if _, err := d.Token(); err != nil {
		return t, badRows("the JSON list does not end")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return t, badRows("something stands after the JSON list")
	}
	err := t.even()
	return t, err
}

// readNDJSON reads one object a line.
func readNDJSON(body []byte) (textRows, error) {
	var t textRows
	d := json.NewDecoder(bytes.NewReader(body))
	for {
		err := t.next(d)
		if errors.Is(err, io.EOF) {
			err = t.even()
			return t, err
		}
		if err != nil {
			return t, err
		}
	}
}

func (t *textRows) next(d *json.Decoder) error {
	var row map[string]json.RawMessage
	if err := d.Decode(&row); err != nil {
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		return badRows("row %d is no JSON object: %v", len(t.rows), err)
	}
	if row == nil {
		return badRows("row %d is null", len(t.rows))
	}
	return t.object(row)
}

// readCSV reads rows under a header of column names. A value that is empty is
// null.
func readCSV(body []byte) (textRows, error) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))))
	header, err := r.Read()
	if err != nil {
		return textRows{}, badRows("the CSV has no header of column names")
	}
	t := textRows{columns: header}
	for {
		record, err := r.Read()
		switch {
		case errors.Is(err, io.EOF):
			return t, nil
		case err != nil:
			return t, badRows("the CSV: %v", err)
		}
		if err := t.grow(); err != nil {
			return t, err
		}
		row := make([]*string, len(record))
		for i, value := range record {
			if value != "" {
				row[i] = &record[i]
			}
		}
		t.rows = append(t.rows, row)
	}
}

// TextRows reads rows of text in one of the forms that /data takes besides its
// own, by their content type. A nil value is a null.
func TextRows(form string, body []byte) (columns []string, rows [][]*string, err error) {
	var t textRows
	switch form {
	case "application/json":
		t, err = readJSON(body)
	case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines":
		t, err = readNDJSON(body)
	case "text/csv":
		t, err = readCSV(body)
	default:
		err = errForm
	}
	return t.columns, t.rows, err
}

// errForm says that rows have another form than those of text.
var errForm = errors.New("the form must be CSV, JSON or NDJSON")
