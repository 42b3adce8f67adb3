package engine

import (
	"strings"
	"testing"

	"arus/connectors"
)

func TestAdvise(t *testing.T) {
	t.Parallel()
	col := func(name string, kind connectors.Kind) connectors.Column {
		return connectors.Column{Name: name, Type: connectors.Type{Kind: kind}}
	}
	half := 0.5
	nullable := col("updated_at", connectors.Timestamp)
	nullable.Nullable, nullable.NullShare = true, &half
	tests := []struct {
		name     string
		table    connectors.Table
		column   string
		warnings []string
	}{
		{"by priority, not position", connectors.Table{Columns: []connectors.Column{col("created_at", connectors.Timestamp), col("updated", connectors.Timestamp), col("lastModified", connectors.TimestampTZ)}, Indexed: []string{"lastModified"}, PrimaryKey: []string{"id"}}, "lastModified", nil},
		{"the type must order rows in time", connectors.Table{Columns: []connectors.Column{col("updated", connectors.Bool), col("updated_at", connectors.Text)}}, "", nil},
		{"camel case", connectors.Table{Columns: []connectors.Column{col("updatedAt", connectors.TimestampTZ)}, Indexed: []string{"updatedAt"}, PrimaryKey: []string{"id"}}, "updatedAt", nil},
		{"all that may be wrong", connectors.Table{Columns: []connectors.Column{nullable}}, "updated_at", []string{"no index", "50.0 %", "no key"}},
		{"created", connectors.Table{Columns: []connectors.Column{col("created_at", connectors.Date)}, Indexed: []string{"created_at"}, PrimaryKey: []string{"id"}}, "created_at", []string{"old rows", "last day"}},
		{"soft deletes", connectors.Table{Columns: []connectors.Column{col("updated_at", connectors.Timestamp), col("deletedAt", connectors.Timestamp), col("is_deleted", connectors.Bool), col("undeleted", connectors.Bool)}, Indexed: []string{"updated_at"}, PrimaryKey: []string{"id"}}, "updated_at", []string{"deletedAt", "is_deleted"}},
		{"soft deletes without a watermark", connectors.Table{Columns: []connectors.Column{col("deleted_at", connectors.Text)}}, "", []string{"deleted_at"}},
		{"nothing", connectors.Table{Columns: []connectors.Column{col("id", connectors.Int64)}}, "", nil},
	}
	for _, tc := range tests {
		a := Advise(tc.table)
		if a.Column != tc.column || a.Reason == "" || len(a.Warnings) != len(tc.warnings) {
			t.Errorf("%s: %+v", tc.name, a)
			continue
		}
		for i, want := range tc.warnings {
			if !strings.Contains(a.Warnings[i], want) {
				t.Errorf("%s: warning %q does not say %q", tc.name, a.Warnings[i], want)
			}
		}
	}
}
