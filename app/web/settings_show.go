package web

import (
	"net/url"
	"strings"

	"arus/app/auth"
	"arus/app/model"
	"arus/views/components"
	"arus/views/pages"
)

func (v *visit) settingTabs(path string) []components.Tab {
	tabs := []components.Tab{{Label: "Settings", Href: "/settings", Active: path == "/settings"}}
	if v.can(auth.Maintain) {
		tabs = append(tabs, components.Tab{Label: "As a file", Href: "/settings/configuration", Active: path == "/settings/configuration"})
	}
	return tabs
}

// settingGroups are the parts of the page of the settings. A setting that none
// names stands in the last one.
func settingGroups() []struct {
	title string
	keys  []string
} {
	return []struct {
		title string
		keys  []string
	}{
		{"Pipelines", []string{"pipeline_name_prefix", "auto_discover_tables", "schema_drift_detection", "auto_alter_schema", "quality_check_threshold"}},
		{"Schedules", []string{"default_schedule", "timezone", "schedule_paused", "schedule_jitter"}},
		{"Retries", []string{"max_retries", "initial_backoff"}},
		{"Throughput", []string{"batch_size", "batch_bytes", "max_concurrent_runs", "max_concurrent_per_source"}},
		{"Notifications", []string{"notify_pipeline_failures", "notify_schema_drift", "notify_dead_letter"}},
		{"Retention", []string{"retention_runs_days", "retention_logs_days", "retention_dead_letters_days", "retention_audit_days"}},
		{"Backups", []string{"backup_schedule", "backup_keep"}},
		{"Access", []string{"session_life", "base_url", "metrics", "tls_certificate", "tls_key", "tls_self_signed", "trusted_proxies"}},
	}
}

// settingsShow is the page of the settings.
func settingsShow(v *visit) error {
	values, err := v.Control.ListSettings(v.ctx)
	if err != nil {
		return err
	}
	return v.settingsPage(values, components.Form{Values: settingTexts(values)})
}

func settingTexts(values []model.SettingValue) url.Values {
	texts := url.Values{}
	for _, s := range values {
		texts.Set(s.Key, s.Value)
	}
	return texts
}

func (v *visit) settingsPage(values []model.SettingValue, f components.Form) error {
	byKey := map[string]model.SettingValue{}
	for _, s := range values {
		byKey[s.Key] = s
	}
	view := pages.ProgramView{Tabs: v.settingTabs("/settings"), Form: f}
	add := func(title string, keys []string) {
		group := pages.SettingGroup{Title: title}
		for _, key := range keys {
			if s, ok := byKey[key]; ok {
				group.Settings = append(group.Settings, settingLine(s))
				delete(byKey, key)
			}
		}
		if len(group.Settings) > 0 {
			view.Groups = append(view.Groups, group)
		}
	}
	for _, g := range settingGroups() {
		add(g.title, g.keys)
	}
	var rest []string
	for _, s := range values {
		if _, ok := byKey[s.Key]; ok {
			rest = append(rest, s.Key)
		}
	}
	add("More", rest)
	return v.showAs(statusOf(f), page{title: "Settings"}, pages.Program(view))
}

func settingLine(s model.SettingValue) pages.SettingLine {
	line := pages.SettingLine{
		Key: s.Key, Label: settingLabel(s.Key), Kind: string(s.Kind), Help: s.Doc, Value: s.Value, Default: s.Default, Origin: string(s.Origin),
		Fixed: s.Origin != model.OriginSetting && s.Origin != model.OriginDefault, Env: s.Env(),
	}
	switch {
	case s.Kind == model.KindBool:
		line.Options = []components.Option{{Value: "true", Label: "yes"}, {Value: "false", Label: "no"}}
	case s.Key == "metrics":
		line.Options = []components.Option{
			{Value: string(model.MetricsLocal), Label: "this machine, and tokens"}, {Value: string(model.MetricsToken), Label: "tokens only"}, {Value: string(model.MetricsOff), Label: "nobody"},
		}
	}
	return line
}

// settingLabel says the key of a setting in words.
func settingLabel(key string) string {
	text := strings.ReplaceAll(key, "_", " ")
	for short, long := range map[string]string{"base url": "base URL", "timezone": "time zone", "tls": "TLS"} {
		text = strings.ReplaceAll(text, short, long)
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// settingsChange stores the settings. What equals the default is taken back to
// it; what a flag, the environment or the file sets is left alone.
func settingsChange(v *visit) error {
	values, err := v.Control.ListSettings(v.ctx)
	if err != nil {
		return err
	}
	set, unset := map[string]string{}, []string{}
	for _, s := range values {
		if _, sent := v.r.PostForm[s.Key]; !sent || settingLine(s).Fixed {
			continue
		}
		switch text := v.value(s.Key); text {
		case s.Default, "":
			unset = append(unset, s.Key)
		default:
			set[s.Key] = text
		}
	}
	if err := v.Control.ChangeSettings(v.ctx, set, unset); err != nil {
		f, ok := v.form(err)
		if !ok {
			return err
		}
		for _, s := range values { // what is not sent stands there all the same
			if _, sent := f.Values[s.Key]; !sent {
				f.Values.Set(s.Key, s.Value)
			}
		}
		return v.settingsPage(values, f)
	}
	return v.done("/settings", "The settings are saved and hold from now on.")
}
