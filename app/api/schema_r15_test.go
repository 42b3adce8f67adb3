package api

import (
	"fmt"
	"strings"
	"testing"
)

func TestR15DefaultsComeWithTheColumn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(with(cities(), "columns", columns(column("id", "Int32"), column("n", "Int8", "defaultValue", "7"))))
	h.do("POST", "/schema/tables/cities/columns", `{"Name":"m","TYPE":"Uint16","DefaultValue":"8"}`)
	h.put("cities", row{"id": 1}, row{"id": 2, "n": 1, "m": 2})
	h.want("SELECT id, n, m FROM cities ORDER BY id", "1 7 8", "2 1 2")
	h.refused("POST", "/schema/tables/cities/columns", `{"name":"x","type":"Int8","defaultValue":7}`, bad, "Bad request: failed to unmarshal request body")
}

// defaults are by type: good ones with what rows read, bad ones.
func defaults() map[string]struct {
	good map[string]string
	bad  []string
} {
	type values = struct {
		good map[string]string
		bad  []string
	}
	return map[string]values{
		"Bool":     {map[string]string{"1": "1", "t": "1", "TRUE": "1", "False": "0", "0": "0"}, []string{"yes", "2"}},
		"Int8":     {map[string]string{"-128": "-128", "+127": "127"}, []string{"128", "-129", " 1", "0x1", "1.0"}},
		"Uint8":    {map[string]string{"0": "0", "255": "255"}, []string{"256", "-1", "+1"}},
		"Int16":    {map[string]string{"-32768": "-32768", "32767": "32767"}, []string{"32768", "-32769", "x"}},
		"Uint16":   {map[string]string{"0": "0", "65535": "65535"}, []string{"65536", "-1", "x"}},
		"Int32":    {map[string]string{"-2147483648": "-2147483648", "2147483647": "2147483647"}, []string{"2147483648", "-2147483649", "x"}},
		"Uint32":   {map[string]string{"0": "0", "4294967295": "4294967295"}, []string{"4294967296", "-1", "x"}},
		"Int64":    {map[string]string{"-9": "-9", "9007199254740993": "9007199254740993", "-9223372036854775808": "-9223372036854775808", "9223372036854775807": "9223372036854775807"}, []string{"9223372036854775808", "-9223372036854775809", "1e3"}},
		"Float32":  {map[string]string{"1.5": "1.5", "-2.5e1": "-25"}, []string{"1e39", "NaN", "Inf", "-inf", "x"}},
		"UUID":     {map[string]string{"0x00112233-44556677-8899aabbccddeeff": "00112233-4455-6677-8899-aabbccddeeff"}, []string{"0011", "zz112233445566778899aabbccddeeff"}},
		"GeoPoint": {map[string]string{" point(1.5 -2) ": "Point(1.5,-2)", "180,90": "Point(180,90)", "-180 -90": "Point(-180,-90)"}, []string{"181,0", "0,91", "1", "Point(1,2", "1,2,3"}},
		"GeoShape": {nil, []string{"POLYGON ((1 2, 3 4))"}},
		"Uint32[]": {map[string]string{"[1,null,3]": "[1,null,3]", "1,2": "[1,2]"}, []string{"[1,-1]", "[1", "x"}},
		"String":   {map[string]string{"a b": "a b"}, nil},
		"Float64":  {map[string]string{"1.25": "1.25"}, []string{"", "null", "x", "NaN"}},
		"Uint64":   {map[string]string{"18446744073709551615": "18446744073709551615"}, []string{"", "null", "-1"}},
		"Date":     {map[string]string{"2026-02-28": "2026-02-28"}, []string{"", "null", "2026-02-30"}},

		"Decimal(5,2)": {map[string]string{"-999.99": "-999.99", "1.5": "1.5"}, []string{"", "null", "1000", "1.555", "x"}},
		"Timestamp":    {map[string]string{"2026-02-28T01:02:03.5": "2026-02-28 01:02:03.5"}, []string{"", "null", "2026-02-28T25:00:00", "soon"}},
		"TimestampTZ":  {map[string]string{"2026-02-28T01:02:03Z": "2026-02-28 01:02:03"}, []string{"", "null", "x"}},
		"Time":         {map[string]string{"23:59:59": "23:59:59"}, []string{"", "null", "25:00:00"}},
		"JSON":         {map[string]string{`{"a":1}`: `{"a":1}`}, []string{"", "{"}},
		"Bool[]":       {map[string]string{"[true,null,0]": "[true,null,false]"}, []string{"[2]", "{}"}},
	}
}

