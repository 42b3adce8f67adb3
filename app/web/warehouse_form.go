package web

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"arus/connectors/warehouse/schema"
	"arus/views/components"
	"arus/views/pages"
)

// The rows for new columns that the form of a table has at first, and at most.
const (
	firstColumns = 6
	moreColumns  = 6
	maxColumns   = 500
)

// tableForm reads the form of a table that is declared or changed.
type tableForm struct {
	values url.Values
	faults map[string]string
	rows   map[string]int // the row of a new column, by its name
	number int            // of rows
}

func newTableForm(values url.Values) *tableForm {
	f := &tableForm{values: values, faults: map[string]string{}, rows: map[string]int{}}
	n, err := strconv.Atoi(values.Get("columns"))
	if err != nil || n < 1 {
		n = firstColumns
	}
	f.number = min(n, maxColumns)
	if values.Get("do") == "more" {
		f.number = min(f.number+moreColumns, maxColumns)
	}
	return f
}

func (f *tableForm) value(i int, field string) string {
	return strings.TrimSpace(f.values.Get(fmt.Sprintf("columns[%d].%s", i, field)))
}

// place is one entry of the key or of the order.
type place struct{ at, id int }

// columns gives the new columns, whose IDs begin at first, with their places in
// the key and the order.
func (f *tableForm) columns(first int) (columns []schema.Column, key, order []int) {
	var keys, sorts []place
	for i := range f.number {
		name := f.value(i, "name")
		row := fmt.Sprintf("columns[%d]", i)
		if name == "" {
			if f.value(i, "type") != "" || f.value(i, "default") != "" {
				f.faults[row] = "The column above has no name."
			}
			continue
		}
		id := first + len(columns)
		c := schema.Column{Name: name, Type: f.value(i, "type"), CaseInsensitive: f.value(i, "case") != "", HLLConfig: schema.HLLConfig{IsHLLColumn: f.value(i, "hll") != ""}}
		if text := f.value(i, "default"); text != "" {
			c.DefaultValue = &text
		}
		if _, twice := f.rows[name]; twice {
			f.faults[row] = "The column above has the name of another one."
		}
		if _, ok := schema.ParseType(c.Type); !ok {
			f.faults[row] = "The type of the column above is not known: choose one of the list, such as Uint32, String or Decimal(12,2)."
		}
		f.rows[name] = i
		columns = append(columns, c)
		for field, list := range map[string]*[]place{"key": &keys, "sort": &sorts} {
			text := f.value(i, field)
			if text == "" {
				continue
			}
			at, err := strconv.Atoi(text)
			if err != nil || at < 1 {
				f.faults[row] = "Places are numbers from 1."
			}
			*list = append(*list, place{at, id})
		}
	}
	return columns, ordered(keys), ordered(sorts)
}

func ordered(list []place) []int {
	slices.SortStableFunc(list, func(a, b place) int { return a.at - b.at })
	ids := make([]int, len(list))
	for i, p := range list {
		ids[i] = p.id
	}
	return ids
}

// configFields are what the form says of a table's configuration.
func configFields(fact bool) []pages.ConfigField {
	if !fact {
		return []pages.ConfigField{
			{Name: "config.snapshotThreshold", Label: "Snapshot after so many changes"},
			{Name: "config.snapshotIntervalMinutes", Label: "Snapshot at least every so many minutes"},
		}
	}
	return []pages.ConfigField{
		{Name: "config.recordRetentionInDays", Label: "Days that rows are kept", Help: "0 keeps them for ever."},
		{Name: "config.archivingDelayMinutes", Label: "Minutes until rows are archived", Help: "Rows that are older are moved into the files of their day."},
		{Name: "config.archivingIntervalMinutes", Label: "Minutes between archivings"},
		{Name: "config.backfillIntervalMinutes", Label: "Minutes between backfills", Help: "A backfill moves late rows into their days."},
		{Name: "config.backfillThresholdInBytes", Label: "Bytes of late rows that begin a backfill at once"},
		{Name: "config.timeSource", Label: "Time of a load's rows", Help: "The column of a load whose timestamp becomes the time. Empty: the load has a column of the time column's name."},
		{Name: "config.allowMissingEventTime", Label: "Take rows without a time, at the time of their arrival", Help: "Once allowed it stays allowed."},
	}
}

