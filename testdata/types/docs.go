package types

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

var sourceNames = map[string]string{"postgresql": "PostgreSQL", "mysql": "MySQL and MariaDB", "mongodb": "MongoDB", "sqlite": "SQLite"}

// destinations are the columns of the docs: a destination's name in goldens and for people.
var destinations = [][2]string{{"postgresql", "PostgreSQL"}, {"mysql", "MySQL, MariaDB"}, {"clickhouse", "ClickHouse 18.16"}, {"embedded", "warehouse"}}

const docsHead = `# Types

What becomes of every native type on its way. This page is generated from the goldens in ` + "`testdata/types`" + `, which the
matrix test holds against real servers: every value there arrives in every destination, direct and raw, and is read back
equal. ` + "`go test ./testdata/types -update`" + ` writes it anew. Precision, scale, length, sign, nullability and keys are carried
over where the destination has them. Nothing is narrowed silently: what a destination cannot hold is listed below.

`

const docsForms = `## Deliberate changes of form

Where a destination has no such type, the value is kept exactly in another form:

- **Unsigned integers** become the next wider type in PostgreSQL, 64-bit ones numeric(20,0).
- **tinyint(1)** stays a number: 2, 127 and -1 are values of it. **bit(1)** is a boolean, longer bit fields of MySQL are
  unsigned numbers. A boolean is tinyint(1) in MySQL.
- **bit strings, ranges, composites, geometry, network addresses, time with time zone, full text, hstore, ltree, xml** and all other types without a
  kind of their own become text, as the server itself writes them. MySQL geometry becomes well-known text, behind SRID=n; where it has one.
- **Arrays** become JSON, of any dimension, with nulls; lower bounds other than 1 are lost.
- **Enumerations** become text in PostgreSQL; MySQL keeps them as enum where it can. A **set** becomes text with commas.
- **money** becomes numeric, without a currency sign.
- **Decimals** beyond what a destination has (65 digits or 30 decimals in MySQL) and numerics without a declared precision become exact
  text; in PostgreSQL they are numeric.
- **timestamptz** is datetime(6) in UTC in MySQL, and datetime always keeps six digits there.
- **TIME** of MySQL, which is a span of up to 838 hours, becomes an interval in PostgreSQL; 24:00:00 stays 24:00:00 in a time of day.
- **Intervals** become ISO 8601 text where there is no such type.
- **UUIDs** are char(36) in MySQL.
- **JSON** keeps its spelling in PostgreSQL's json and MariaDB's json, and loses it (blanks, order and duplicates of keys) in jsonb, in MySQL's json,
  and on the way through raw mode. The value stays the same, with all digits of its numbers.
- **char(n)** compares without trailing blanks, and comes without them.
- **binary(n)** and **varbinary(n)** are bytea in PostgreSQL, which declares no length.
- **Texts** longer than 4096 characters are longtext in MySQL.
- **Generated, identity and serial columns** are copied as plain values.
- **Minus zero** of a float is zero in MySQL, and in PostgreSQL through raw mode.
- **MongoDB**: ObjectId is its 24 hexadecimal digits; documents, arrays and fields whose values have no type in common are relaxed Extended JSON;
  numbers of several types share the least type that holds them all exactly; dates are timestamptz(3).
- **SQLite**: a column has its declared type when all its values fit that, else the least type that holds them all.
- **ClickHouse** has the types of the server's version. The column above is of 18.16, the oldest one: a current server keeps dates as Date32,
  timestamps as DateTime64(6, 'UTC'), booleans as Bool and decimals up to 76 digits as Decimal, which an old one keeps exactly as text or numbers.
  Times of day, intervals, JSON, arrays and numerics are text.
- The **warehouse** requires values in key columns only; other columns may be NULL there.

`

// Docs writes docs/types.md.
func Docs() (string, error) {
	var b, refused strings.Builder
	b.WriteString(docsHead)
	for _, dialect := range Dialects {
		g, err := Load(dialect)
		if err != nil {
			return "", err
		}
		if err := docsTable(&b, g); err != nil {
			return "", err
		}
		docsRefused(&refused, g)
	}
	b.WriteString(docsForms)
	b.WriteString("## Values that a destination cannot hold\n\nThe pipeline's policies decide what happens to them: the table fails with an error that names the column, the row is kept as a dead\n" +
		"letter, or the value is replaced and counted.\n\n| source | type | values | cannot be held by |\n|---|---|---|---|\n")
	b.WriteString(refused.String())
	return b.String(), nil
}

// docsTable is the table of one source. A destination without goldens has no column.
func docsTable(b *strings.Builder, g Golden) error {
	var titles []string
	var mappings []map[string]string
	for _, d := range destinations {
		text, err := Mapping(g.Dialect, d[0])
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		titles, mappings = append(titles, d[1]), append(mappings, parseMapping(text))
	}
	fmt.Fprintf(b, "## From %s\n\n| type | logical | %s |\n|---|---|%s\n", sourceNames[g.Dialect], strings.Join(titles, " | "), strings.Repeat("---|", len(titles)))
	seen := map[string]bool{}
	for _, group := range g.Groups {
		for _, c := range group.Columns {
			cells := []string{code(c.Title()), code(c.Logical)}
			for _, m := range mappings {
				native, ok := m[group.Name+"\t"+c.Title()]
				switch {
				case ok:
					cells = append(cells, code(strings.TrimSuffix(native, " NOT NULL")))
				case c.Offline:
					cells = append(cells, "as "+code(c.Logical))
				default:
					return fmt.Errorf("the goldens of %s say nothing of %s", g.Dialect, c.Title())
				}
			}
			if row := "| " + strings.Join(cells, " | ") + " |\n"; !seen[row] {
				seen[row] = true
				b.WriteString(row)
			}
		}
	}
	b.WriteString("\n")
	return nil
}

// parseMapping reads a mapping: the native type at the destination by group and title.
func parseMapping(text string) map[string]string {
	m := map[string]string{}
	group := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "# "); ok {
			group, _, _ = strings.Cut(rest, ",")
			continue
		}
		if parts := strings.Split(line, "\t"); len(parts) == 3 {
			m[group+"\t"+parts[0]] = parts[2]
		}
	}
	return m
}

func docsRefused(b *strings.Builder, g Golden) {
	for _, group := range g.Groups {
		for _, c := range group.Columns {
			by := map[string][]string{} // values by who refuses them
			var order []string
			for _, v := range c.Values {
				var names []string
				for _, d := range destinations {
					if in := v.In[d[0]]; in != nil && strings.HasPrefix(*in, "!") {
						names = append(names, d[1])
					}
				}
				who := strings.Join(names, "; ")
				if who == "" {
					continue
				}
				if !slices.Contains(order, who) {
					order = append(order, who)
				}
				by[who] = append(by[who], code(visible(*v.Want)))
			}
			for _, who := range order {
				fmt.Fprintf(b, "| %s | %s | %s | %s |\n", sourceNames[g.Dialect], code(c.Title()), strings.Join(by[who], ", "), who)
			}
		}
	}
}

// code is text in a cell as it is.
func code(s string) string {
	return "`" + strings.NewReplacer("|", "\\|", "`", "'", "\n", " ").Replace(s) + "`"
}

func visible(s string) string { return strings.ReplaceAll(s, "\x00", "\\0") }
