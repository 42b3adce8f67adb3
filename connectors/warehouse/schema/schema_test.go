package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"arus/connectors"
)

// trips is a fact table that is valid.
func trips() *Table {
	return &Table{
		Name: "trips", IsFactTable: true, Config: DefaultConfig(), PrimaryKeyColumns: []int{1}, ArchivingSortColumns: []int{2, 3},
		Columns: []Column{
			{Name: "ts", Type: "Uint32"},
			{Name: "id", Type: "UUID"},
			{Name: "city", Type: "Uint16"},
			{Name: "status", Type: "SmallEnum", DefaultValue: new("new")},
			{Name: "fare", Type: "Float32"},
			{Name: "tags", Type: "Int32[]"},
			{Name: "shape", Type: "GeoShape"},
		},
	}
}

func cities() *Table {
	return &Table{Name: "cities", Config: DefaultConfig(), PrimaryKeyColumns: []int{0}, Columns: []Column{{Name: "id", Type: "Int32"}, {Name: "name", Type: "String"}}}
}

func class(err error) Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return 0
}

// refused wants an error whose text begins with the message.
func refused(t *testing.T, what string, err error, message string) {
	t.Helper()
	if err == nil || !strings.HasPrefix(err.Error(), message) || class(err) == 0 {
		t.Errorf("%s: %v, want %q", what, err, message)
	}
}

