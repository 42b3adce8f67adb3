package script

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"arus/app/transform"
	"arus/connectors"
)

// inColumn and outColumn are columns as the worker knows them.
type inColumn struct {
	Name     string `json:"name"`
	Encoding string `json:"encoding"`
}

type outColumn struct {
	Name     string `json:"name"`
	Encoding string `json:"encoding"`
	Kept     bool   `json:"kept"` // an input column of the same name and type: unchanged values need not travel
}

// sent is how a column goes to the worker.
func sent(k connectors.Kind) string {
	switch k {
	case connectors.Bool:
		return "bool"
	case connectors.Int8:
		return "i8"
	case connectors.Int16:
		return "i16"
	case connectors.Int32:
		return "i32"
	case connectors.Int64:
		return "i64"
	case connectors.Uint8:
		return "u8"
	case connectors.Uint16:
		return "u16"
	case connectors.Uint32:
		return "u32"
	case connectors.Uint64:
		return "u64"
	case connectors.Float32:
		return "f32"
	case connectors.Float64:
		return "f64"
	case connectors.Decimal, connectors.Numeric:
		return "decimal"
	case connectors.Bytes:
		return "bytes"
	case connectors.Date:
		return "date"
	case connectors.Time:
		return "time"
	case connectors.Timestamp:
		return "naive"
	case connectors.TimestampTZ:
		return "aware"
	case connectors.UUID:
		return "uuid"
	case connectors.JSON, connectors.Array:
		return "json"
	}
	return "text" // text, enum, interval
}

// returned is how a column comes back.
func returned(k connectors.Kind) string {
	switch {
	case k == connectors.Uint64:
		return "decimal"
	case k.IsInteger():
		return "int"
	case k == connectors.Float32, k == connectors.Float64:
		return "float"
	case k == connectors.Interval:
		return "interval"
	}
	return sent(k)
}

// sameType says whether a value of one type is a value of the other as it is.
func sameType(a, b connectors.Type) bool {
	return a.Kind == b.Kind && a.Precision == b.Precision && a.Scale == b.Scale && a.Wide == b.Wide
}

// outColumns describes the output to the worker, which packs each column by its type.
func outColumns(in, out []connectors.Column) []outColumn {
	columns := make([]outColumn, len(out))
	for i, c := range out {
		at := slices.IndexFunc(in, func(o connectors.Column) bool { return o.Name == c.Name })
		columns[i] = outColumn{Name: c.Name, Encoding: returned(c.Type.Kind), Kept: at >= 0 && sameType(in[at].Type, c.Type)}
	}
	return columns
}

// declared applies a script's `columns` to the columns that reach it.
func declared(in []connectors.Column, columns [][2]*string) ([]connectors.Column, error) {
	out := slices.Clone(in)
	var faults []error
	for _, d := range columns {
		name := *d[0]
		at := slices.IndexFunc(out, func(c connectors.Column) bool { return c.Name == name })
		if d[1] == nil {
			if at < 0 {
				faults = append(faults, fmt.Errorf("columns removes %q, which does not reach the script", name))
				continue
			}
			out = slices.Delete(out, at, at+1)
			continue
		}
		t, err := transform.ParseType(*d[1])
		if t.Kind == connectors.Time || t.Kind == connectors.Timestamp || t.Kind == connectors.TimestampTZ {
			t.Precision = 6
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("column %q: %w", name, err))
			continue
		}
		if at < 0 {
			out = append(out, connectors.Column{Name: name, Type: t, Nullable: true})
		} else if !sameType(out[at].Type, t) {
			out[at] = connectors.Column{Name: name, Type: t, Nullable: true}
		}
	}
	return out, errors.Join(faults...)
}

// found is a column that came out of the first batch.
type found struct {
	Name  string
	Types []string // Python's names of the values' types, sorted
	Big   bool     // integers past 64 bits among them
}

// inferred gives the columns of a first batch: those that came in keep their types unless every value has another.
func inferred(in []connectors.Column, seen []found) ([]connectors.Column, error) {
	var out []connectors.Column
	var faults []error
	at := make(map[string]found, len(seen))
	for _, f := range seen {
		at[f.Name] = f
	}
	for _, c := range in {
		if _, ok := at[c.Name]; ok {
			out = append(out, c)
			delete(at, c.Name)
		}
	}
	for _, f := range seen {
		if _, fresh := at[f.Name]; !fresh {
			continue
		}
		t, err := typeOf(f)
		if err != nil {
			faults = append(faults, fmt.Errorf("column %q: %w: declare it, such as columns = {%q: \"text\"}", f.Name, err, f.Name))
			continue
		}
		out = append(out, connectors.Column{Name: f.Name, Type: t, Nullable: true})
	}
	return out, errors.Join(faults...)
}

// typeOf infers one type from those of the values; text where there was no value.
func typeOf(f found) (connectors.Type, error) {
	simple := map[string]connectors.Kind{
		"bool": connectors.Bool, "int": connectors.Int64, "float": connectors.Float64, "str": connectors.Text, "bytes": connectors.Bytes,
		"Decimal": connectors.Numeric, "date": connectors.Date, "time": connectors.Time, "datetime": connectors.Timestamp,
		"aware": connectors.TimestampTZ, "timedelta": connectors.Interval, "UUID": connectors.UUID, "dict": connectors.JSON, "list": connectors.JSON,
	}
	var kind connectors.Kind
	for _, name := range f.Types {
		k, ok := simple[name]
		switch {
		case !ok:
			return connectors.Type{}, fmt.Errorf("values of Python's type %s have no place in a table", name)
		case k == connectors.Int64 && f.Big:
			k = connectors.Numeric
		}
		switch pair := [2]connectors.Kind{kind, k}; {
		case kind == connectors.Invalid || kind == k:
			kind = k
		case pair == [2]connectors.Kind{connectors.Numeric, connectors.Int64}, pair == [2]connectors.Kind{connectors.Int64, connectors.Numeric}:
			kind = connectors.Numeric
		case pair == [2]connectors.Kind{connectors.Float64, connectors.Int64}, pair == [2]connectors.Kind{connectors.Int64, connectors.Float64}:
			kind = connectors.Float64
		default:
			return connectors.Type{}, fmt.Errorf("its values are of the types %s", strings.Join(f.Types, ", "))
		}
	}
	if kind == connectors.Invalid {
		kind = connectors.Text
	}
	t := connectors.Type{Kind: kind}
	if kind == connectors.Time || kind == connectors.Timestamp || kind == connectors.TimestampTZ {
		t.Precision = 6
	}
	return t, nil
}
