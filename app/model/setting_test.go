package model

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the generated page")

const configurationPage = "../../docs/configuration.md"

// TestConfigurationPage keeps docs/configuration.md as the table of settings is;
// with -update it writes the page.
func TestConfigurationPage(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	b.WriteString(`# Configuration

<!-- Made from app/model/setting.go by "go tool task gen"; do not edit. -->

A value comes from the first of these that has it: a flag of ` + "`arus serve`" + `, the environment, the file ` + "`arus.yaml`" + ` in the
data directory (` + "`key: value`" + ` lines), the settings (` + "`arus settings set`, the API, the console" + `), the default. The
settings take effect at once; ` + "`arus settings list`" + ` shows every value and where it came from.

| key | type | default | environment | flag | meaning |
|---|---|---|---|---|---|
`)
	for _, s := range SettingList() {
		def := "`" + s.Default + "`"
		if s.Default == "" {
			def = "none"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | `%s` | `--%s` | %s |\n", s.Key, s.Kind, def, s.Env(), s.Flag(), s.Doc)
	}
	b.WriteString(`
Beside the settings, these say where Arus lives and are read at the start alone:

| environment | flag | meaning |
|---|---|---|
| ` + "`ARUS_DATA`" + ` | ` + "`--data`" + ` | the data directory: state file, key, warehouse |
| ` + "`ARUS_LISTEN`" + ` | ` + "`--listen`" + ` | the address of ` + "`arus serve`" + `, 127.0.0.1:8082 by default |
| ` + "`ARUS_LOG_FORMAT`" + ` | ` + "`--log-format`" + ` | text or json |
| ` + "`ARUS_ENCRYPTION_KEY`" + ` | | takes the place of the key file; several keys are separated by commas, the first one seals |
`)
	if *update {
		if err := os.WriteFile(configurationPage, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(configurationPage)
	if err != nil || !bytes.Equal(got, b.Bytes()) {
		t.Errorf("%s is not current: run 'go tool task gen' (%v)", configurationPage, err)
	}
}

func TestSettingsAreTakenFromTheStrongestOrigin(t *testing.T) {
	t.Parallel()
	typed, values, faults := ResolveSettings()
	if len(faults) != 0 {
		t.Fatalf("a default is not valid: %v", faults)
	}
	if typed.InitialBackoff != 2*time.Second || typed.TimeZone != time.UTC || !typed.AutoDiscoverTables || typed.AutoAlterSchema || typed.RetentionRuns != 90 {
		t.Errorf("%+v", typed)
	}
	for _, v := range values {
		if v.Origin != OriginDefault || v.Doc == "" || len(v.Key) > 100 {
			t.Errorf("%+v", v)
		}
	}
	typed, values, faults = ResolveSettings(
		SettingLayer{OriginFlag, map[string]string{"max_retries": "7", "batch_size": "none"}},
		SettingLayer{OriginEnv, map[string]string{"max_retries": "8", "initial_backoff": "1m", "batch_size": "10"}},
		SettingLayer{OriginSetting, map[string]string{"max_retries": "9", "base_url": "https://a/", "typo": "1"}},
	)
	if typed.MaxRetries != 7 || typed.InitialBackoff != time.Minute || typed.BatchRows != 10 || typed.BaseURL != "https://a" {
		t.Errorf("%+v", typed)
	}
	origins := map[string]Origin{}
	for _, v := range values {
		origins[v.Key] = v.Origin
	}
	if origins["max_retries"] != OriginFlag || origins["batch_size"] != OriginEnv || origins["base_url"] != OriginSetting || origins["metrics"] != OriginDefault {
		t.Errorf("%v", origins)
	}
	if len(faults) != 2 || faults[0].Field != "batch_size" || faults[1].Field != "typo" {
		t.Errorf("%v", faults)
	}
}

func TestSettingsRefuseWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	for key, bad := range map[string][]string{
		"auto_alter_schema": {"", "maybe", "2"}, "max_retries": {"", "-1", "21", "1.5", "x"}, "initial_backoff": {"", "-1s", "11m", "x"},
		"quality_check_threshold": {"", "NaN", "-0.1", "100.1", "Inf"}, "timezone": {"", "Local", "Mars/Base", "../etc/passwd"},
		"base_url": {"arus.example.com", "ftp://x", "https://u:p@x", "https://x?y"}, "metrics": {"", "all"}, "session_life": {"1m", "9000h"},
		"default_schedule": {strings.Repeat("x", 101), "a\x00b"}, "trusted_proxies": {"x", "10.0.0.0/33", "10.0.0.5,proxy"}, "tls_self_signed": {"perhaps"},
	} {
		s, ok := FindSetting(key)
		if !ok {
			t.Fatalf("no setting %s", key)
		}
		for _, v := range bad {
			if s.Check(v) == nil {
				t.Errorf("%s takes %q", key, v)
			}
		}
	}
}