// TestNewTables breaks each rule for new tables by itself; the name of a case begins with its requirement.
func TestNewTables(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change  func(*Table)
		message string
	}{
		"R2 empty name":           {func(s *Table) { s.Name = "" }, "Invalid table name"},
		"R2 path":                 {func(s *Table) { s.Name = "../evil" }, "Invalid table name"},
		"R2 long name":            {func(s *Table) { s.Name = strings.Repeat("a", 256) }, "Invalid table name"},
		"R2 empty column name":    {func(s *Table) { s.Columns[4].Name = "" }, "Invalid column name"},
		"R2 slash in column name": {func(s *Table) { s.Columns[4].Name = "a/b" }, "Invalid column name"},
		"R4 no key":               {func(s *Table) { s.PrimaryKeyColumns = nil }, MsgKeyMissing},
		"R4 key out of range":     {func(s *Table) { s.PrimaryKeyColumns = []int{7} }, MsgColumnMissing},
		"R4 key negative":         {func(s *Table) { s.PrimaryKeyColumns = []int{-1} }, MsgColumnMissing},
		"R4 key deleted":          {func(s *Table) { s.Columns[1].Deleted = true }, MsgColumnDeleted},
		"R4 key twice":            {func(s *Table) { s.PrimaryKeyColumns = []int{1, 1} }, MsgColumnRepeated},
		"R4 key of arrays":        {func(s *Table) { s.PrimaryKeyColumns = []int{5} }, MsgKeyType},
		"R4 key of shapes":        {func(s *Table) { s.PrimaryKeyColumns = []int{6} }, MsgKeyType},
		"R4 key of hashes":        {func(s *Table) { s.Columns[1].HLLConfig.IsHLLColumn = true }, MsgKeyType},
		"R6 batch size":           {func(s *Table) { s.Config.BatchSize = 0 }, "invalid table config: BatchSize: less than min"},
		"R7 duplicate name":       {func(s *Table) { s.Columns[4].Name = "city" }, MsgColumnDuplicate},
		"R7 deleted duplicate":    {func(s *Table) { s.Columns[4].Name, s.Columns[4].Deleted = "city", true }, MsgColumnDuplicate},
		"R7 type":                 {func(s *Table) { s.Columns[4].Type = "uint8" }, MsgDataType},
		"R7 array of shapes":      {func(s *Table) { s.Columns[4].Type = "GeoShape[]" }, MsgDataType},
		"R16 default":             {func(s *Table) { s.Columns[2].DefaultValue = new("65536") }, "invalid value 65536 for type Uint16"},
		"R20 default null":        {func(s *Table) { s.Columns[4].DefaultValue = new("null") }, "invalid value null for type Float32"},
		"R20 default empty":       {func(s *Table) { s.Columns[4].DefaultValue = new("") }, "invalid value"},
		"R20 enum default null":   {func(s *Table) { s.Columns[3].DefaultValue = new("null") }, "Invalid enum case"},
		"R21 no columns":          {func(s *Table) { s.Columns = nil }, MsgTimeFirst},
		"R21 time type":           {func(s *Table) { s.Columns[0].Type = "Int64" }, MsgTimeFirst},
		"R21 time array":          {func(s *Table) { s.Columns[0].Type = "Uint32[]" }, MsgTimeFirst},
		"R21 time deleted":        {func(s *Table) { s.Columns[0].Deleted = true }, MsgTimeFirst},
		"R22 time default":        {func(s *Table) { s.Columns[0].DefaultValue = new("1") }, MsgTimeDefault},
		"R22 time hash":           {func(s *Table) { s.Columns[0].HLLConfig.IsHLLColumn = true }, MsgTimeHLL},
		"R22 hash type":           {func(s *Table) { s.Columns[4].HLLConfig.IsHLLColumn = true }, "data Type Float32 not allowed for fast hll aggregation"},
		"R22 hash default": {func(s *Table) {
			s.Columns = append(s.Columns, Column{Name: "h", Type: "UUID", DefaultValue: new("0"), HLLConfig: HLLConfig{true}})
		}, MsgHLLDefault},
		"R26 delay":                {func(s *Table) { s.Config.ArchivingDelayMinutes = 0 }, "invalid table config: ArchivingDelayMinutes"},
		"R27 interval":             {func(s *Table) { s.Config.ArchivingIntervalMinutes = 0 }, "invalid table config: ArchivingIntervalMinutes"},
		"R29 sort out of range":    {func(s *Table) { s.ArchivingSortColumns = []int{9} }, MsgColumnMissing},
		"R29 sort negative":        {func(s *Table) { s.ArchivingSortColumns = []int{-1} }, MsgColumnMissing},
		"R29 sort deleted":         {func(s *Table) { s.Columns[2].Deleted = true }, MsgColumnDeleted},
		"R29 sort twice":           {func(s *Table) { s.ArchivingSortColumns = []int{2, 2} }, MsgColumnRepeated},
		"R29 sort array":           {func(s *Table) { s.ArchivingSortColumns = []int{5} }, MsgSortType},
		"R29 sort shape":           {func(s *Table) { s.ArchivingSortColumns = []int{6} }, MsgSortType},
		"R29 sort on a dimension":  {func(s *Table) { s.IsFactTable = false }, MsgSortOnDimension},
		"R35 threshold":            {func(s *Table) { s.Config.SnapshotThreshold = 0 }, "invalid table config: SnapshotThreshold"},
		"4.1 all columns deleted":  {func(s *Table) { *s = *cities(); s.Columns[0].Deleted, s.Columns[1].Deleted = true, true }, MsgNoColumns},
		"4.1 first error wins":     {func(s *Table) { s.Columns[4].Type, s.PrimaryKeyColumns = "nope", nil }, MsgDataType},
		"4.1 key before config":    {func(s *Table) { s.PrimaryKeyColumns, s.Config.BatchSize = []int{-1}, 0 }, MsgColumnMissing},
		"4.1 config before sort":   {func(s *Table) { s.ArchivingSortColumns, s.Config.BatchSize = []int{-1}, 0 }, "invalid table config"},
		"4.1 names before types":   {func(s *Table) { s.Columns[4] = Column{Name: "city", Type: "nope"} }, MsgColumnDuplicate},
		"our config: time source":  {func(s *Table) { *s = *cities(); s.Config.TimeSource = "x" }, msgTimeSourceUnknown},
		"R26 retention below zero": {func(s *Table) { s.Config.RecordRetentionInDays = -1 }, "invalid table config: RecordRetentionInDays"},
	} {
		s := trips()
		c.change(s)
		_, _, err := Create(s)
		refused(t, name, err, c.message)
	}
	for name, s := range map[string]*Table{
		"fact": trips(), "dimension": cities(),
		"R29 no sort columns":         func() *Table { s := trips(); s.ArchivingSortColumns = nil; return s }(),
		"R13 column 0 deleted":        {Name: "d", Config: DefaultConfig(), PrimaryKeyColumns: []int{1}, Columns: []Column{{Name: "a", Type: "Int8", Deleted: true}, {Name: "b", Type: "Int8"}}},
		"key of several columns":      func() *Table { s := trips(); s.PrimaryKeyColumns = []int{2, 0, 1}; return s }(),
		"0 days of retention: always": func() *Table { s := trips(); s.Config.RecordRetentionInDays = 0; return s }(),
	} {
		next, enums, err := Create(s)
		if err != nil || next.Version != 1 {
			t.Errorf("%s: %v", name, err)
		}
		if s.IsFactTable && cmp.Diff(Enums{3: {"new"}}, enums) != "" { // R17
			t.Errorf("%s: enums %v", name, enums)
		}
	}
}

