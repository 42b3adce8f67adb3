package control

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"arus/app/auth"
	"arus/app/model"
	"arus/app/store"
)

// DeclarationVersion is the form of a Declaration.
const DeclarationVersion = 1

// Declaration is the whole configuration by names, as a file holds it: no ids,
// no times, no secret. Where a secret belongs stands a reference to it.
type Declaration struct {
	Version      int                    `json:"version"`
	Settings     map[string]settingText `json:"settings,omitempty"`
	Users        []DeclaredUser         `json:"users,omitempty"`
	Sources      []DeclaredSource       `json:"sources,omitempty"`
	Destinations []DeclaredDestination  `json:"destinations,omitempty"`
	Targets      []DeclaredTarget       `json:"notification_targets,omitempty"`
	Pipelines    []DeclaredPipeline     `json:"pipelines,omitempty"`
}

// settingText is the value of a setting. A file may hold a bare true or 5.
type settingText string

// UnmarshalJSON takes any scalar.
func (t *settingText) UnmarshalJSON(text []byte) error {
	var s string
	if err := json.Unmarshal(text, &s); err == nil {
		*t = settingText(s)
		return nil
	}
	*t = settingText(text)
	return nil
}

// DeclaredUser is an account, without its password.
type DeclaredUser struct {
	Email  string     `json:"email"`
	Name   string     `json:"name"`
	Role   model.Role `json:"role"`
	Active *bool      `json:"is_active,omitempty"` // nil: true
}

// DeclaredSource is a source.
type DeclaredSource struct {
	Name          string              `json:"name"`
	Type          model.SourceType    `json:"type"`
	Host          string              `json:"host,omitempty"`
	Port          int                 `json:"port,omitempty"`
	Database      string              `json:"database,omitempty"`
	Username      string              `json:"username,omitempty"`
	Password      string              `json:"password,omitempty"` // a reference
	SSL           bool                `json:"ssl,omitempty"`
	URI           string              `json:"uri,omitempty"`
	AuthSource    string              `json:"auth_source,omitempty"`
	SyncMethod    model.SyncMethod    `json:"sync_method,omitempty"` // empty: auto
	TableInclude  []string            `json:"table_include,omitempty"`
	TableExclude  []string            `json:"table_exclude,omitempty"`
	SchemaInclude []string            `json:"schema_include,omitempty"`
	Options       model.SourceOptions `json:"options,omitzero"`
}

// DeclaredDestination is a destination.
type DeclaredDestination struct {
	Name         string                   `json:"name"`
	Type         model.DestinationType    `json:"type"`
	Host         string                   `json:"host,omitempty"`
	Port         int                      `json:"port,omitempty"`
	Database     string                   `json:"database,omitempty"`
	Username     string                   `json:"username,omitempty"`
	Password     string                   `json:"password,omitempty"` // a reference
	SSL          bool                     `json:"ssl,omitempty"`
	RawSchema    string                   `json:"raw_schema,omitempty"`    // empty: staging
	TargetSchema string                   `json:"target_schema,omitempty"` // empty: analytics
	IsDefault    bool                     `json:"is_default,omitempty"`
	Options      model.DestinationOptions `json:"options,omitzero"`
}

// DeclaredTarget is a notification target. The secret fields of its config are
// references.
type DeclaredTarget struct {
	Name   string            `json:"name"`
	Type   model.TargetType  `json:"type"`
	Config map[string]string `json:"config"`
	Active *bool             `json:"is_active,omitempty"` // nil: true
}

// DeclaredPipeline is a pipeline with what belongs to it.
type DeclaredPipeline struct {
	Name           string                `json:"name"`
	Source         string                `json:"source"`
	Destination    string                `json:"destination"`
	Status         model.PipelineStatus  `json:"status,omitempty"` // empty: active
	Schedule       string                `json:"schedule,omitempty"`
	DependsOn      string                `json:"depends_on,omitempty"`
	MaxRetries     *int                  `json:"max_retries,omitempty"`     // nil: 3
	TimeoutSeconds *int                  `json:"timeout_seconds,omitempty"` // nil: 300
	TargetSchema   string                `json:"target_schema,omitempty"`
	LoadMode       model.LoadMode        `json:"load_mode,omitempty"` // empty: direct
	SyncKey        string                `json:"sync_key,omitempty"`  // of a pipeline that arus sync made
	Options        model.PipelineOptions `json:"options,omitzero"`
	Tables         []DeclaredTable       `json:"tables"`
	Scripts        []DeclaredScript      `json:"scripts,omitempty"`
	Notifications  []DeclaredLink        `json:"notifications,omitempty"`
}