// allConfigFields are those of both kinds, for a table whose kind is still open.
func allConfigFields() []pages.ConfigField {
	list := configFields(true)
	for _, f := range configFields(false) {
		f.Help = "For a dimension table."
		list = append(list, f)
	}
	return list
}

// configField finds the field of a configuration by its name in JSON.
func configField(c *schema.Config, name string) reflect.Value {
	of := reflect.ValueOf(c).Elem()
	for i, f := range reflect.VisibleFields(of.Type()) {
		if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); "config."+tag == name {
			return of.Field(i)
		}
	}
	return reflect.Value{}
}

// configValues writes a configuration into the fields of the form.
func configValues(c schema.Config, values url.Values) {
	for _, f := range allConfigFields() {
		switch v := configField(&c, f.Name); v.Kind() {
		case reflect.Bool:
			if v.Bool() {
				values.Set(f.Name, "true")
			}
		default:
			values.Set(f.Name, fmt.Sprint(v.Interface()))
		}
	}
}

// config reads the fields of the form into a configuration; those that it does
// not have stay.
func (f *tableForm) config(c *schema.Config, fields []pages.ConfigField) {
	for _, field := range fields {
		v := configField(c, field.Name)
		text := strings.TrimSpace(f.values.Get(field.Name))
		switch v.Kind() {
		case reflect.Bool:
			v.SetBool(text != "")
		case reflect.String:
			v.SetString(text)
		case reflect.Uint32:
			n, err := strconv.ParseUint(text, 10, 32)
			if v.SetUint(n); err != nil {
				f.faults[field.Name] = "must be a whole number"
			}
		default:
			n, err := strconv.ParseInt(text, 10, 64)
			if v.SetInt(n); err != nil {
				f.faults[field.Name] = "must be a whole number"
			}
		}
	}
}

// refuse puts a rule that is broken beside the field that broke it.
func (f *tableForm) refuse(err error) (components.Form, bool) {
	broken, ok := errors.AsType[*schema.Error](err)
	if !ok || broken.Class == schema.NotFound {
		return components.Form{}, false
	}
	row, known := f.rows[broken.Column]
	switch message := broken.Message; {
	case known && broken.Column != "":
		f.faults[fmt.Sprintf("columns[%d]", row)] = message
	case strings.Contains(message, "table name"), message == schema.MsgTableExists:
		f.faults["name"] = ": " + message
	case message == schema.MsgKeyMissing:
		f.faults["key"] = message + ": give the columns that tell rows apart their places in the column Key."
	case message == schema.MsgSortOnDimension:
		f.faults["sort"] = message
	case message == schema.MsgTimeFirst, message == schema.MsgTimeDefault, message == schema.MsgTimeHLL:
		f.faults["columns[0]"] = message + ": its type is Uint32, without a default."
	case message == schema.MsgEventTime:
		f.faults["config.allowMissingEventTime"] = ": " + message
	case strings.Contains(message, "table config: "):
		_, field, _ := strings.Cut(message, "table config: ")
		field, _, _ = strings.Cut(field, ":")
		f.faults["config."+strings.ToLower(field[:1])+field[1:]] = "is less than the least that is allowed"
	default:
		return components.Form{Values: f.values, Faults: f.faults, Message: broken.Error()}, true
	}
	return f.form(), true
}

func (f *tableForm) form() components.Form {
	return components.Form{Values: f.values, Faults: f.faults}
}

// typeNames are the types that the form offers; others can be written.
func typeNames() []string {
	return []string{
		"Uint32", "Int64", "Int32", "Int16", "Int8", "Uint64", "Uint16", "Uint8", "Float64", "Float32", "Bool", "String", "Decimal(12,2)", "Numeric", "SmallEnum", "BigEnum",
		"UUID", "Date", "Time(6)", "Timestamp(6)", "TimestampTZ(6)", "Interval", "JSON", "Bytes", "GeoPoint", "GeoShape", "Int64[]", "UUID[]", "SmallEnum[]",
	}
}

// planToken tells one plan from another, so that what is applied is what was shown.
func planToken(plan any) string {
	text, _ := json.Marshal(plan) // of plain values
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// planned decides what follows a plan: whether it is to be carried out, and
// whether it was another one when it was looked at.
func (v *visit) planned(token string) (apply, changed bool) {
	apply = v.value("do") == "apply"
	return apply && v.value("plan") == token, apply && v.value("plan") != token
}

func statusOf(f components.Form) int {
	if f.Failed() {
		return http.StatusUnprocessableEntity
	}
	return http.StatusOK
}