func TestR16DefaultsAreParsedByType(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(cities())
	h.put("cities", row{"id": 1})
	n := 0
	for typ, values := range defaults() {
		for _, text := range values.bad {
			message := fmt.Sprintf("invalid value %s for type %s", text, typ)
			h.refused("POST", "/schema/tables/cities/columns", h.json(column("x", typ, "defaultValue", text)), bad, message)
			h.refused("POST", "/schema/tables", h.json(table{"name": "t", "primaryKeyColumns": []int{0}, "columns": columns(column("id", "Int8"), column("x", typ, "defaultValue", text))}), bad, message)
		}
		for text, reads := range values.good {
			n++
			name := fmt.Sprintf("c%d", n)
			h.do("POST", "/schema/tables/cities/columns", h.json(column(name, typ, "defaultValue", text)))
			if got := h.rows("SELECT " + name + " FROM cities"); len(got) != 1 || got[0] != reads {
				t.Errorf("the default %q of %s reads %q, want %q", text, typ, got, reads)
			}
		}
	}
}

func TestR17DefaultsOfEnums(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(table{"name": "t", "primaryKeyColumns": []int{0}, "columns": columns(column("id", "Int8"), column("s", "SmallEnum", "defaultValue", "x"))})
	h.do("POST", "/schema/tables/t/columns", `{"name":"b","type":"BigEnum","defaultValue":"y"}`)
	h.do("POST", "/schema/tables/t/columns", `{"name":"a","type":"SmallEnum[]","defaultValue":"[\"p\",\"q\",\"p\"]"}`)
	h.put("t", row{"id": 1})
	for _, h := range []*house{h, h.moved()} {
		for column, want := range map[string]string{"s": `["x"]`, "b": `["y"]`, "a": `["p","q"]`} {
			if got := h.cases("t", column); got != want {
				t.Errorf("the cases of %s are %s", column, got)
			}
		}
		h.want("SELECT s, b, a FROM t", `x y ["p","q","p"]`)
	}
	before := h.cases("t", "s")
	h.refused("POST", "/schema/tables/t/columns", `{"name":"z","type":"SmallEnum","defaultValue":"`+strings.Repeat("a", 1025)+`"}`, bad, "Invalid enum case")
	if h.cases("t", "s") != before {
		t.Error("a refused column left a case behind")
	}
}

func TestR18DefaultsStay(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(trips())
	h.refused("PUT", "/schema/tables/trips", h.edited("trips", 5, "defaultValue", "6"), conflict, immutable)
	h.refused("PUT", "/schema/tables/trips", h.edited("trips", 5, "defaultValue", nil), conflict, immutable)
	h.refused("PUT", "/schema/tables/trips", h.edited("trips", 4, "defaultValue", "1"), conflict, immutable)
	h.refused("PUT", "/schema/tables/trips", h.edited("trips", 3, "defaultValue", "old"), conflict, immutable)
	h.do("PUT", "/schema/tables/trips/columns/n", `{"defaultValue":"9","preloadingDays":3}`) // the configuration alone
	if c := h.get("trips")["columns"].([]any)[5].(map[string]any); c["defaultValue"] != "5" || fmt.Sprint(c["config"]) != "map[preloadingDays:3]" {
		t.Errorf("%v", c)
	}
	h.do("PUT", "/schema/tables/trips/columns/n", `{"preloadingDays":0,"priority":4}`)
	if c := h.get("trips")["columns"].([]any)[5].(map[string]any); fmt.Sprint(c["config"]) != "map[priority:4]" {
		t.Errorf("%v", c)
	}
	h.do("PUT", "/schema/tables/trips/columns/n", `{"priority":0}`)
	if c := h.get("trips")["columns"].([]any)[5].(map[string]any); fmt.Sprint(c["config"]) != "map[]" {
		t.Errorf("%v", c)
	}
	h.refused("PUT", "/schema/tables/trips/columns/n", `{"priority":"x"}`, bad, "Bad request: failed to unmarshal request body")
}

func TestR19NoDefaultIsNull(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(trips())
	h.put("trips", row{"id": 1, "ts": ago(3)}, row{"id": 2, "ts": ago(0)})
	h.archive("trips", ago(1))
	h.want("SELECT id, city, fare FROM trips ORDER BY id", "1 - -", "2 - -")
	h.want("SELECT count(*) FROM trips WHERE fare IS NULL AND city IS NULL", "2")
}

func TestR20NoNullDefault(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(cities())
	for _, typ := range []string{"Bool", "Int8", "Uint8", "Int16", "Uint16", "Int32", "Uint32", "Float32", "SmallEnum", "BigEnum", "UUID", "GeoPoint", "GeoShape", "Int64", "Int8[]", "Bool[]"} {
		for _, value := range []string{"", "null"} {
			message := fmt.Sprintf("invalid value %s for type %s", value, typ)
			if strings.Contains(typ, "Enum") {
				message = "Invalid enum case"
			}
			h.refused("POST", "/schema/tables/cities/columns", h.json(column("x", typ, "defaultValue", value)), bad, message)
		}
		h.refused("POST", "/schema/tables/cities/columns", h.json(column("x", typ, "defaultValue", nil)), bad, "Default value cannot be null")
		h.refused("POST", "/schema/tables", h.json(with(cities(), "name", "t", "columns", columns(column("id", "Int8"), column("x", typ, "DefaultValue", nil)))), bad, "Default value cannot be null")
	}
}

