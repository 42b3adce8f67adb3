package mysql

import (
	"database/sql"
	"strconv"
	"strings"
	"unicode/utf8"

	"arus/connectors"
)

// native is a column as information_schema describes it.
type native struct {
	name      string
	data      string // DATA_TYPE
	column    string // COLUMN_TYPE
	length    int    // characters or bytes
	precision int
	scale     int
	fraction  int // digits of a second
	charset   string
	collation string
	comment   string
	nullable  bool
	generated bool
	json      bool // MariaDB: text with a json_valid check
}

const nativeColumns = `COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_MAXIMUM_LENGTH, NUMERIC_PRECISION, NUMERIC_SCALE,
 DATETIME_PRECISION, CHARACTER_SET_NAME, COLLATION_NAME, COLUMN_COMMENT, IS_NULLABLE, EXTRA`

func scanNative(row []sql.NullString) native {
	n := func(i int) int {
		v, _ := strconv.ParseInt(row[i].String, 10, 64)
		return int(v)
	}
	extra := strings.ToUpper(row[11].String)
	return native{
		name: row[0].String, data: strings.ToLower(row[1].String), column: row[2].String,
		length: n(3), precision: n(4), scale: n(5), fraction: n(6),
		charset: row[7].String, collation: row[8].String, comment: row[9].String, nullable: row[10].String == "YES",
		generated: strings.Contains(extra, "VIRTUAL") || strings.Contains(extra, "STORED") || strings.Contains(extra, "PERSISTENT"),
	}
}

func (n native) unsigned() bool { return strings.Contains(strings.ToLower(n.column), "unsigned") }

func (n native) logicalColumn() connectors.Column {
	return connectors.Column{Name: n.name, Type: n.logical(), Native: n.column, Nullable: n.nullable, Generated: n.generated}
}

var geometries = map[string]bool{
	"geometry": true, "point": true, "linestring": true, "polygon": true, "multipoint": true, "multilinestring": true,
	"multipolygon": true, "geometrycollection": true, "geomcollection": true,
}

var integers = map[string][2]connectors.Kind{ // signed, unsigned
	"tinyint": {connectors.Int8, connectors.Uint8}, "smallint": {connectors.Int16, connectors.Uint16},
	"mediumint": {connectors.Int32, connectors.Uint32}, "int": {connectors.Int32, connectors.Uint32},
	"integer": {connectors.Int32, connectors.Uint32}, "bigint": {connectors.Int64, connectors.Uint64},
}

// logical is the type that holds every value of the column.
func (n native) logical() connectors.Type {
	if n.json {
		return connectors.Type{Kind: connectors.JSON}
	}
	if kinds, ok := integers[n.data]; ok {
		if n.unsigned() {
			return connectors.Type{Kind: kinds[1]}
		}
		return connectors.Type{Kind: kinds[0]}
	}
	switch n.data {
	case "bit":
		if n.precision <= 1 {
			return connectors.Type{Kind: connectors.Bool}
		}
		return connectors.Type{Kind: connectors.Uint64}
	case "year":
		return connectors.Type{Kind: connectors.Uint16}
	case "decimal", "numeric":
		return connectors.NewDecimal(n.precision, n.scale)
	case "float":
		return connectors.Type{Kind: connectors.Float32}
	case "double", "real":
		return connectors.Type{Kind: connectors.Float64}
	case "date":
		return connectors.Type{Kind: connectors.Date}
	case "time":
		return connectors.Type{Kind: connectors.Time, Precision: n.fraction, Wide: true}
	case "datetime":
		return connectors.Type{Kind: connectors.Timestamp, Precision: n.fraction}
	case "timestamp":
		return connectors.Type{Kind: connectors.TimestampTZ, Precision: n.fraction}
	case "char":
		return connectors.Type{Kind: connectors.Text, Length: n.length, Fixed: true}
	case "varchar":
		return connectors.Type{Kind: connectors.Text, Length: n.length}
	case "binary":
		return connectors.Type{Kind: connectors.Bytes, Length: n.length, Fixed: true}
	case "varbinary":
		return connectors.Type{Kind: connectors.Bytes, Length: n.length}
	case "tinyblob", "blob", "mediumblob", "longblob", "vector":
		return connectors.Type{Kind: connectors.Bytes}
	case "enum":
		return connectors.Type{Kind: connectors.Enum, Values: enumValues(n.column)}
	case "json":
		return connectors.Type{Kind: connectors.JSON, Parsed: true}
	case "uuid":
		return connectors.Type{Kind: connectors.UUID}
	}
	return connectors.Type{Kind: connectors.Text}
}

