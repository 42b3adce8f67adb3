package model

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRunStatesMoveOnlyForward(t *testing.T) {
	t.Parallel()
	allowed := map[[2]RunStatus]bool{
		{"", RunRunning}: true, {"", RunSkipped}: true,
		{RunRunning, RunSuccess}: true, {RunRunning, RunFailed}: true, {RunRunning, RunCancelled}: true,
	}
	states := append(RunStatuses(), "", "unheard-of")
	for _, from := range states {
		for _, to := range states {
			if got, want := CanMove(from, to), allowed[[2]RunStatus{from, to}]; got != want {
				t.Errorf("CanMove(%q, %q) = %v, want %v", from, to, got, want)
			}
		}
	}
}

func TestSlug(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Shop": "shop", "My Shop-1": "my_shop_1", "ärger": "_rger", "": "", "a.b": "a_b", "日本": "__", "_x": "_x",
	} {
		if got := Slug(in); got != want {
			t.Errorf("Slug(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSplitPassword(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, uri, clean, password string }{
		{"none", "mongodb://h/db", "mongodb://h/db", ""},
		{"user only", "mongodb://u@h/db", "mongodb://u@h/db", ""},
		{"plain", "mongodb://u:p@h:27017/db?x=1", "mongodb://u@h:27017/db?x=1", "p"},
		{"several hosts", "mongodb://u:p@a:1,b:2/db", "mongodb://u@a:1,b:2/db", "p"},
		{"escaped", "mongodb+srv://u:p%40ss@h/", "mongodb+srv://u@h/", "p@ss"},
		{"unescaped at", "mongodb://u:p@ss@h/", "mongodb://u@h/", "p@ss"},
		{"unescaped slash", "mongodb://u:p/w@h/", "mongodb://u@h/", "p/w"},
		{"unescaped question mark", "mongodb://u:p?w@h/", "mongodb://u@h/", "p?w"},
		{"bad escape", "mongodb://u:p%zz@h/", "mongodb://u@h/", "p%zz"},
		{"at in query", "mongodb://u:p@h/db?tag=a@b", "mongodb://u@h/db?tag=a@b", "p"},
		{"not a uri", "h:1", "h:1", ""},
	}
	for _, tc := range tests {
		clean, password := SplitPassword(tc.uri)
		if clean != tc.clean || password != tc.password {
			t.Errorf("%s: SplitPassword(%q) = %q, %q, want %q, %q", tc.name, tc.uri, clean, password, tc.clean, tc.password)
		}
	}
}

func fields(faults []FieldError) []string {
	var out []string
	for _, f := range faults {
		out = append(out, f.Field)
	}
	return out
}

func TestSourceValidate(t *testing.T) {
	t.Parallel()
	good := Source{Name: "shop", Type: SourcePostgreSQL, Host: "h", Database: "d"}
	good.SetDefaults()
	tests := []struct {
		name   string
		change func(*Source)
		want   []string
	}{
		{"good", func(*Source) {}, nil},
		{"empty", func(s *Source) { *s = Source{} }, []string{"name", "type", "database", "host", "port", "sync_method", "status"}},
		{"name without a letter", func(s *Source) { s.Name = "--" }, []string{"name"}},
		{"name too long", func(s *Source) { s.Name = strings.Repeat("é", 255) + "a" }, []string{"name"}},
		{"sqlite has no host", func(s *Source) { s.Type, s.Host, s.Port = SourceSQLite, "", 0 }, nil},
		{"mongodb by uri", func(s *Source) {
			s.Type, s.Host, s.Port, s.Database, s.URI = SourceMongoDB, "", 0, "", "mongodb+srv://u@h/d"
		}, nil},
		{"uri with password", func(s *Source) { s.Type, s.URI = SourceMongoDB, "mongodb://u:p@h/d" }, []string{"uri"}},
		{"uri elsewhere", func(s *Source) { s.URI = "mongodb://h/d" }, []string{"uri"}},
		{"bad patterns", func(s *Source) { s.TableInclude, s.TableExclude = []string{"a*", "["}, []string{""} }, []string{"table_include[1]", "table_exclude[0]"}},
		{"half a client certificate", func(s *Source) { s.Options.TLS = TLSOptions{Mode: "sure", CertFile: "c"} }, []string{"options.tls.mode", "options.tls.cert_file"}},
	}
	for _, tc := range tests {
		s := good
		tc.change(&s)
		if diff := cmp.Diff(tc.want, fields(s.Validate())); diff != "" {
			t.Errorf("%s: faulty fields (-want +got)\n%s", tc.name, diff)
		}
	}
}

func TestDestinationValidate(t *testing.T) {
	t.Parallel()
	embedded := Destination{Name: "warehouse", Type: DestinationEmbedded}
	embedded.SetDefaults()
	if got := embedded.Validate(); got != nil {
		t.Errorf("the embedded warehouse needs nothing, got %v", got)
	}
	same := Destination{Name: "x", Type: DestinationMySQL, RawSchema: "a", TargetSchema: "a"}
	same.SetDefaults()
	if diff := cmp.Diff([]string{"host", "target_schema"}, fields(same.Validate())); diff != "" {
		t.Errorf("faulty fields (-want +got)\n%s", diff)
	}
}

func TestPipelineValidate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*Pipeline)
		want   []string
	}{
		{"good", func(*Pipeline) {}, nil},
		{"no retries and no timeout are choices", func(p *Pipeline) { p.MaxRetries, p.TimeoutSeconds = 0, 0 }, nil},
		{"negative", func(p *Pipeline) { p.MaxRetries, p.TimeoutSeconds, p.Options.Parallel = -1, -1, -1 }, []string{"max_retries", "timeout_seconds", "options.parallel"}},
		{"waits for itself", func(p *Pipeline) { p.ID, p.DependsOn = "x", "x" }, []string{"depends_on"}},
		{"same table twice", func(p *Pipeline) { p.Tables = append(p.Tables, NewPipelineTable("", "orders")) }, []string{"tables[1].source_table"}},
		{"same key from two names", func(p *Pipeline) {
			p.Tables = []PipelineTable{NewPipelineTable("", "a.b"), NewPipelineTable("a", "b")}
		}, []string{"tables[1].source_table"}},
		{"schema and table too long together", func(p *Pipeline) {
			p.Tables = []PipelineTable{NewPipelineTable(strings.Repeat("s", 200), strings.Repeat("t", 200))}
		}, []string{"tables[0].source_schema with source_table"}},
		{"transform is an object", func(p *Pipeline) { p.Tables[0].TransformConfig = json.RawMessage(`{}`) }, []string{"tables[0].transform_config"}},
		{"transform holds null", func(p *Pipeline) { p.Tables[0].TransformConfig = json.RawMessage(`[null]`) }, []string{"tables[0].transform_config"}},
		{"transform", func(p *Pipeline) { p.Tables[0].TransformConfig = json.RawMessage(`[{"type":"x"}]`) }, nil},
		{"keys", func(p *Pipeline) { p.Tables[0].KeyColumns = []string{"a", "", "a"} }, []string{"tables[0].key_columns[1]", "tables[0].key_columns[2]"}},
	}
	for _, tc := range tests {
		p := NewPipeline("p", "s", "d")
		p.Tables = []PipelineTable{NewPipelineTable("", "orders")}
		tc.change(&p)
		if diff := cmp.Diff(tc.want, fields(p.Validate())); diff != "" {
			t.Errorf("%s: faulty fields (-want +got)\n%s", tc.name, diff)
		}
	}
}

func TestSealedPasswordStaysOutOfJSON(t *testing.T) {
	t.Parallel()
	for _, v := range []any{Source{PasswordEnc: "sealed"}, Destination{PasswordEnc: "sealed"}} {
		if b, err := json.Marshal(v); err != nil || strings.Contains(string(b), "sealed") {
			t.Errorf("json of %T = %s, %v", v, b, err)
		}
	}
}