// TestR8 has as many columns as a table can have.
func TestR8(t *testing.T) {
	t.Parallel()
	s := cities()
	for len(s.Columns) < MaxColumns-1 {
		s.Columns = append(s.Columns, Column{Name: fmt.Sprintf("c%d", len(s.Columns)), Type: "Uint8"})
	}
	s, enums, err := Create(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"last", "beyond"} {
		next, err := s.WithColumn(AddColumn{Column: Column{Name: name, Type: "Uint8"}})
		if err != nil {
			t.Fatal(err)
		}
		u, err := s.Update(next, enums)
		if name == "beyond" {
			refused(t, name, err, MsgColumnLimit)
		} else if err != nil || u.Next.ColumnID(name) != 65535 {
			t.Fatalf("the column 65535: %v", err)
		} else {
			s = u.Next
		}
	}
}

// TestUpdates breaks each rule for changes by itself. What is refused leaves the table as it was.
func TestUpdates(t *testing.T) {
	t.Parallel()
	base, enums, err := Create(trips())
	if err != nil {
		t.Fatal(err)
	}
	base.Config.AllowMissingEventTime = true
	before, _ := json.Marshal(base)
	for name, c := range map[string]struct {
		change  func(*Table)
		message string
	}{
		"R3 kind":               {func(s *Table) { s.IsFactTable = false }, MsgImmutable},
		"R2 name":               {func(s *Table) { s.Name = "other" }, MsgImmutable},
		"R9 rename":             {func(s *Table) { s.Columns[4].Name = "price" }, MsgImmutable},
		"R10 type":              {func(s *Table) { s.Columns[4].Type = "Int64" }, MsgImmutable},
		"R13 time column":       {func(s *Table) { s.Columns[0].Deleted = true }, MsgTimeDeleted},
		"R13 key column":        {func(s *Table) { s.Columns[1].Deleted = true }, MsgKeyDeleted},
		"R14 key":               {func(s *Table) { s.PrimaryKeyColumns = []int{2} }, MsgKeyChanged},
		"R14 key order":         {func(s *Table) { s.PrimaryKeyColumns = []int{1, 2} }, MsgKeyChanged},
		"R18 default added":     {func(s *Table) { s.Columns[4].DefaultValue = new("1") }, MsgImmutable},
		"R18 default changed":   {func(s *Table) { s.Columns[3].DefaultValue = new("old") }, MsgImmutable},
		"R18 default removed":   {func(s *Table) { s.Columns[3].DefaultValue = nil }, MsgImmutable},
		"R22 time renamed":      {func(s *Table) { s.Columns[0].Name = "time" }, MsgImmutable},
		"R22 time type":         {func(s *Table) { s.Columns[0].Type = "Int64" }, MsgImmutable},
		"R33 sort shorter":      {func(s *Table) { s.ArchivingSortColumns = []int{2} }, MsgSortChanged},
		"R33 sort longer":       {func(s *Table) { s.ArchivingSortColumns = []int{2, 3, 4} }, MsgSortChanged},
		"R33 sort order":        {func(s *Table) { s.ArchivingSortColumns = []int{3, 2} }, MsgSortChanged},
		"4.2 fewer columns":     {func(s *Table) { s.Columns = s.Columns[:5] }, MsgColumnCount},
		"4.2 event time":        {func(s *Table) { s.Config.AllowMissingEventTime = false }, MsgEventTime},
		"4.2 caseInsensitive":   {func(s *Table) { s.Columns[3].CaseInsensitive = true }, MsgImmutable},
		"4.2 disableAutoExpand": {func(s *Table) { s.Columns[3].DisableAutoExpand = true }, MsgImmutable},
		"4.2 hash":              {func(s *Table) { s.Columns[2].HLLConfig.IsHLLColumn = true }, MsgImmutable},
		"R7 new column's name":  {func(s *Table) { s.Columns = append(s.Columns, Column{Name: "fare", Type: "Int8"}) }, MsgColumnDuplicate},
		"R16 new column's default": {func(s *Table) {
			s.Columns = append(s.Columns, Column{Name: "n", Type: "Uint8", DefaultValue: new("300")})
		}, "invalid value 300 for type Uint8"},
		"config": {func(s *Table) { s.Config.BatchSize = -5 }, "invalid table config: BatchSize"},
	} {
		next := base.Clone()
		c.change(next)
		_, err := base.Update(next, enums)
		refused(t, name, err, c.message)
	}
	if after, _ := json.Marshal(base); string(after) != string(before) {
		t.Errorf("refused changes left a trace:\n%s\n%s", before, after)
	}
}

