package model

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Settings are the runtime settings in their own types, for the code that
// honours them.
type Settings struct {
	PipelineNamePrefix string
	DefaultSchedule    string
	TimeZone           *time.Location
	SchedulePaused     bool
	ScheduleJitter     time.Duration

	AutoDiscoverTables    bool
	SchemaDriftDetection  bool
	AutoAlterSchema       bool
	MaxRetries            int
	InitialBackoff        time.Duration
	QualityCheckThreshold float64 // percent

	NotifyPipelineFailures bool
	NotifySchemaDrift      bool
	NotifyDeadLetter       bool

	BatchRows              int
	BatchBytes             int
	MaxConcurrentRuns      int
	MaxConcurrentPerSource int

	RetentionRuns        int // days; 0 = for ever, as the other three
	RetentionLogs        int
	RetentionDeadLetters int
	RetentionAudit       int

	BackupSchedule string // empty: none
	BackupKeep     int    // 0 = all

	SessionLife time.Duration
	BaseURL     string
	Metrics     MetricsAccess

	TLSCertificate string // path of a PEM file, with its key's in TLSKey; empty: plain HTTP
	TLSKey         string
	TLSSelfSigned  bool
	TrustedProxies []netip.Prefix
}

// MetricsAccess says who may read /metrics.
type MetricsAccess string

// Who may read /metrics: whoever is on this machine, and a token from elsewhere;
// a token always; nobody.
const (
	MetricsLocal MetricsAccess = "local"
	MetricsToken MetricsAccess = "token"
	MetricsOff   MetricsAccess = "off"
)

// SettingKind is the type of a setting's value.
type SettingKind string

// The kinds of setting.
const (
	KindText     SettingKind = "text"
	KindBool     SettingKind = "true or false"
	KindInt      SettingKind = "whole number"
	KindNumber   SettingKind = "number"
	KindDuration SettingKind = "duration" // 90s, 15m, 12h
)

// Setting is one runtime setting: the row of the table that the command line,
// the API, the console and the documentation are made from.
type Setting struct {
	Key     string      `json:"key"`
	Kind    SettingKind `json:"type"`
	Default string      `json:"default"`
	Doc     string      `json:"description"`

	set func(s *Settings, value string) error
}

// Env is the environment variable that sets it.
func (s Setting) Env() string { return "ARUS_" + strings.ToUpper(s.Key) }

// Flag is the flag of arus serve that sets it, without its dashes.
func (s Setting) Flag() string { return strings.ReplaceAll(s.Key, "_", "-") }

// Check says what is wrong with a value, nil when nothing is.
func (s Setting) Check(value string) error { return s.set(new(Settings), value) }