// enumValues reads the values out of enum('a','b”c'): a quote is doubled,
// control characters and backslashes stand behind a backslash whatever the mode.
func enumValues(column string) []string {
	_, rest, ok := strings.Cut(column, "(")
	if !ok {
		return nil
	}
	var values []string
	var b strings.Builder
	inside := false
	for s := rest; s != ""; s = s[1:] {
		switch {
		case !inside:
			inside = s[0] == '\''
		case strings.HasPrefix(s, "''"):
			b.WriteByte('\'')
			s = s[1:]
		case s[0] == '\'':
			values = append(values, b.String())
			b.Reset()
			inside = false
		case s[0] == '\\' && len(s) > 1:
			s = s[1:]
			b.WriteByte(unescape(s[0]))
		default:
			b.WriteByte(s[0])
		}
	}
	return values
}

func unescape(c byte) byte {
	switch c {
	case '0':
		return 0
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'b':
		return '\b'
	case 'Z':
		return 0x1a
	}
	return c
}

// selection is the expression that gives the column's exact value as text.
// FLOAT would print six digits, and as BIT its raw bytes.
func (n native) selection() string {
	name := ident(n.name)
	switch {
	case n.data == "float":
		return name + "*1e0"
	case n.data == "bit":
		return name + "+0"
	case geometries[n.data]:
		return n.geometry()
	}
	return name
}

// geometry is well-known text, behind its reference system where it has one: SRID=4326;POINT(1 2).
func (n native) geometry() string {
	name := ident(n.name)
	return "IF(ST_SRID(" + name + ") = 0, ST_AsText(" + name + "), CONCAT('SRID=', ST_SRID(" + name + "), ';', ST_AsText(" + name + ")))"
}

// comparison is the expression to order and bound the column by, such that the
// server compares as the canonical text does: text by its bytes in UTF-8.
func (n native) comparison() string {
	name := ident(n.name)
	switch n.logical().Kind {
	case connectors.Text, connectors.Enum, connectors.JSON:
		switch {
		case geometries[n.data]:
			return "CAST(" + n.geometry() + " AS BINARY)"
		case n.charset == "utf8mb4", n.charset == "utf8mb3", n.charset == "utf8", n.charset == "ascii", n.charset == "binary":
			return "CAST(" + name + " AS BINARY)"
		}
		return "CAST(CONVERT(" + name + " USING utf8mb4) AS BINARY)"
	case connectors.UUID:
		return "CAST(CAST(" + name + " AS CHAR) AS BINARY)"
	}
	if n.data == "year" || n.data == "bit" {
		return name + "+0"
	}
	if n.data == "float" {
		return name + "*1e0"
	}
	return name
}

// commentPrefix marks the comment that carries a logical type.
const commentPrefix = "arus:"

// written is the logical type of a column that Arus may have made itself: its
// comment says what the native type does not.
func (n native) written() connectors.Type {
	t := n.logical()
	text, ok := strings.CutPrefix(n.comment, commentPrefix)
	if !ok {
		return t
	}
	if declared, ok := parseType(text); ok {
		return declared
	}
	return t
}

// parseType reads the forms that commentOf writes.
func parseType(s string) (connectors.Type, bool) {
	s, parsed := strings.CutSuffix(s, " parsed")
	name, rest, found := strings.Cut(s, "(")
	t := connectors.Type{Kind: connectors.ParseKind(name), Parsed: parsed}
	rest = strings.TrimSuffix(rest, ")")
	switch {
	case t.Kind == connectors.Invalid:
		return t, false
	case t.Kind == connectors.Array && found:
		elem, ok := parseType(rest)
		t.Elem = &elem
		return t, ok
	case t.Kind == connectors.Decimal:
		p, sc, _ := strings.Cut(rest, ",")
		t.Precision, _ = strconv.Atoi(p)
		t.Scale, _ = strconv.Atoi(sc)
		return t, t.Precision > 0
	case t.Kind == connectors.Text && found:
		t.Length, _ = strconv.Atoi(rest)
	}
	return t, true
}

// column is a target column as it is made.
type column struct {
	connectors.Column
	definition string // the native type with collation, without NULL and comment
	comment    string
	key        bool
}

func (c column) ddl() string {
	s := ident(c.Name) + " " + c.definition
	if c.key || !c.Nullable {
		s += " NOT NULL"
	} else {
		s += " NULL"
	}
	if c.comment != "" {
		s += " COMMENT " + literal(commentPrefix+c.comment)
	}
	return s
}

// Limits of InnoDB tables in bytes, with utf8mb4's four bytes a character.
const (
	maxKeyBytes  = 3072
	maxRowBytes  = 65535 - 1024 // the rest is for pointers to texts and NULL bits
	maxVarchar   = 4096         // characters; longer ones are longtext
	maxEnumBytes = 255 * 4
	charBytes    = 4
)

