package app

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"arus/app/model"
)

// honoured names, for every setting, the tests that see the program behave as it says.
func honoured() map[string][]string {
	return map[string][]string{
		"pipeline_name_prefix":        {"app/control TestSettingsOfNewPipelines"},
		"default_schedule":            {"app/control TestSettingsOfNewPipelines"},
		"timezone":                    {"app/control TestSettingsOfNewPipelines", "app/schedule TestChangesApplyAtOnce"},
		"schedule_paused":             {"app/control TestSettingsOfNewPipelines", "app/schedule TestChangesApplyAtOnce", "app/api TestHealthSaysWhatTheScheduleDoes"},
		"schedule_jitter":             {"app/schedule TestJitterSpreadsAndKeepsTheOrder"},
		"auto_discover_tables":        {"app/control TestNewTablesAreTakenInWhereThePipelineFollowsThem"},
		"schema_drift_detection":      {"app/control TestNoticingSchemaChangesCanBeSwitchedOff"},
		"auto_alter_schema":           {"app/control TestNewColumnsAreAddedWhereTheSettingSaysSo"},
		"max_retries":                 {"app/control TestSettingsOfNewPipelines"},
		"initial_backoff":             {"app/control TestSettingsOfRuns", "app/engine TestTheFirstWaitIsTheJobs"},
		"quality_check_threshold":     {"app/control TestSettingsOfRuns"},
		"notify_pipeline_failures":    {"app/notify TestOneAlertToAnIncident"},
		"notify_schema_drift":         {"app/notify TestDeadLettersAndDriftAndQualityAreTold"},
		"notify_dead_letter":          {"app/notify TestDeadLettersAndDriftAndQualityAreTold"},
		"batch_size":                  {"app/control TestSettingsOfRuns"},
		"batch_bytes":                 {"app/control TestSettingsOfRuns"},
		"max_concurrent_runs":         {"app/control TestRunsWaitForTheirTurn"},
		"max_concurrent_per_source":   {"app/control TestRunsWaitForTheirTurn"},
		"retention_runs_days":         {"app/control TestRetentionKeepsTheLastRuns"},
		"retention_logs_days":         {"app/control TestRetentionKeepsTheLastRuns"},
		"retention_dead_letters_days": {"app/control TestDeadLettersAreKeptAsLongAsTheSettingSays"},
		"retention_audit_days":        {"app/control TestRetentionKeepsTheLastRuns"},
		"backup_schedule":             {"app/control TestScheduledBackups"},
		"backup_keep":                 {"app/control TestScheduledBackups"},
		"session_life":                {"app/control TestASessionLastsAsLongAsTheSettingSays"},
		"base_url":                    {"app TestTheBaseURLIsInWhatIsSent"},
		"trusted_proxies":             {"app/web TestProxiesAreBelievedOnlyWhereTheyAreNamed"},
		"tls_certificate":             {"app TestEncryptedConnections"},
		"tls_key":                     {"app TestEncryptedConnections"},
		"tls_self_signed":             {"app TestEncryptedConnections"},
		"metrics":                     {"app TestFirstStart"},
	}
}

// TestEverySettingIsHonoured goes through the one table of settings: each has a test of what it does.
func TestEverySettingIsHonoured(t *testing.T) {
	t.Parallel()
	tests := map[string][]string{} // by package
	known := func(name string) bool {
		dir, test, _ := strings.Cut(name, " ")
		if _, ok := tests[dir]; !ok {
			files, err := filepath.Glob(filepath.Join("..", dir, "*_test.go"))
			if err != nil {
				t.Fatal(err)
			}
			tests[dir] = []string{}
			for _, file := range files {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(string(text), -1) {
					tests[dir] = append(tests[dir], m[1])
				}
			}
		}
		return slices.Contains(tests[dir], test)
	}
	rows := honoured()
	for _, s := range model.SettingList() {
		list := rows[s.Key]
		delete(rows, s.Key)
		if len(list) == 0 {
			t.Errorf("no test says that %s is honoured", s.Key)
		}
		for _, name := range list {
			if !known(name) {
				t.Errorf("%s: there is no test %s", s.Key, name)
			}
		}
	}
	for key := range rows {
		t.Errorf("there is no setting %s", key)
	}
}

// TestTheBaseURLIsInWhatIsSent sees it in the banner and in the cookie of a sign-in.
func TestTheBaseURLIsInWhatIsSent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := serve(t, dir, "--base-url", "https://arus.example.com")
	if !strings.Contains(r.said.String(), "https://arus.example.com/api/openapi.json") {
		t.Errorf("%s", r.said)
	}
	status, text := r.call(t, "GET", "/api/health", "", nil)
	if status != 200 {
		t.Errorf("%d %s", status, text)
	}
	req := fmt.Sprintf("%s/sign-in", r.url)
	res, err := client().Get(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("%v", res.Header)
	}
}
