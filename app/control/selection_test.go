package control

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"arus/connectors"
)

func TestPatternsMayCarryTheirSign(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		sel  selection
		want connectors.TableFilter
	}{
		{"plain", selection{Include: []string{"orders*"}, Exclude: []string{"*_temp"}}, connectors.TableFilter{Include: []string{"orders*"}, Exclude: []string{"*_temp"}}},
		{"signs in one list", selection{Include: []string{"+*", "-audit_*", "-temp_*"}}, connectors.TableFilter{Include: []string{"*"}, Exclude: []string{"audit_*", "temp_*"}}},
		{"signs in the other list", selection{Exclude: []string{"-audit_*", "+orders"}}, connectors.TableFilter{Include: []string{"orders"}, Exclude: []string{"audit_*"}}},
		{"schemas and views", selection{Schemas: []string{"a"}, Views: true}, connectors.TableFilter{Schemas: []string{"a"}, Views: true}},
	}
	for _, tc := range tests {
		if diff := cmp.Diff(tc.want, tc.sel.filter()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tc.name, diff)
		}
	}
}