// TestLife follows one table through the changes that are allowed.
func TestLife(t *testing.T) {
	t.Parallel()
	s, enums, err := Create(trips())
	if err != nil {
		t.Fatal(err)
	}
	step := func(what string, next *Table, err error) Update {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		u, err := s.Update(next, enums)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		s, enums = u.Next, u.Enums
		return u
	}
	next, err := s.WithoutColumn("city")
	u := step("R13 R31 delete a sort column", next, err)
	if !s.Columns[2].Deleted || cmp.Diff([]int{2}, u.Dropped) != "" || cmp.Diff([]int{2, 3}, s.ArchivingSortColumns) != "" || len(s.SortPrefix()) != 0 || s.Version != 2 {
		t.Errorf("after deleting city: %+v", s)
	}
	_, err = s.WithoutColumn("city")
	refused(t, "R13 again", err, MsgColumnMissing)
	_, err = s.WithoutColumn("ts")
	refused(t, "R13 time", err, MsgTimeDeleted)
	_, err = s.WithoutColumn("id")
	refused(t, "R13 key", err, MsgKeyDeleted)
	next, err = s.WithColumn(AddColumn{Column: Column{Name: "city", Type: "BigEnum", DefaultValue: new("here")}})
	step("D6 R12 the name again, after a sort column's deletion", next, err)
	if s.ColumnID("city") != 7 || cmp.Diff(Enums{3: {"new"}, 7: {"here"}}, enums) != "" {
		t.Errorf("after adding city: ID %d, enums %v", s.ColumnID("city"), enums)
	}
	_, err = s.WithColumn(AddColumn{Column: Column{Name: "x", Type: "Int8"}, AddToArchivingSortOrder: true})
	refused(t, "R33 append", err, MsgSortChanged)
	_, err = s.WithColumn(AddColumn{Column: Column{Name: "fare", Type: "Int8"}})
	refused(t, "R7 duplicate", err, MsgColumnDuplicate)
	next, err = s.WithoutColumn("status")
	step("R13 an enum column", next, err)
	if _, ok := enums[3]; ok {
		t.Error("the dictionary of a deleted column stays")
	}
	next, err = s.DecodePush([]byte(`{"archivingIntervalMinutes":77,"recordRetentionInDays":0}`))
	u = step("2.3 part of the configuration", next, err)
	if s.Config.ArchivingIntervalMinutes != 77 || s.Config.RecordRetentionInDays != 0 || s.Config.BatchSize != 2_097_152 || len(u.Changes) != 1 {
		t.Errorf("after a part of the configuration: %+v, %+v", s.Config, u.Changes)
	}
	data, _ := json.Marshal(s)
	back := new(Table)
	if err := json.Unmarshal(data, back); err != nil || cmp.Diff(s, back) != "" {
		t.Errorf("the schema file does not come back: %v\n%s", err, cmp.Diff(s, back))
	}
	version := s.Version
	step("the same", s.Clone(), nil)
	if s.Version != version {
		t.Error("no change raises the version")
	}
	next, err = s.WithColumnConfig("fare", []byte(`{"preloadingDays":3}`))
	step("R22 column configuration", next, err)
	if s.Columns[4].Config.PreloadingDays != 3 {
		t.Errorf("the column's configuration is %+v", s.Columns[4].Config)
	}
}

// TestR42 pushes a desired state with a column deleted and one appended; TestR43's part is in TestUpdates.
func TestR42(t *testing.T) {
	t.Parallel()
	s, enums, _ := Create(trips())
	body, _ := json.Marshal(s)
	var m map[string]any
	_ = json.Unmarshal(body, &m)
	columns := m["columns"].([]any)
	columns[4].(map[string]any)["deleted"] = true
	m["columns"] = append(columns, map[string]any{"name": "extra", "type": "BigEnum", "defaultValue": "d"})
	m["version"] = 9
	delete(m, "config")
	delete(m, "archivingSortColumns")
	body, _ = json.Marshal(m)
	desired, err := s.DecodePush(body)
	if err != nil {
		t.Fatal(err)
	}
	u, err := s.Push(desired, enums)
	if err != nil {
		t.Fatal(err)
	}
	if u.Next.Version != 9 || !u.Next.Columns[4].Deleted || u.Next.ColumnID("extra") != 7 || cmp.Diff([]int{4}, u.Dropped) != "" || cmp.Diff([]string{"d"}, u.Enums[7]) != "" ||
		u.Next.Config != s.Config || cmp.Diff([]int{2, 3}, u.Next.ArchivingSortColumns) != "" || len(u.Changes) != 2 {
		t.Errorf("%+v", u)
	}
	if len(enums) != 1 {
		t.Error("a plan changed the present dictionaries")
	}
	desired.Version = 1
	_, err = s.Push(desired, enums)
	refused(t, "an old version", err, MsgVersion)
}

