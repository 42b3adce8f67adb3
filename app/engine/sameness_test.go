package engine

import (
	"strings"
	"testing"

	"arus/connectors"
	"arus/connectors/conformance"
)

func TestFormsOfOneValueCompareEqual(t *testing.T) {
	t.Parallel()
	kind := func(k connectors.Kind) connectors.Type { return connectors.Type{Kind: k} }
	wide := connectors.Type{Kind: connectors.Time, Wide: true}
	for _, test := range []struct {
		left, right         connectors.Type
		leftText, rightText string
		same                bool
	}{
		{kind(connectors.TimestampTZ), kind(connectors.Timestamp), "2026-01-02T03:04:05Z", "2026-01-02T03:04:05", true},
		{kind(connectors.TimestampTZ), kind(connectors.Timestamp), "2026-01-02T03:04:05Z", "2026-01-02T03:04:06", false},
		{kind(connectors.Bool), kind(connectors.Int8), "true", "1", true},
		{kind(connectors.Bool), kind(connectors.Int8), "true", "2", false},
		{connectors.NewDecimal(12, 2), kind(connectors.Numeric), "1.50", "1.5", true},
		{kind(connectors.Float64), kind(connectors.Float64), "-0", "0", true},
		{kind(connectors.Float64), kind(connectors.Float64), "-1", "1", false},
		{wide, kind(connectors.Interval), "838:59:59.999999", "PT838H59M59.999999S", true},
		{wide, kind(connectors.Interval), "-838:00:59", "PT-838H-59S", true},
		{wide, kind(connectors.Interval), "24:00:00", "PT24H", true},
		{wide, kind(connectors.Interval), "00:00:00", "PT0S", true},
		{wide, kind(connectors.Interval), "-00:00:00.5", "PT-0.5S", true},
		{wide, kind(connectors.Interval), "00:01:00", "PT1H", false},
		{kind(connectors.JSON), kind(connectors.JSON), `{"b": 1.50, "a":[null]}`, `{"a":[null],"b":1.5}`, true},
		{kind(connectors.JSON), kind(connectors.JSON), "[1e5, -15E-1, 1e400, 0.0]", "[100000, -1.5, 1" + strings.Repeat("0", 400) + ", 0]", true},
		{kind(connectors.JSON), kind(connectors.JSON), "12345678901234567890.1", "12345678901234567890.2", false},
		{kind(connectors.JSON), kind(connectors.JSON), "1e99999999999999999999", "1e99999999999999999998", false},
		{kind(connectors.JSON), kind(connectors.JSON), `"1.50"`, `"1.5"`, false},
		{kind(connectors.Text), connectors.Type{Kind: connectors.Text, Length: 5, Fixed: true}, "ab", "ab   ", true},
		{kind(connectors.Text), kind(connectors.Text), "ab", "ab ", false},
	} {
		text := func(t1, t2 connectors.Type, value string) string {
			batch, err := conformance.Batch([]connectors.Column{{Name: "c", Type: t1}}, [][]any{{value}})
			if err != nil {
				t.Fatal(err)
			}
			defer batch.Release()
			return string(appendComparable(nil, batch.Column(0), t1, t2, 0))
		}
		left, right := text(test.left, test.right, test.leftText), text(test.right, test.left, test.rightText)
		if (left == right) != test.same {
			t.Errorf("%s %s and %s %s compare as %s and %s, the same: %v", test.left, test.leftText, test.right, test.rightText, left, right, !test.same)
		}
	}
}