// DeclaredTable is a table of a pipeline.
type DeclaredTable struct {
	SourceTable      string           `json:"source_table"`
	SourceSchema     string           `json:"source_schema,omitempty"` // empty: the source's default
	TargetSchema     string           `json:"target_schema,omitempty"`
	TargetTable      string           `json:"target_table,omitempty"`
	SyncMode         model.SyncMode   `json:"sync_mode,omitempty"` // empty: incremental
	LoadMode         model.LoadMode   `json:"load_mode,omitempty"` // empty: direct
	WatermarkColumn  string           `json:"watermark_column,omitempty"`
	KeyColumns       []string         `json:"key_columns,omitempty"`
	LookbackSeconds  int              `json:"lookback_seconds,omitempty"`
	SoftDeleteColumn string           `json:"soft_delete_column,omitempty"`
	SoftDelete       model.SoftDelete `json:"soft_delete,omitempty"`
	Deletes          model.DeleteMode `json:"deletes,omitempty"`
	TransformConfig  model.JSON       `json:"transform_config,omitempty"`
	Enabled          *bool            `json:"enabled,omitempty"` // nil: true
}

// DeclaredScript is a transform script of a pipeline.
type DeclaredScript struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Content     string `json:"content"`
}

// DeclaredLink sends events of a pipeline to a notification target.
type DeclaredLink struct {
	Target string              `json:"target"`
	Events []model.NotifyEvent `json:"events"`
}

// Export gives the configuration as it is now.
func (s *Service) Export(ctx context.Context) (Declaration, error) {
	if err := s.may(ctx, auth.Maintain); err != nil {
		return Declaration{}, err
	}
	return s.export(ctx, s.Store)
}

// isReference says whether a text stands for a secret that is kept elsewhere.
func isReference(text string) bool {
	return strings.HasSuffix(text, "}") && (strings.HasPrefix(text, "${env:") || strings.HasPrefix(text, "${file:"))
}

// secretNames gives each secret that is kept here the variable by which a file
// refers to it. Names that differ in signs only are told apart by a number.
type secretNames map[string]bool

func (n secretNames) next(kind, name, field string) string {
	base := strings.ToUpper("ARUS_" + kind + "_" + model.Slug(name) + "_" + field)
	text := base
	for i := 2; n[text]; i++ {
		text = fmt.Sprintf("%s_%d", base, i)
	}
	n[text] = true
	return "${env:" + text + "}"
}

// reference is what an export says of a sealed password: the reference that it
// is, or the name it is given.
func (s *Service) reference(sealed, name string) string {
	if sealed == "" {
		return ""
	}
	// A password that no key opens is exported by name like any other.
	if text, err := s.Ring.Open(sealed); err == nil && isReference(text) {
		return text
	}
	return name
}

// everything is the stored configuration, in the order of names.
type everything struct {
	settings     map[string]string
	users        []model.User
	sources      []model.Source
	destinations []model.Destination
	targets      []model.NotificationTarget
	pipelines    []model.Pipeline
	scripts      map[string][]model.Script
	links        map[string][]model.NotificationLink
}

func (s *Service) everything(ctx context.Context, st *store.Store) (e everything, err error) {
	if e.settings, err = st.Settings(ctx); err != nil {
		return e, err
	}
	if e.users, err = all(func(p store.Page) ([]model.User, int, error) { return st.ListUsers(ctx, p) }); err != nil {
		return e, err
	}
	if e.sources, err = all(func(p store.Page) ([]model.Source, int, error) { return st.ListSources(ctx, p) }); err != nil {
		return e, err
	}
	if e.destinations, err = all(func(p store.Page) ([]model.Destination, int, error) { return st.ListDestinations(ctx, p) }); err != nil {
		return e, err
	}
	if e.targets, err = st.ListTargets(ctx); err != nil {
		return e, err
	}
	e.pipelines, err = all(func(p store.Page) ([]model.Pipeline, int, error) {
		return st.ListPipelines(ctx, store.PipelineFilter{Page: p})
	})
	if err != nil {
		return e, err
	}
	e.scripts, e.links = map[string][]model.Script{}, map[string][]model.NotificationLink{}
	for _, p := range e.pipelines {
		e.scripts[p.ID], err = all(func(page store.Page) ([]model.Script, int, error) { return st.ListScripts(ctx, p.ID, page) })
		if err != nil {
			return e, err
		}
		if e.links[p.ID], err = st.ListLinks(ctx, p.ID); err != nil {
			return e, err
		}
	}
	return e, nil
}

func (s *Service) export(ctx context.Context, st *store.Store) (Declaration, error) {
	e, err := s.everything(ctx, st)
	if err != nil {
		return Declaration{}, err
	}
	d := Declaration{Version: DeclarationVersion}
	for key, value := range e.settings {
		if d.Settings == nil {
			d.Settings = map[string]settingText{}
		}
		d.Settings[key] = settingText(value)
	}
	for _, u := range e.users {
		d.Users = append(d.Users, DeclaredUser{Email: u.Email, Name: u.Name, Role: u.Role, Active: unlessTrue(u.Active)})
	}
	names := secretNames{}
	for _, src := range e.sources {
		d.Sources = append(d.Sources, s.declareSource(src, names))
	}
	for _, dst := range e.destinations {
		d.Destinations = append(d.Destinations, s.declareDestination(dst, names))
	}
	for _, t := range e.targets {
		declared, err := s.declareTarget(t, names)
		if err != nil {
			return d, err
		}
		d.Targets = append(d.Targets, declared)
	}
	for _, p := range e.pipelines {
		d.Pipelines = append(d.Pipelines, e.declarePipeline(p))
	}
	return d, nil
}

