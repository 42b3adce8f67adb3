package lite

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"modernc.org/sqlite"
)

// counted is a table of the numbers from 0 with a value of every kind for each.
type counted struct {
	rows   int
	values []any
	plans  []Term
	fails  error // after the last row
	closed *int
}

func (c *counted) Plan(p *Plan) error {
	for i := range p.Terms {
		if t := &p.Terms[i]; t.Usable && t.Column == 0 && t.Op == Less {
			t.Arg, p.ID = 1, 1
			c.plans = append(c.plans, *t)
		}
	}
	p.Rows, p.Cost = int64(c.rows), float64(c.rows)
	return nil
}

func (c *counted) Open() Cursor { return &counting{counted: c} }

type counting struct {
	*counted
	at, end int
}

func (c *counting) Filter(plan int, args []driver.Value) (bool, error) {
	if c.at, c.end = 0, c.rows; plan == 1 {
		below, _ := args[0].(int64)
		c.end = min(c.end, int(below))
	}
	return c.at < c.end, nil
}

func (c *counting) Next() (bool, error) {
	if c.at++; c.at == c.end && c.fails != nil {
		return false, c.fails
	}
	return c.at < c.end, nil
}

func (c *counting) Column(out Out, i int) {
	if i == 0 {
		out.Int(int64(c.at))
		return
	}
	switch v := c.values[c.at%len(c.values)].(type) {
	case int64:
		out.Int(v)
	case float64:
		out.Real(v)
	case string:
		out.Text(v)
	case []byte:
		out.Blob(string(v))
	}
}

func (c *counting) Row() (int64, error) { return int64(c.at) + 100, nil }

func (c *counting) Close() error {
	*c.closed++
	return nil
}

func TestModule(t *testing.T) {
	t.Parallel()
	c, err := MemoryStrict(&sqlite.Driver{})
	if err != nil {
		t.Fatal(err)
	}
	closed := 0
	values := []any{nil, int64(-1 << 63), 2.5, "", "a\x00é", strings.Repeat("x", scratchBytes), strings.Repeat("y", 10*scratchBytes), []byte{}, []byte{0, 255}}
	tables := map[string]*counted{
		"t":    {rows: 3 * len(values), values: values, closed: &closed},
		"none": {values: values, closed: &closed},
		"bad":  {rows: 3, values: values, closed: &closed, fails: errors.New("the third row is lost")},
	}
	err = c.Module("counted", func(name string) (Table, string, error) {
		if tables[name] == nil {
			return nil, "", errors.New("nobody knows it")
		}
		return tables[name], "CREATE TABLE x (n, v)", nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for name := range tables {
		if err := c.Exec(ctx, "CREATE VIRTUAL TABLE "+name+" USING counted"); err != nil {
			t.Fatal(err)
		}
	}
	all := func(sql string) (out [][]any, err error) {
		err = c.Each(ctx, sql, nil, func(row []driver.Value) error {
			var values []any
			for _, v := range row {
				if b, ok := v.([]byte); ok {
					v = append([]byte{}, b...)
				}
				values = append(values, v)
			}
			out = append(out, values)
			return nil
		})
		return out, err
	}
	got, err := all("SELECT v, rowid FROM t WHERE n < 9")
	if err != nil {
		t.Fatal(err)
	}
	var want [][]any
	for i, v := range values {
		want = append(want, []any{v, int64(100 + i)})
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("values (-want +got):\n%s", d)
	}
	if len(tables["t"].plans) == 0 {
		t.Error("no plan was asked for")
	}
	// max() and min() keep a value while the cursor goes on.
	for sql, want := range map[string]any{
		"SELECT max(length(v)) FROM t":                                           int64(10 * scratchBytes),
		"SELECT substr(max(v), 1, 2) FROM t WHERE typeof(v) = 'text'":            "yy",
		"SELECT count(*) FROM t a JOIN t b ON a.n = b.n AND a.v = b.v":           int64(3 * (len(values) - 1)),
		"SELECT count(*) FROM t a, t b WHERE b.n < a.n":                          int64(27 * 26 / 2),
		"SELECT count(*) FROM none":                                              int64(0),
		"SELECT sum(n) FROM (SELECT n FROM t WHERE n < 5 OR v = 2.5 LIMIT 4)":    int64(0 + 1 + 2 + 3),
		"SELECT group_concat(n) FROM (SELECT n FROM bad LIMIT 2)":                "0,1",
		"SELECT count(*) FROM (SELECT v FROM t UNION SELECT v FROM t WHERE n>3)": int64(len(values)),
	} {
		got, err := all(sql)
		if err != nil || len(got) != 1 || got[0][0] != want {
			t.Errorf("%s gives %v, %v", sql, got, err)
		}
	}
	for sql, want := range map[string]string{
		"SELECT * FROM bad":                          "the third row is lost",
		"CREATE VIRTUAL TABLE other USING counted":   "nobody knows it",
		"SELECT * FROM counted":                      "no such table",
		"INSERT INTO t VALUES (1, 2)":                "may not be modified",
		"CREATE VIRTUAL TABLE t2 USING counted2(t2)": "no such module",
	} {
		if err := c.Exec(ctx, sql); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v", sql, err)
		}
	}
	if err := c.Exec(ctx, "DROP TABLE none"); err != nil {
		t.Error(err)
	}
	opened := c.modules[0].cursors
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if closed == 0 || len(opened.free) != len(opened.all) {
		t.Errorf("%d cursors were closed, and %d of %d are open", closed, len(opened.all)-len(opened.free), len(opened.all))
	}
}
