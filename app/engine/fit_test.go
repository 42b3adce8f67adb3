package engine

import (
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/go-cmp/cmp"

	"arus/app/model"
	"arus/connectors"
)

func TestDeadLettersAreCountedAndKeepTheirRows(t *testing.T) {
	t.Parallel()
	for _, policy := range model.PolicyList() {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, fakeTable("orders", "id"))
			b.job.Pipeline.Options.Policies.NUL = policy
			b.source.rows["orders"] = rowsFrom(8, func(i int) int64 { return us + int64(i) })
			for _, i := range []int{1, 6} {
				b.source.rows["orders"][i].text = "a\x00b"
			}
			r := b.run()
			switch policy {
			case model.PolicyFail:
				if r.Status != model.RunFailed || connectors.KindOf(r.Tables[0].Err) != connectors.KindType || !strings.Contains(r.Tables[0].Error, "text") || len(b.dest.tables["orders"]) != 0 {
					t.Errorf("%+v, %d rows", r.Tables[0], len(b.dest.tables["orders"]))
				}
			case model.PolicyReplace:
				if got, want := counts(r), [4]int64{8, 8, 0, 0}; got != want || r.Tables[0].ValuesReplaced != 2 || len(r.Warnings) != 1 {
					t.Errorf("counts %v, want %v; %d replaced, warnings %q", got, want, r.Tables[0].ValuesReplaced, r.Warnings)
				}
				if got := b.dest.tables["orders"][1].text; got != "a\ufffdb" {
					t.Errorf("replaced text is %q", got)
				}
				if again := b.mustSucceed(); again.RowsRead != 0 {
					t.Errorf("a run with nothing new read %d rows", again.RowsRead)
				}
			case model.PolicyDeadLetter:
				if got, want := counts(r), [4]int64{8, 6, 0, 2}; got != want || r.Status != model.RunSuccess {
					t.Errorf("counts %v, want %v; %s", got, want, r.Status)
				}
				want := []string{
					`{"id":2,"text":"a\ufffdb","updated_at":"2023-11-14T22:13:20.000001Z"} column text: a text with U+0000`,
					`{"id":7,"text":"a\ufffdb","updated_at":"2023-11-14T22:13:20.000006Z"} column text: a text with U+0000`,
				}
				if diff := cmp.Diff(want, b.dest.letters); diff != "" {
					t.Errorf("dead letters (-want +got)\n%s", diff)
				}
				if again := b.mustSucceed(); again.RowsRead != 0 {
					t.Errorf("a run with nothing new read %d rows", again.RowsRead)
				}
			}
		})
	}
}

func TestDeadLettersThatCannotBeKeptFailTheTable(t *testing.T) {
	t.Parallel()
	b := newBench(t, fakeTable("orders", "id"))
	b.job.Pipeline.Options.Policies.NUL = model.PolicyDeadLetter
	b.source.rows["orders"] = rowsFrom(3, func(i int) int64 { return us + int64(i) })
	b.source.rows["orders"][2].text = "\x00"
	b.faults.after["letters"] = 0
	if r := b.run(); r.Status != model.RunFailed || b.state.marks["orders"].Value != "" {
		t.Errorf("status %s, watermark %q: a row that is nowhere was passed", r.Status, b.state.marks["orders"].Value)
	}
	if r := b.mustSucceed(); r.DeadLetters != 1 {
		t.Errorf("%d dead letters after the next run, want 1", r.DeadLetters)
	}
}

