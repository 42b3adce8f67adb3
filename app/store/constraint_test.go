package store

import (
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"arus/app/model"
)

// leanRow is the least that each table takes.
func leanRow(table string) map[string]any {
	rows := map[string]map[string]any{
		"arus_config_users":                  {"email": "a@b", "password_hash": "h", "name": "n"},
		"arus_config_sources":                {"id": "1", "name": "n", "type": "mysql", "host": "h", "port": 1, "database": "d", "username": "u", "password_enc": "p"},
		"arus_config_destinations":           {"id": "1", "name": "n", "type": "mysql"},
		"arus_config_pipelines":              {"id": "1", "name": "n"},
		"arus_config_pipeline_tables":        {"id": "1", "source_table": "t"},
		"arus_config_transform_scripts":      {"id": "1", "name": "n", "content": "c"},
		"arus_config_notification_targets":   {"id": "1", "name": "n", "type": "slack", "config": "{}"},
		"arus_config_pipeline_notifications": {"id": "1", "pipeline_id": "p", "target_id": "t"},
		"arus_config_runtime_settings":       {"id": "1", "key": "k"},
		"arus_config_data_quality_log":       {"id": "1", "pipeline_id": "p", "run_id": "r", "table_name": "t", "check_type": "row_count", "status": "passed"},
		"arus_state_watermarks":              {"id": "1", "pipeline_id": "p", "source_table": "t"},
		"arus_run_logs_runs":                 {"id": "1", "pipeline_id": "p"},
		"arus_run_logs_run_table_stats":      {"id": "1", "table_name": "t"},
		"arus_run_logs_run_logs":             {"message": "m"},
	}
	return maps.Clone(rows[table])
}

var errUndo = errors.New("undo")

// tryInsert inserts a row, with one column set, and takes it back.
func tryInsert(t *testing.T, s *Store, table, column string, value any) error {
	t.Helper()
	row := leanRow(table)
	if column != "" {
		row[column] = value
	}
	names := slices.Sorted(maps.Keys(row))
	args := make([]any, len(names))
	for i, n := range names {
		args[i] = row[n]
	}
	err := s.write(t.Context(), func(tx *transaction) error {
		query := "INSERT INTO " + table + " (" + strings.Join(names, ", ") + ") VALUES (?" + strings.Repeat(", ?", len(names)-1) + ")"
		if _, err := tx.ExecContext(t.Context(), query, args...); err != nil {
			return err
		}
		return errUndo
	})
	if errors.Is(err, errUndo) {
		return nil
	}
	return translate(err)
}

func TestConstraintsRefuse(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	columns, _ := seed(t)
	for _, c := range columns {
		if c.Name == "id" {
			if err := tryInsert(t, s, c.Table, "", nil); err != nil {
				t.Errorf("%s: the least row is refused: %v", c.Table, err)
			}
			continue
		}
		var bad []any
		switch size := regexp.MustCompile(`\d+`).FindString(c.Type); {
		case size != "":
			n := map[string]int{"10": 10, "20": 20, "50": 50, "100": 100, "255": 255}[size]
			bad = append(bad, strings.Repeat("é", n+1))
		case c.Type == "BOOLEAN":
			bad = append(bad, 2, -1, "yes")
		case c.Type == "VARCHAR[]", strings.HasPrefix(c.Type, "JSON"):
			bad = append(bad, "", "{a}", "[1")
		case c.Type == "INTEGER", c.Type == "BIGINT", c.Type == "FLOAT":
			bad = append(bad, "many")
		}
		if strings.Contains(c.Constraints, "NOT NULL") {
			bad = append(bad, nil)
		}
		for _, v := range bad {
			if err := tryInsert(t, s, c.Table, c.Name, v); !errors.Is(err, ErrInvalid) {
				t.Errorf("%s.%s = %v: %v, want ErrInvalid", c.Table, c.Name, v, err)
			}
		}
	}
}

func words[T ~string](list []T) []string {
	var out []string
	for _, w := range list {
		out = append(out, string(w))
	}
	return out
}

func TestEnumerations(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	tests := []struct {
		table, column string
		allowed       []string
	}{
		{"arus_config_users", "role", []string{"admin", "editor", "viewer"}},
		{"arus_config_sources", "type", words(model.SourceTypes())},
		{"arus_config_sources", "sync_method", words(model.SyncMethods())},
		{"arus_config_sources", "status", words(model.ConnectionStatuses())},
		{"arus_config_destinations", "type", words(model.DestinationTypes())},
		{"arus_config_destinations", "status", words(model.ConnectionStatuses())},
		{"arus_config_pipelines", "status", words(model.PipelineStatuses())},
		{"arus_config_pipelines", "load_mode", words(model.LoadModes())},
		{"arus_config_pipeline_tables", "sync_mode", words(model.SyncModes())},
		{"arus_config_pipeline_tables", "load_mode", words(model.LoadModes())},
		{"arus_config_notification_targets", "type", []string{"telegram", "discord", "slack", "webhook", "smtp"}},
		{"arus_config_data_quality_log", "check_type", []string{"row_count", "null_check"}},
		{"arus_config_data_quality_log", "status", []string{"passed", "failed", "warning"}},
		{"arus_run_logs_runs", "status", words(model.RunStatuses())},
		{"arus_run_logs_runs", "trigger_type", words(model.TriggerTypes())},
		{"arus_run_logs_run_table_stats", "status", words(model.RunStatuses())},
		{"arus_run_logs_run_logs", "level", words(model.LogLevels())},
	}
	for _, tc := range tests {
		for _, good := range tc.allowed {
			if err := tryInsert(t, s, tc.table, tc.column, good); err != nil {
				t.Errorf("%s.%s = %q: %v", tc.table, tc.column, good, err)
			}
		}
		for _, bad := range []string{"", "other", strings.ToUpper(tc.allowed[0]) + " "} {
			if err := tryInsert(t, s, tc.table, tc.column, bad); !errors.Is(err, ErrInvalid) {
				t.Errorf("%s.%s = %q: %v, want ErrInvalid", tc.table, tc.column, bad, err)
			}
		}
	}
}

func TestDefaultUserIDIsAUUID(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	v4 := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	for i := range 50 {
		id := addUser(t, s, string(rune('a'+i)))
		if !v4.MatchString(id) || seen[id] {
			t.Fatalf("users.id = %q, want a new UUID", id)
		}
		seen[id] = true
	}
}

func addUser(t *testing.T, s *Store, email string) (id string) {
	t.Helper()
	err := s.writer.QueryRowContext(t.Context(), `INSERT INTO arus_config_users (email, password_hash, name) VALUES (?, 'h', 'n') RETURNING id`, email).Scan(&id)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