func TestR20ExplicitNull(t *testing.T) {
	t.Parallel()
	_, err := Decode([]byte(`{"name":"t","columns":[{"name":"a","type":"Int8","defaultValue":null}],"primaryKeyColumns":[0]}`))
	refused(t, "null", err, MsgNullDefault)
	s, err := Decode([]byte(`{"NAME":"t","Columns":[{"Name":"a","Type":"Int8"}],"PrimaryKeyColumns":[0],"config":{"batchSize":5},"unknown":1}`))
	if err != nil || s.Name != "t" || s.Columns[0].Name != "a" || s.Config.BatchSize != 5 || s.Config.SnapshotThreshold != 6_291_456 {
		t.Errorf("%+v, %v", s, err)
	}
	for _, body := range []string{"", "{", "[]", `{"name":5}`, `{"columns":[5]}`, `{} x`} {
		_, err := Decode([]byte(body))
		refused(t, body, err, MsgBadJSON)
	}
	_, err = DecodeColumn([]byte(`{"name":"a","type":"Int8","defaultValue":null}`))
	refused(t, "null of a new column", err, MsgNullDefault)
	c, err := DecodeColumn([]byte(`{"name":"a","type":"Int8","defaultValue":"4","addToArchivingSortOrder":true}`))
	if err != nil || !c.AddToArchivingSortOrder || *c.DefaultValue != "4" {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestR15 parses defaults of every type: valid ones to their canonical text, others to an error.
func TestR15(t *testing.T) {
	t.Parallel()
	bad := "\x00bad"
	for typ, values := range map[string]map[string]string{
		"Bool": {"1": "true", "F": "false", "yes": bad}, "Int8": {"-128": "-128", "+1": "1", "128": bad, " 1": bad, "0x1": bad},
		"Uint8": {"255": "255", "256": bad, "-1": bad, "+1": bad}, "Int16": {"32767": "32767", "-32769": bad}, "Uint16": {"65535": "65535", "65536": bad},
		"Int32": {"-2147483648": "-2147483648", "2147483648": bad}, "Uint32": {"4294967295": "4294967295", "4294967296": bad},
		"Int64":     {"-9223372036854775808": "-9223372036854775808", "9223372036854775808": bad, "1.0": bad},
		"Float32":   {"1.5": "1.5", "1e39": bad, "NaN": bad, "Inf": bad, "x": bad},
		"SmallEnum": {"x": "x", strings.Repeat("x", 1025): bad},
		"UUID":      {"0x0190A6B2-0000-7000-8000-00000000000a": "0190a6b2-0000-7000-8000-00000000000a", "0190a6b200007000800000000000000a": "0190a6b2-0000-7000-8000-00000000000a", "0190": bad},
		"GeoPoint":  {"Point(-122.5 37.75)": "Point(-122.5,37.75)", " point( 1 , 2 ) ": "Point(1,2)", "1,2": "Point(1,2)", "181,0": bad, "0 91": bad, "1": bad, "NaN,1": bad},
		"GeoShape":  {"POLYGON ((1 1))": bad},
		"Int32[]":   {"[1,null,3]": "[1,null,3]", "1,2": "[1,2]", "[1": bad, "[true]": bad, "[300000000000]": bad},
		"UUID[]":    {"[\"0190a6b200007000800000000000000a\"]": `["0190a6b2-0000-7000-8000-00000000000a"]`}, "BigEnum[]": {"a,b": `["a","b"]`},
		"Uint64": {"18446744073709551615": "18446744073709551615"}, "Float64": {"1e300": "1e+300", "1e309": bad}, "Decimal(5,2)": {"1.5": "1.50", "12345": bad},
		"Date": {"2026-01-02": "2026-01-02", "x": bad}, "TimestampTZ": {"2026-01-02T03:04:05Z": "2026-01-02T03:04:05Z"}, "JSON": {"{}": "{}", "{": bad}, "String": {"": ""},
	} {
		parsed, ok := ParseType(typ)
		if !ok || parsed.Name() != typ {
			t.Fatalf("type %s: %v, %s", typ, ok, parsed.Name())
		}
		for value, want := range values {
			got, err := parsed.Canonical(value)
			if want == bad {
				if class(err) != Invalid {
					t.Errorf("%s %q: %q, %v, want an error", typ, value, got, err)
				}
			} else if err != nil || got != want {
				t.Errorf("%s %q: %q, %v, want %q", typ, value, got, err, want)
			}
		}
		if typ == "String" {
			continue
		}
		for _, null := range []string{"", "null"} {
			if _, err := parsed.Canonical(null); err == nil && typ != "JSON" {
				t.Errorf("R20: %s takes the default %q", typ, null)
			}
		}
	}
}

func TestCases(t *testing.T) {
	t.Parallel()
	small := Of(SmallEnum)
	have := []string{"x"}
	cases, ids, err := small.Cases(have, []string{"a", "b", "a", "x"})
	if err != nil || cmp.Diff([]int{1, 2, 1, 0}, ids) != "" || cmp.Diff([]string{"x", "a", "b"}, cases) != "" || len(have) != 1 {
		t.Errorf("%v, %v, %v", cases, ids, err)
	}
	var full []string
	for i := range 256 {
		full = append(full, fmt.Sprint(i))
	}
	if _, ids, err := small.Cases(full, []string{"255", "0"}); err != nil || ids[0] != 255 {
		t.Errorf("a full dictionary finds %v, %v", ids, err)
	}
	_, _, err = small.Cases(full, []string{"0", "new"})
	refused(t, "full", err, MsgEnumFull)
	if _, _, err = Of(BigEnum).Cases(full, []string{"new"}); err != nil {
		t.Error(err)
	}
}

func TestTypeCodes(t *testing.T) {
	t.Parallel()
	want := map[string]uint32{"Bool": 1, "Int8": 0x10008, "Uint32": 0x60020, "BigEnum": 0x90010, "UUID": 0xa0080, "GeoPoint": 0xb0040, "GeoShape": 0xc0000, "Int64": 0xd0040, "Uint8[]": 0x1020008}
	for name, code := range want {
		typ, ok := ParseType(name)
		if !ok || typ.Code() != code {
			t.Errorf("%s: %#x, want %#x", name, typ.Code(), code)
		}
		if back, ok := TypeOfCode(code); !ok || back.Name() != name {
			t.Errorf("%#x: %s", code, back.Name())
		}
	}
	for _, code := range []uint32{0, 0x10009, 0xe0040, 0x10c0000, 0x2010008, 1 << 31} {
		if typ, ok := TypeOfCode(code); ok {
			t.Errorf("%#x is %s", code, typ.Name())
		}
	}
}

func TestFromLogical(t *testing.T) {
	t.Parallel()
	elem, dec := connectors.Type{Kind: connectors.Int32}, connectors.NewDecimal(10, 2)
	for _, l := range []connectors.Type{
		{Kind: connectors.Bool},
		{Kind: connectors.Uint64},
		{Kind: connectors.Float32},
		{Kind: connectors.Float64},
		connectors.NewDecimal(76, 3),
		{Kind: connectors.Numeric},
		{Kind: connectors.Text, Length: 5, Fixed: true},
		{Kind: connectors.Bytes, Length: 16, Fixed: true},
		{Kind: connectors.Time, Precision: 3, Wide: true},
		{Kind: connectors.TimestampTZ, Precision: 6},
		{Kind: connectors.UUID},
		{Kind: connectors.JSON, Parsed: true},
		{Kind: connectors.Enum, Values: []string{"a", `b",(c)`, ""}},
		{Kind: connectors.Interval},
		{Kind: connectors.Array, Elem: &elem},
		{Kind: connectors.Array, Elem: &dec},
		{Kind: connectors.Array},
	} {
		typ := FromLogical(l)
		back, ok := ParseType(typ.Name())
		if !ok || cmp.Diff(l, back.Read(nil)) != "" || cmp.Diff(l, typ.Read(nil)) != "" {
			t.Errorf("%s: %v %s", typ.Name(), ok, cmp.Diff(l, back.Read(nil)))
		}
	}
}