func TestFitFindsWhatADestinationCannotHold(t *testing.T) {
	t.Parallel()
	column := func(kind connectors.Kind) connectors.Column {
		return connectors.Column{Name: "c", Type: connectors.Type{Kind: kind, Precision: 10, Scale: 2}, Nullable: true}
	}
	zero, _ := connectors.InvalidDate("0000-00-00")
	zeroTime, _ := connectors.InvalidTimestamp("2024-00-15 01:02:03")
	none := connectors.Holds{MinDate: -719528, MaxDate: 2932896}
	all := connectors.Holds{NUL: true, NaN: true, DecimalNaN: true, NumericNaN: true, InfiniteTimes: true, InvalidDates: true}
	tests := []struct {
		name   string
		column connectors.Column
		fill   func(array.Builder)
		want   []string // reasons by row; "" fits
	}{
		{"text", column(connectors.Text), func(b array.Builder) {
			for _, s := range []string{"", "ok", "\x00", "x\xffy", "😀"} {
				b.(*array.StringBuilder).Append(s)
			}
		}, []string{"", "", "a text with U+0000", "a text that is not UTF-8", ""}},
		{"float64", column(connectors.Float64), func(b array.Builder) {
			b.(*array.Float64Builder).AppendValues([]float64{0, math.NaN(), math.Inf(1), math.MaxFloat64}, nil)
		}, []string{"", "the number NaN", "the number +Inf", ""}},
		{"float32", column(connectors.Float32), func(b array.Builder) {
			b.(*array.Float32Builder).AppendValues([]float32{0, float32(math.NaN()), float32(math.Inf(-1))}, nil)
		}, []string{"", "the number NaN", "the number -Inf"}},
		{"decimal", column(connectors.Decimal), func(b array.Builder) {
			b.(*array.Decimal128Builder).Append(connectors.DecimalNaN128)
			b.AppendNull()
		}, []string{"the number NaN", ""}},
		{"numeric", column(connectors.Numeric), func(b array.Builder) {
			for _, s := range []string{"1.5", "NaN", "-Infinity"} {
				b.(*array.StringBuilder).Append(s)
			}
		}, []string{"", "the number NaN", "the number -Infinity"}},
		{"date", column(connectors.Date), func(b array.Builder) {
			b.(*array.Date32Builder).AppendValues([]arrow.Date32{0, zero, connectors.DateInfinity, -719529, 2932897, 2932896}, nil)
		}, []string{"", "the date 0000-00-00", "the date infinity", "the date -0001-12-31", "the date 10000-01-01", ""}},
		{"timestamp", column(connectors.Timestamp), func(b array.Builder) {
			b.(*array.TimestampBuilder).AppendValues([]arrow.Timestamp{0, zeroTime, connectors.TimestampMinInfinity, 253402300799999999, 253402300800000000}, nil)
		}, []string{"", "the timestamp 2024-00-15 01:02:03", "the timestamp -infinity", "", "the timestamp 10000-01-01 00:00:00"}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			fill := func() arrow.RecordBatch {
				var batch arrow.RecordBatch
				b := connectors.NewBatcher([]connectors.Column{tc.column}, connectors.Limits{}, func(r arrow.RecordBatch) error { batch = r; return nil })
				defer b.Release()
				tc.fill(b.Builders[0])
				for range tc.want {
					if err := b.EndRow(1); err != nil {
						t.Fatal(err)
					}
				}
				if err := b.Flush(); err != nil {
					t.Fatal(err)
				}
				return batch
			}
			f := fitter{holds: none, columns: []connectors.Column{tc.column}, replaced: map[string]int64{}}
			got := slicesOf(len(tc.want))
			for _, m := range f.scan(nil, fill().Column(0), 0) {
				got[m.row] = m.reason
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("reasons (-want +got)\n%s", diff)
			}
			f.policies = model.Policies{NUL: model.PolicyReplace, UTF8: model.PolicyReplace, Date: model.PolicyReplace, Number: model.PolicyReplace}
			mended, letters, err := f.fit(fill())
			if err != nil || len(letters) != 0 || mended.NumRows() != int64(len(tc.want)) {
				t.Fatalf("fit: %v, %d letters", err, len(letters))
			}
			if again := f.scan(nil, mended.Column(0), 0); len(again) != 0 {
				t.Errorf("after replacing, %v still do not fit", again)
			}
			f.holds = all
			for _, m := range f.scan(nil, fill().Column(0), 0) {
				if m.reason != "a text that is not UTF-8" {
					t.Errorf("a destination that holds everything refuses %s", m.reason)
				}
			}
			f.holds, f.columns = none, []connectors.Column{{Name: "c", Type: tc.column.Type}} // NOT NULL
			_, letters, err = f.fit(fill())
			if err != nil || !isText(tc.column.Type.Kind) && len(letters) == 0 {
				t.Errorf("NOT NULL column: %v, %d letters: there is no NULL to put in the place of a value", err, len(letters))
			}
		})
	}
}

func slicesOf(n int) []string { return make([]string, n) }

func TestWithoutNULKeepsBackslashes(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`"a\\u0000b"`:    `"a\\u0000b"`,
		`"\u0000\u0000"`: `"\ufffd\ufffd"`,
		`"\\\u0000"`:     `"\\\ufffd"`,
		`"\n\"\u0000"`:   `"\n\"\ufffd"`,
		`"x"`:            `"x"`,
	} {
		if got := string(withoutNUL([]byte(in))); got != want {
			t.Errorf("withoutNUL(%s) = %s, want %s", in, got, want)
		}
	}
}

func TestOverLongValuesAreCutOrTakenOut(t *testing.T) {
	t.Parallel()
	columns := []connectors.Column{{Name: "k", Type: connectors.Type{Kind: connectors.Text}}, {Name: "t", Type: connectors.Type{Kind: connectors.Text}}, {Name: "b", Type: connectors.Type{Kind: connectors.Bytes}}}
	var batch arrow.RecordBatch
	b := connectors.NewBatcher(columns, connectors.Limits{}, func(r arrow.RecordBatch) error { batch = r; return nil })
	defer b.Release()
	for _, v := range [][3]string{{"k1", "äöü", "abc"}, {"k2", "äöüß", "abcd"}, {"long", "ä", ""}} {
		b.Builders[0].(*array.StringBuilder).Append(v[0])
		b.Builders[1].(*array.StringBuilder).Append(v[1])
		b.Builders[2].(*array.BinaryBuilder).Append([]byte(v[2]))
		if err := b.EndRow(8); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
	f := fitter{holds: connectors.Holds{NUL: true}, columns: columns, key: []string{"k"}, lengths: []int{2, 3, 3}, replaced: map[string]int64{}, policies: model.Policies{Long: model.PolicyReplace}}
	out, letters, err := f.fit(batch)
	if err != nil || len(letters) != 1 || !strings.Contains(letters[0].reason, "4 characters where 2 fit") {
		t.Fatalf("fit: %v, letters %v", err, letters)
	}
	var got []string
	for i := range int(out.NumRows()) {
		got = append(got, string(connectors.AppendRowJSON(nil, out, columns, i)))
	}
	if diff := cmp.Diff([]string{`{"k":"k1","t":"äöü","b":"YWJj"}`, `{"k":"k2","t":"äöü","b":"YWJj"}`}, got); diff != "" {
		t.Errorf("rows (-want +got)\n%s", diff)
	}
}