// targetColumns chooses the native types of a table to be made.
func (f flavour) targetColumns(object string, columns []connectors.Column, key []string) ([]column, error) {
	isKey := map[string]bool{}
	for _, k := range key {
		isKey[strings.ToLower(k)] = true
	}
	fixed, open := 0, 0 // key bytes of columns whose size is given, and the columns that share the rest
	for _, c := range columns {
		if isKey[strings.ToLower(c.Name)] {
			if n := f.keyBytes(c.Type); n > 0 {
				fixed += n
			} else {
				open++
			}
		}
	}
	share := 0
	if open > 0 {
		share = min(768, max(0, maxKeyBytes-fixed)/charBytes/open)
		if share < 16 {
			return nil, typeError("create table", object, "choose a shorter key", "the key's columns %s exceed %d bytes", strings.Join(key, ", "), maxKeyBytes)
		}
	}
	row := 0
	out := make([]column, len(columns))
	for i, c := range columns {
		if strings.ContainsFunc(c.Name, func(r rune) bool { return r > 0xffff }) {
			return nil, typeError("create table", object+"."+c.Name, "rename the column at the source, or leave it out", "names cannot hold characters beyond U+FFFF, such as emoji, here")
		}
		out[i] = column{Column: c, key: isKey[strings.ToLower(c.Name)]}
		var err error
		if out[i].definition, err = f.nativeType(object, c, out[i].key, share, &row); err != nil {
			return nil, err
		}
		out[i].comment = f.commentOf(c.Type, out[i].definition)
	}
	return out, nil
}

// keyBytes is what a column takes in the key; 0 when it shares what is left.
func (f flavour) keyBytes(t connectors.Type) int {
	switch t.Kind {
	case connectors.Text:
		if t.Length > 0 && t.Length <= 191 {
			return t.Length * charBytes
		}
		return 0
	case connectors.Bytes:
		if t.Length > 0 && t.Length <= 768 {
			return t.Length
		}
		return 0
	case connectors.Numeric, connectors.Enum, connectors.Interval:
		return 0
	case connectors.UUID:
		return 36
	case connectors.Decimal:
		return 32
	}
	return 8
}

func (f flavour) nativeType(object string, c connectors.Column, key bool, share int, row *int) (string, error) {
	t := c.Type
	text := func(kind string) string { return kind + " CHARACTER SET utf8mb4 COLLATE " + f.collation() }
	varchar := func(length int) string {
		switch {
		case key && f.keyBytes(t) == 0:
			if length == 0 || length > share {
				length = share
			}
		case length == 0 || length > maxVarchar || *row+length*charBytes+2 > maxRowBytes:
			*row += 12
			return text("longtext")
		}
		*row += length*charBytes + 2
		return text("varchar(" + strconv.Itoa(length) + ")")
	}
	*row += 9
	switch t.Kind {
	case connectors.Bool:
		return "tinyint(1)", nil
	case connectors.Int8:
		return "tinyint", nil
	case connectors.Int16:
		return "smallint", nil
	case connectors.Int32:
		return "int", nil
	case connectors.Int64:
		return "bigint", nil
	case connectors.Uint8:
		return "tinyint unsigned", nil
	case connectors.Uint16:
		return "smallint unsigned", nil
	case connectors.Uint32:
		return "int unsigned", nil
	case connectors.Uint64:
		return "bigint unsigned", nil
	case connectors.Float32:
		return "float", nil
	case connectors.Float64:
		return "double", nil
	case connectors.Decimal:
		if t.Precision <= 65 && t.Scale <= 30 {
			*row += 24
			return "decimal(" + strconv.Itoa(t.Precision) + "," + strconv.Itoa(t.Scale) + ")", nil
		}
		if key {
			return varchar(t.Precision + 3), nil
		}
		return varchar(0), nil
	case connectors.Text:
		if t.Fixed && t.Length > 0 && t.Length <= 255 && (!key || f.keyBytes(t) > 0) && *row+t.Length*charBytes <= maxRowBytes {
			*row += t.Length * charBytes
			return text("char(" + strconv.Itoa(t.Length) + ")"), nil
		}
		return varchar(t.Length), nil
	case connectors.Numeric, connectors.Interval:
		return varchar(0), nil
	case connectors.Enum:
		if list, ok := enumList(t.Values); ok {
			return text("enum(" + list + ")"), nil
		}
		longest := 255
		for _, v := range t.Values {
			longest = max(longest, utf8.RuneCountInString(v))
		}
		return varchar(longest), nil
	case connectors.Bytes:
		switch {
		case t.Fixed && t.Length > 0 && t.Length <= 255:
			*row += t.Length
			return "binary(" + strconv.Itoa(t.Length) + ")", nil
		case key && f.keyBytes(t) == 0:
			*row += share
			return "varbinary(" + strconv.Itoa(share) + ")", nil
		case t.Length > 0 && t.Length <= maxVarchar && *row+t.Length+2 <= maxRowBytes:
			*row += t.Length
			return "varbinary(" + strconv.Itoa(t.Length) + ")", nil
		}
		return "longblob", nil
	case connectors.Date:
		return "date", nil
	case connectors.Time:
		return "time(6)", nil
	case connectors.Timestamp, connectors.TimestampTZ:
		return "datetime(6)", nil
	case connectors.UUID:
		// MariaDB's own UUID refuses values whose version or variant it does not know.
		*row += 36
		return "char(36) CHARACTER SET ascii COLLATE ascii_bin", nil
	case connectors.JSON, connectors.Array:
		if key {
			return "", typeError("create table", object+"."+c.Name, "choose another key", "%s cannot be part of a key", t.Kind)
		}
		return "json", nil
	}
	return "", typeError("create table", object+"."+c.Name, "", "no column type for %s", t)
}