// SettingList is the one table of runtime settings.
func SettingList() []Setting {
	return []Setting{
		{"pipeline_name_prefix", KindText, "arus-prod-", "Begins the name of a pipeline that is made when the tables of a source are chosen.", text(100, func(s *Settings) *string { return &s.PipelineNamePrefix })},
		{"default_schedule", KindText, "*/5 * * * *", "The schedule of a new pipeline that names none: five cron fields, @hourly and the like, or `every 15m`; `manual` for none.", text(100, func(s *Settings) *string { return &s.DefaultSchedule })},
		{"timezone", KindText, "UTC", "The zone in which schedules are read, such as Europe/Berlin.", zone},
		{"schedule_paused", KindBool, "false", "Let no schedule start a run, whatever the pipelines say. What comes due meanwhile is left out.", boolean(func(s *Settings) *bool { return &s.SchedulePaused })},
		{"schedule_jitter", KindDuration, "0", "Start each scheduled run up to so much later, differently for each pipeline, so that not all start at once; never later than half the time to the next one.", duration(0, time.Hour, func(s *Settings) *time.Duration { return &s.ScheduleJitter })},
		{"auto_discover_tables", KindBool, "true", "Before a run, take tables that are new at the source, as its filters select them, into pipelines with the option follow_tables. Off: into none.", boolean(func(s *Settings) *bool { return &s.AutoDiscoverTables })},
		{"schema_drift_detection", KindBool, "true", "Record and tell of columns that were added, removed or changed at the source. Off: runs go on with the columns that their targets have, and nobody hears of it; pipelines whose policy is to evolve or to freeze notice all the same.", boolean(func(s *Settings) *bool { return &s.SchemaDriftDetection })},
		{"auto_alter_schema", KindBool, "false", "Add new columns to targets without asking.", boolean(func(s *Settings) *bool { return &s.AutoAlterSchema })},
		{"max_retries", KindInt, "3", "How often a step of a new pipeline is tried again after a fault that may pass.", integer(0, 20, func(s *Settings) *int { return &s.MaxRetries })},
		{"initial_backoff", KindDuration, "2", "The wait before the first retry; it doubles with each one. A bare number means seconds.", duration(0, 10*time.Minute, func(s *Settings) *time.Duration { return &s.InitialBackoff })},
		{"quality_check_threshold", KindNumber, "5.0", "How many per cent of the rows read may be missing after the load before the quality check fails.", number(0, 100, func(s *Settings) *float64 { return &s.QualityCheckThreshold })},
		{"notify_pipeline_failures", KindBool, "true", "Send notifications of failed runs; the switch for all pipelines.", boolean(func(s *Settings) *bool { return &s.NotifyPipelineFailures })},
		{"notify_schema_drift", KindBool, "true", "Send notifications of schema drift; the switch for all pipelines.", boolean(func(s *Settings) *bool { return &s.NotifySchemaDrift })},
		{"notify_dead_letter", KindBool, "true", "Send notifications of dead letters; the switch for all pipelines.", boolean(func(s *Settings) *bool { return &s.NotifyDeadLetter })},
		{"batch_size", KindInt, "65536", "Rows in one batch between source and destination, at most.", integer(1, 10_000_000, func(s *Settings) *int { return &s.BatchRows })},
		{"batch_bytes", KindInt, "8388608", "Bytes in one batch between source and destination, at most.", integer(64<<10, 1<<30, func(s *Settings) *int { return &s.BatchBytes })},
		{"max_concurrent_runs", KindInt, "4", "Runs at a time; others wait.", integer(1, 256, func(s *Settings) *int { return &s.MaxConcurrentRuns })},
		{"max_concurrent_per_source", KindInt, "2", "Runs at a time that read from one source; others wait.", integer(1, 256, func(s *Settings) *int { return &s.MaxConcurrentPerSource })},
		{"retention_runs_days", KindInt, "90", "Days that runs are kept; the last of each pipeline stays. 0 keeps all.", integer(0, 36500, func(s *Settings) *int { return &s.RetentionRuns })},
		{"retention_logs_days", KindInt, "30", "Days that the log lines of runs are kept. 0 keeps all.", integer(0, 36500, func(s *Settings) *int { return &s.RetentionLogs })},
		{"retention_dead_letters_days", KindInt, "90", "Days that dead letters are kept. 0 keeps all.", integer(0, 36500, func(s *Settings) *int { return &s.RetentionDeadLetters })},
		{"retention_audit_days", KindInt, "365", "Days that the audit log is kept. 0 keeps all.", integer(0, 36500, func(s *Settings) *int { return &s.RetentionAudit })},
		{"backup_schedule", KindText, "", "When the state and the built-in warehouse are backed up into the folder `backups` of the data directory, as the schedule of a pipeline; empty for never.", backupSchedule},
		{"backup_keep", KindInt, "7", "How many backups the schedule keeps. 0 keeps all.", integer(0, 10_000, func(s *Settings) *int { return &s.BackupKeep })},
		{"session_life", KindDuration, "168h", "How long a sign-in to the console lasts.", duration(5*time.Minute, 365*24*time.Hour, func(s *Settings) *time.Duration { return &s.SessionLife })},
		{"base_url", KindText, "", "Where people reach the console, such as https://arus.example.com. With https, cookies are for encrypted connections only.", baseURL},
		{"tls_certificate", KindText, "", "File with the certificate, and those it was signed by, in PEM: the server then speaks https. It is read again when it changes. Set or taken away, it counts from the next start.", text(1000, func(s *Settings) *string { return &s.TLSCertificate })},
		{"tls_key", KindText, "", "File with the certificate's key in PEM.", text(1000, func(s *Settings) *string { return &s.TLSKey })},
		{"tls_self_signed", KindBool, "false", "Speak https with a certificate that Arus makes for itself, which browsers warn of. It counts from the next start.", boolean(func(s *Settings) *bool { return &s.TLSSelfSigned })},
		{"trusted_proxies", KindText, "", "Addresses or networks, with commas between, of proxies that are believed where a request comes from and whether it was https (X-Forwarded-For, X-Forwarded-Proto). One on this machine is believed without.", proxies},
		{"metrics", KindText, "local", "Who may read /metrics: local (this machine, and tokens from elsewhere), token (tokens only) or off.", metrics},
	}
}

func text(limit int, field func(*Settings) *string) func(*Settings, string) error {
	return func(s *Settings, value string) error {
		var f faults
		f.length("", value, limit)
		if len(f) > 0 {
			return fmt.Errorf("%s", f[0].Message)
		}
		*field(s) = value
		return nil
	}
}

func boolean(field func(*Settings) *bool) func(*Settings, string) error {
	return func(s *Settings, value string) error {
		switch strings.ToLower(value) {
		case "true", "1", "yes", "on":
			*field(s) = true
		case "false", "0", "no", "off":
			*field(s) = false
		default:
			return fmt.Errorf("must be true or false, not %q", value)
		}
		return nil
	}
}