func TestR21TheTimeColumn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const first = "Fact table has to have time column as first column"
	for _, cols := range []any{
		columns(column("ts", "Int32"), column("id", "Int8")), columns(column("ts", "Int64"), column("id", "Int8")), columns(column("ts", "Uint32[]"), column("id", "Int8")),
		columns(column("ts", "Uint32", "deleted", true), column("id", "Int8")), columns(),
	} {
		h.refused("POST", "/schema/tables", h.json(with(trips(), "columns", cols, "archivingSortColumns", nil)), bad, first)
	}
	h.create(trips())
	if c := h.get("trips")["columns"].([]any)[0].(map[string]any); c["type"] != "Uint32" {
		t.Errorf("%v", c)
	}
}

func TestR22TheTimeColumnStays(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	time := func(more ...any) string {
		return h.json(with(trips(), "columns", columns(column("ts", "Uint32", more...), column("id", "Int64")), "archivingSortColumns", nil))
	}
	h.refused("POST", "/schema/tables", time("defaultValue", "1"), bad, "Time column does not allow default value")
	h.refused("POST", "/schema/tables", time("hllConfig", row{"isHLLColumn": true}), bad, "HLLConfig not allowed for time column")
	h.create(trips())
	h.refused("DELETE", "/schema/tables/trips/columns/ts", "", conflict, "Time column cannot be deleted")
	for field, value := range map[string]any{"name": "at", "type": "Uint64", "defaultValue": "1", "hllConfig": row{"isHLLColumn": true}} {
		h.refused("PUT", "/schema/tables/trips", h.edited("trips", 0, field, value), conflict, immutable)
	}
	h.do("PUT", "/schema/tables/trips/columns/ts", `{"preloadingDays":2,"priority":1}`)
}

func TestR23TimesAreCleanAndNotNull(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(trips())
	now := int(ago(0))
	if got := h.upsert("trips", sent{0, codeUint32, 0, []any{now, nil, now + 1, now - 5}}, sent{1, codeInt64, 0, []any{1, 2, 3, 4}}); got != "2 0 0 1:missing_event_time 2:future_event_time" {
		t.Error(got)
	}
	if got := h.put("trips", row{"id": 5, "ts": "soon"}, row{"id": 6, "ts": 4294967296}, row{"id": 7, "ts": -1}, row{"id": 8, "ts": 1.5}, row{"id": 9, "ts": now}); got != "1 0 0 0:invalid_value 1:invalid_value 2:invalid_value 3:invalid_value" {
		t.Error(got)
	}
	h.want("SELECT id FROM trips ORDER BY id", "1", "4", "9")
	h.do("PUT", "/schema/tables/trips", `{"allowMissingEventTime":true}`)
	if got := h.upsert("trips", sent{0, codeUint32, 0, []any{nil}}, sent{1, codeInt64, 0, []any{20}}); got != "1 0 0" {
		t.Error(got)
	}
	h.want("SELECT id FROM trips WHERE ts IS NULL", "20")
	h.refused("PUT", "/schema/tables/trips", `{"allowMissingEventTime":false}`, conflict, "Can not disallow missing event time")
}

func TestR24LateRows(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(trips())
	h.put("trips", row{"id": 1, "ts": ago(3), "fare": 1}, row{"id": 2, "ts": ago(0), "fare": 2})
	h.archive("trips", ago(1))
	if got := h.put("trips", row{"id": 3, "ts": ago(2)}, row{"id": 1, "ts": ago(3), "fare": 5}, row{"id": 4, "ts": ago(89)}, row{"id": 5, "ts": ago(91)}); got != "0 0 3 3:before_retention" {
		t.Error(got)
	}
	want := []string{"1 5", "2 2", "3 -", "4 -"}
	h.want("SELECT id, fare FROM trips ORDER BY id", want...)
	if done := h.job("trips", "backfill", ""); done.Rows != 3 {
		t.Errorf("%+v", done)
	}
	h.want("SELECT id, fare FROM trips ORDER BY id", want...)
	if s := h.stats("trips"); s.LiveRows != 1 || s.FileRows != 3 {
		t.Errorf("%+v", s)
	}
}

func TestR25TheTimeOfARowStays(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(trips())
	h.put("trips", row{"id": 1, "ts": ago(3), "fare": 1}, row{"id": 2, "ts": ago(0.1), "fare": 2}, row{"id": 3, "ts": ago(0.1)})
	h.archive("trips", ago(1))
	got := h.put("trips", row{"id": 1, "ts": ago(2), "fare": 9}, row{"id": 2, "ts": ago(0), "fare": 9}, row{"id": 3, "ts": ago(0.1), "fare": 3}, row{"id": 1, "ts": ago(3), "n": 1})
	if got != "0 1 1 0:event_time_changed 1:event_time_changed" {
		t.Error(got)
	}
	h.want(fmt.Sprintf("SELECT id, %d - ts, fare, n FROM trips ORDER BY id", ago(0)), fmt.Sprint("1 ", 3*aDay, " 1 1"), fmt.Sprint("2 ", aDay/10, " 2 5"), fmt.Sprint("3 ", aDay/10, " 3 5"))
}