func unlessTrue(yes bool) *bool {
	if yes {
		return nil
	}
	return &yes
}

// unless leaves a value out that is the default.
func unless[T comparable](value, def T) T {
	if value == def {
		var none T
		return none
	}
	return value
}

func (s *Service) declareSource(src model.Source, names secretNames) DeclaredSource {
	return DeclaredSource{
		Name: src.Name, Type: src.Type, Host: src.Host, Port: src.Port, Database: src.Database, Username: src.Username,
		Password: s.reference(src.PasswordEnc, names.next("source", src.Name, "password")), SSL: src.SSL, URI: src.URI, AuthSource: src.AuthSource,
		SyncMethod: unless(src.SyncMethod, model.SyncAuto), TableInclude: src.TableInclude, TableExclude: src.TableExclude,
		SchemaInclude: src.SchemaInclude, Options: src.Options,
	}
}

func (s *Service) declareDestination(dst model.Destination, names secretNames) DeclaredDestination {
	return DeclaredDestination{
		Name: dst.Name, Type: dst.Type, Host: dst.Host, Port: dst.Port, Database: dst.Database, Username: dst.Username,
		Password: s.reference(dst.PasswordEnc, names.next("destination", dst.Name, "password")), SSL: dst.SSL,
		RawSchema: unless(dst.RawSchema, model.DefaultRawSchema), TargetSchema: unless(dst.TargetSchema, model.DefaultTargetSchema),
		IsDefault: dst.IsDefault, Options: dst.Options,
	}
}

func (s *Service) declareTarget(t model.NotificationTarget, names secretNames) (DeclaredTarget, error) {
	st, err := s.openTarget(t)
	if err != nil {
		return DeclaredTarget{}, err
	}
	d := DeclaredTarget{Name: t.Name, Type: t.Type, Config: maps.Clone(t.Config), Active: unlessTrue(t.Active)}
	for _, f := range model.TargetFields(t.Type) {
		if value := st.secrets[f.Name]; f.Secret && value != "" {
			d.Config[f.Name] = names.next("target", t.Name, f.Name)
			if isReference(value) {
				d.Config[f.Name] = value
			}
		}
	}
	return d, nil
}

func (e everything) declarePipeline(p model.Pipeline) DeclaredPipeline {
	d := DeclaredPipeline{
		Name: p.Name, Status: unless(p.Status, model.PipelineActive), Schedule: p.Schedule, MaxRetries: &p.MaxRetries, TimeoutSeconds: &p.TimeoutSeconds,
		TargetSchema: unless(p.TargetSchema, model.UnsetSchema), LoadMode: unless(p.LoadMode, model.LoadDirect), SyncKey: p.SyncKey,
		Options: p.Options, Tables: []DeclaredTable{},
	}
	d.Options.NullWatermark = unless(d.Options.NullWatermark, model.NullInclude)
	for _, src := range e.sources {
		if src.ID == p.SourceID {
			d.Source = src.Name
		}
	}
	for _, dst := range e.destinations {
		if dst.ID == p.DestinationID {
			d.Destination = dst.Name
		}
	}
	for _, other := range e.pipelines {
		if p.DependsOn != "" && other.ID == p.DependsOn {
			d.DependsOn = other.Name
		}
	}
	for _, t := range p.Tables {
		d.Tables = append(d.Tables, DeclaredTable{
			SourceTable: t.SourceTable, SourceSchema: unless(t.SourceSchema, model.UnsetSchema), TargetSchema: t.TargetSchema, TargetTable: t.TargetTable,
			SyncMode: unless(t.SyncMode, model.ModeIncremental), LoadMode: unless(t.LoadMode, model.LoadDirect), WatermarkColumn: t.WatermarkColumn,
			KeyColumns: t.KeyColumns, LookbackSeconds: t.LookbackSeconds, SoftDeleteColumn: t.SoftDeleteColumn, SoftDelete: t.SoftDelete,
			Deletes: t.Deletes, TransformConfig: t.TransformConfig, Enabled: unlessTrue(t.Enabled),
		})
	}
	for _, script := range e.scripts[p.ID] {
		d.Scripts = append(d.Scripts, DeclaredScript{Name: script.Name, Description: script.Description, Content: script.Content})
	}
	for _, l := range e.links[p.ID] {
		d.Notifications = append(d.Notifications, DeclaredLink{Target: l.TargetName, Events: l.Events})
	}
	slices.SortStableFunc(d.Notifications, func(a, b DeclaredLink) int { return cmp.Compare(a.Target, b.Target) })
	return d
}
