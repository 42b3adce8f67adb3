package conformance

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"arus/connectors"
)

func alterer(t testing.TB, d connectors.Destination) connectors.Alterer {
	t.Helper()
	a, ok := d.(connectors.Alterer)
	if !ok {
		t.Fatal("the destination alters no targets")
	}
	return a
}

func typed(name string, t connectors.Type) connectors.Column {
	return connectors.Column{Name: name, Type: t, Nullable: true}
}

// alterAddsAndWidens wants a target that grew to have the rows it had, null where they had nothing, and to take what
// did not fit before, by each mode.
func alterAddsAndWidens(t *testing.T, h *Harness) {
	d, s := h.destination(t), h.source(t)
	a := alterer(t, d)
	id := idText()[0]
	columns := []connectors.Column{
		id, column("small", connectors.Int16), column("n", connectors.Int32), typed("p", connectors.NewDecimal(6, 2)),
		typed("s", connectors.Type{Kind: connectors.Text, Length: 5}), column("f", connectors.Float32), column("kept", connectors.Date),
	}
	columns[2].Nullable = false
	wide := slices.Clone(columns)
	wide[1].Type = connectors.Type{Kind: connectors.Int32}
	wide[2].Type = connectors.Type{Kind: connectors.Int64}
	wide[3].Type = connectors.NewDecimal(14, 4)
	wide[4].Type.Length = 50
	wide[5].Type = connectors.Type{Kind: connectors.Float64}
	added := []connectors.Column{column("a b\"`\\'c", connectors.Int64), typed("note", connectors.Type{Kind: connectors.Text, Length: 20}), column("at", connectors.TimestampTZ)}
	added[0].Name = h.shorten(added[0].Name)
	added[2].Type.Precision = 6
	grown := slices.Concat(wide, added)
	before := [][]any{{"1", "-32768", "-2147483648", "-1234.56", "abcde", "0.5", "2026-01-02"}, {"2", nil, "7", nil, nil, nil, nil}, {"3", "32767", "2147483647", "1234.50", "é", "-2", "1999-12-31"}}
	after := [][]any{
		{"1", "-32768", "-2147483648", "-1234.5600", "abcde", "0.5", "2026-01-02", nil, nil, nil},
		{"2", nil, "7", nil, nil, nil, nil, nil, nil, nil},
		{"3", "32767", "2147483647", "1234.5000", "é", "-2", "1999-12-31", nil, nil, nil},
	}
	more := [][]any{
		{"3", "-2147483648", "9223372036854775807", "9876543210.1234", "a text of more than five letters", "1e+300", "2026-01-02", "-9223372036854775808", "note", "2026-01-02T03:04:05.000006Z"},
		{"4", "70000", "-9223372036854775808", "-0.0001", "", "0.1", nil, nil, nil, nil},
	}
	for _, mode := range modes {
		req := h.in(mode, "t_"+mode.String()[len(mode.String())-2:])
		first := h.in(connectors.Replace, req.Target.Name)
		first.Key, first.Columns, req.Columns = req.Key, columns, grown
		load(t, d, first, before)
		if err := a.Alter(t.Context(), req.Target, nil, nil); err != nil {
			t.Errorf("to alter nothing gives %v", err)
		}
		if err := a.Alter(t.Context(), req.Target, added, wide[1:6]); err != nil {
			t.Fatalf("alter: %v", err)
		}
		if diff := cmp.Diff(after, h.read(t, s, req)); diff != "" {
			t.Errorf("after the alteration (-want +got):\n%s", diff)
		}
		found, ok, err := d.Table(t.Context(), req.Target)
		if err != nil || !ok || !found.Managed || !slices.Equal(found.PrimaryKey, first.Key) {
			t.Errorf("the altered table is described as %+v, %v, %v", found, ok, err)
		}
		for _, c := range grown {
			if have, ok := found.Column(c.Name); !ok || h.Skip["native types"] == "" && have.Type.Kind != c.Type.Kind {
				t.Errorf("the altered table has the column %+v, %v, want %s", have, ok, c.Type)
			}
		}
		load(t, d, req, more)
		want := [][]any{after[0], after[1], more[0], more[1]}
		switch mode { //nolint:exhaustive // the modes here
		case connectors.Replace:
			want = more
		case connectors.ReplaceWindow: // of ids from 5
			want = [][]any{after[0], after[1], after[2], more[0], more[1]}
		}
		if diff := cmp.Diff(byText(want), byText(h.read(t, s, req))); diff != "" {
			t.Errorf("%s after the alteration (-want +got):\n%s", mode, diff)
		}
	}
}

// alterWidensAKey widens a column of the key, after which merges still find their rows.
func alterWidensAKey(t *testing.T, h *Harness) {
	d, s := h.destination(t), h.source(t)
	a := alterer(t, d)
	columns := []connectors.Column{column("a", connectors.Int32), typed("b", connectors.Type{Kind: connectors.Text, Length: 5}), column("v", connectors.Text)}
	columns[0].Nullable, columns[1].Nullable = false, false
	req := h.request("t", columns, []string{"a", "b"}, connectors.Merge)
	load(t, d, req, [][]any{{"1", "x", "old"}, {"2", "y", "old"}})
	wide := slices.Clone(columns)
	wide[0].Type, wide[1].Type.Length = connectors.Type{Kind: connectors.Int64}, 40
	if err := a.Alter(t.Context(), req.Target, nil, wide[:2]); err != nil {
		t.Fatalf("alter: %v", err)
	}
	req.Columns = wide
	load(t, d, req, [][]any{{"2", "y", "new"}, {"3000000000", "longer than five", "new"}})
	want := [][]any{{"1", "x", "old"}, {"2", "y", "new"}, {"3000000000", "longer than five", "new"}}
	if diff := cmp.Diff(want, h.read(t, s, req)); diff != "" {
		t.Errorf("merged after the alteration (-want +got):\n%s", diff)
	}
}

// alterSaysWhatIsMissing wants the names of an absent table and of an absent column, and no change.
func alterSaysWhatIsMissing(t *testing.T, h *Harness) {
	d, s := h.destination(t), h.source(t)
	a := alterer(t, d)
	more := []connectors.Column{column("more", connectors.Int64)}
	err := a.Alter(t.Context(), connectors.TableRef{Schema: h.Schema, Name: "absent_table"}, more, nil)
	if connectors.KindOf(err) != connectors.KindNotFound || !mentions(err, "absent_table") {
		t.Errorf("to alter an absent table gives %v (kind %q)", err, connectors.KindOf(err))
	}
	req := h.request("t", idText(), []string{"id"}, connectors.Replace)
	load(t, d, req, counted(3, "x"))
	err = a.Alter(t.Context(), req.Target, more, []connectors.Column{column("absent_column", connectors.Int64)})
	if connectors.KindOf(err) != connectors.KindNotFound || !mentions(err, "absent_column") {
		t.Errorf("to widen an absent column gives %v (kind %q)", err, connectors.KindOf(err))
	}
	if _, ok := h.find(t, s, req.Target).Column("more"); ok {
		t.Error("an alteration that fails adds a column")
	}
	if diff := cmp.Diff(counted(3, "x"), h.read(t, s, req)); diff != "" {
		t.Errorf("an alteration that fails changes the rows (-want +got):\n%s", diff)
	}
}