// collation compares text by its bytes and does not pad with blanks, so that
// keys that differ in case or in trailing blanks stay distinct. MySQL before
// 8.0.17 has none that does not pad.
func (f flavour) collation() string {
	switch {
	case f.mariadb:
		return "utf8mb4_nopad_bin"
	case f.atLeast(8, 0, 17):
		return "utf8mb4_0900_bin"
	}
	return "utf8mb4_bin"
}

// enumList quotes the values; ok is false for those that enum cannot hold:
// it drops trailing blanks and has limits.
func enumList(values []string) (list string, ok bool) {
	if len(values) == 0 || len(values) > 1000 {
		return "", false
	}
	seen := map[string]bool{}
	quoted := make([]string, len(values))
	for i, v := range values {
		if len(v) > maxEnumBytes || strings.HasSuffix(v, " ") || strings.ContainsAny(v, "\x00") || seen[v] {
			return "", false
		}
		seen[v] = true
		quoted[i] = literal(v)
	}
	return strings.Join(quoted, ","), true
}

// commentOf is the logical type where the native one alone would give another.
func (f flavour) commentOf(t connectors.Type, definition string) string {
	switch t.Kind {
	case connectors.Bool, connectors.Numeric, connectors.Interval, connectors.TimestampTZ, connectors.UUID:
		return t.Kind.String()
	case connectors.Array:
		if t.Elem != nil {
			return "array(" + t.Elem.Kind.String() + ")"
		}
		return "array"
	case connectors.JSON:
		switch {
		case f.mariadb && t.Parsed:
			return "json parsed"
		case !f.mariadb && !t.Parsed:
			return "json"
		}
	case connectors.Time:
		if !t.Wide {
			return "time"
		}
	case connectors.Decimal:
		if strings.Contains(definition, "CHARACTER SET") {
			return t.String()
		}
	case connectors.Text:
		if t.Length > maxVarchar && !t.Fixed {
			return t.String()
		}
	}
	return ""
}

// holds says whether an existing column takes every value of the type without a
// silent change. What the server refuses aloud, such as a text that is too
// long, is left to it.
func (n native) holds(want connectors.Type) bool {
	have := n.written()
	textual := n.charset != "" && n.data != "enum"
	switch k := want.Kind; {
	case k == connectors.Bool || k.IsInteger():
		return have.Kind == connectors.Bool || have.Kind.IsInteger() || have.Kind == connectors.Decimal
	case k == connectors.Float32:
		return have.Kind == connectors.Float32 || have.Kind == connectors.Float64
	case k == connectors.Float64:
		return have.Kind == connectors.Float64
	case k == connectors.Decimal:
		return have.Kind == connectors.Decimal && have.Scale >= want.Scale || have.Kind == connectors.Numeric && textual
	case k == connectors.Timestamp || k == connectors.TimestampTZ:
		return have.Kind == k && n.fraction == 6
	case k == connectors.Time:
		return have.Kind == k && n.fraction == 6
	case k == connectors.UUID:
		return have.Kind == k
	case k == connectors.JSON || k == connectors.Array:
		return have.Kind == connectors.JSON || have.Kind == connectors.Array
	case k == connectors.Enum:
		return textual || n.data == "enum"
	case k == connectors.Bytes:
		return have.Kind == connectors.Bytes
	case k == connectors.Date:
		return have.Kind == k
	case k == connectors.Numeric:
		return have.Kind == k || have.Kind == connectors.Text
	}
	return textual && have.Kind == connectors.Text || have.Kind == want.Kind
}