func integer(least, most int, field func(*Settings) *int) func(*Settings, string) error {
	return func(s *Settings, value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < least || n > most {
			return fmt.Errorf("must be a whole number from %d to %d, not %q", least, most, value)
		}
		*field(s) = n
		return nil
	}
}

func number(least, most float64, field func(*Settings) *float64) func(*Settings, string) error {
	return func(s *Settings, value string) error {
		n, err := strconv.ParseFloat(value, 64)
		if err != nil || !(n >= least && n <= most) {
			return fmt.Errorf("must be a number from %g to %g, not %q", least, most, value)
		}
		*field(s) = n
		return nil
	}
}

func duration(least, most time.Duration, field func(*Settings) *time.Duration) func(*Settings, string) error {
	return func(s *Settings, value string) error {
		d, err := time.ParseDuration(value)
		if n, nerr := strconv.ParseUint(value, 10, 31); nerr == nil {
			d, err = time.Duration(n)*time.Second, nil
		}
		if err != nil || d < least || d > most {
			return fmt.Errorf("must be a duration from %s to %s, such as 90s, 15m or 12h, not %q", least, most, value)
		}
		*field(s) = d
		return nil
	}
}

func zone(s *Settings, value string) error {
	if value == "" || value == "Local" {
		return fmt.Errorf("must be a zone such as UTC or Europe/Berlin, not %q", value)
	}
	at, err := time.LoadLocation(value)
	if err != nil {
		return fmt.Errorf("must be a zone such as UTC or Europe/Berlin, not %q", value)
	}
	s.TimeZone = at
	return nil
}

func baseURL(s *Settings, value string) error {
	value = strings.TrimRight(value, "/")
	if value != "" {
		u, err := url.Parse(value)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return fmt.Errorf("must be a URL such as https://arus.example.com, not %q", value)
		}
	}
	s.BaseURL = value
	return nil
}

func backupSchedule(s *Settings, value string) error {
	if _, err := ParseSchedule(value, nil); err != nil {
		return err
	}
	s.BackupSchedule = value
	return nil
}

func proxies(s *Settings, value string) error {
	var list []netip.Prefix
	for part := range strings.SplitSeq(value, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		network, err := netip.ParsePrefix(part)
		if err != nil {
			var one netip.Addr
			if one, err = netip.ParseAddr(part); err == nil {
				network = netip.PrefixFrom(one, one.BitLen())
			}
		}
		if err != nil {
			return fmt.Errorf("must be addresses or networks such as 10.0.0.5, 10.1.0.0/16, not %q", part)
		}
		list = append(list, network.Masked())
	}
	s.TrustedProxies = list
	return nil
}

func metrics(s *Settings, value string) error {
	switch m := MetricsAccess(value); m {
	case MetricsLocal, MetricsToken, MetricsOff:
		s.Metrics = m
		return nil
	}
	return fmt.Errorf("must be local, token or off, not %q", value)
}

// Origin says where the value of a setting came from.
type Origin string

// The origins of a value, the strongest first.
const (
	OriginFlag    Origin = "flag"
	OriginEnv     Origin = "environment"
	OriginFile    Origin = "file"
	OriginSetting Origin = "setting"
	OriginDefault Origin = "default"
)

// SettingLayer holds the values that one origin gives, by key.
type SettingLayer struct {
	Origin Origin
	Values map[string]string
}

// SettingValue is a setting with its value and where that came from.
type SettingValue struct {
	Setting
	Value  string `json:"value"`
	Origin Origin `json:"origin"`
}

// ResolveSettings takes each setting from the first layer that has it, else its
// default. A value that is not valid is a fault and the next layer's is taken;
// so is a key that no setting has.
func ResolveSettings(layers ...SettingLayer) (Settings, []SettingValue, []FieldError) {
	var typed Settings
	var f faults
	table := SettingList()
	values := make([]SettingValue, len(table))
	for i, setting := range table {
		v := SettingValue{Setting: setting, Value: setting.Default, Origin: OriginDefault}
		if err := setting.set(&typed, setting.Default); err != nil {
			f.add(setting.Key, "%v", err)
		}
		for _, layer := range layers {
			value, ok := layer.Values[setting.Key]
			if !ok {
				continue
			}
			if err := setting.set(&typed, value); err != nil {
				f.add(setting.Key, "%v (from the %s)", err, layer.Origin)
				continue
			}
			v.Value, v.Origin = value, layer.Origin
			break
		}
		values[i] = v
	}
	for _, layer := range layers {
		for key := range layer.Values {
			if _, ok := FindSetting(key); !ok {
				f.add(key, "is no setting (from the %s)", layer.Origin)
			}
		}
	}
	return typed, values, f
}

// FindSetting finds a setting by its key.
func FindSetting(key string) (Setting, bool) {
	for _, s := range SettingList() {
		if s.Key == key {
			return s, true
		}
	}
	return Setting{}, false
}
