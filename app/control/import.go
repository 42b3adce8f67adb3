package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/fernet/fernet-go"

	"arus/app/auth"
	"arus/app/engine"
	"arus/app/model"
	"arus/app/store"
	"arus/app/transform"
	"arus/connectors"
)

// ImportRequest says which installation of the original Arus moves in here.
type ImportRequest struct {
	URL       string            // of its PostgreSQL database
	Key       connectors.Secret // that sealed its passwords; or
	JWTSecret connectors.Secret // of which that key was made
	DryRun    bool
}

// ImportReport says what became of everything.
type ImportReport struct {
	Taken   map[string]int `json:"taken"`   // by kind
	Changed []ImportNote   `json:"changed"` // what was taken in another form
	Left    []ImportNote   `json:"left"`    // what was not taken
}

// ImportNote is about one object.
type ImportNote struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	Note string `json:"note"`
}

// Import takes over the configuration, state and history of an installation of
// the original Arus, all in one step. Ids are kept; what is here already stays.
func (s *Service) Import(ctx context.Context, req ImportRequest) (ImportReport, error) {
	if err := s.may(ctx, auth.Maintain); err != nil {
		return ImportReport{}, err
	}
	key, err := originalKey(req.Key, req.JWTSecret)
	if err != nil {
		return ImportReport{}, err
	}
	from, end, err := s.openReferenced(ctx, req.URL)
	if err != nil {
		return ImportReport{}, err
	}
	defer end()
	if there, err := from.has(ctx, "arus_config", "pipelines"); err != nil || !there {
		return ImportReport{}, errors.Join(err, fault("the import", "url", "leads to a database without arus_config.pipelines: it is no installation of Arus"))
	}
	im := &importer{
		Service: s, from: from, key: key,
		report:  ImportReport{Taken: map[string]int{}, Changed: []ImportNote{}, Left: []ImportNote{}},
		sources: map[string]model.Source{}, destinations: map[string]model.Destination{}, pipelines: map[string]model.Pipeline{}, targets: map[string]bool{}, runs: map[string]bool{},
	}
	err = s.Store.Atomically(ctx, func(tx *store.Store) error {
		im.tx = tx
		for _, step := range []func(context.Context) error{
			im.takeSettings, im.takeUsers, im.takeSources, im.takeDestinations, im.takePipelines, im.takeScripts, im.takeTargets, im.takeLinks,
			im.takeWatermarks, im.takeHistory, im.leaveLetters,
		} {
			if err := step(ctx); err != nil {
				return err
			}
		}
		if req.DryRun {
			return errPlanned
		}
		return s.audit(ctx, tx, Change{Action: "state.import", Name: connectors.RedactURL(req.URL), After: im.report})
	})
	if errors.Is(err, errPlanned) {
		err = nil
	} else if err == nil {
		s.Events.Emit(Event{Type: ConfigChanged, Data: ConfigChange{Action: "state.import", Object: "state"}})
		s.runs.wake()
	}
	return im.report, err
}

type importer struct {
	*Service
	tx           *store.Store
	from         *original
	key          *fernet.Key
	report       ImportReport
	sources      map[string]model.Source // by id, what was taken
	destinations map[string]model.Destination
	pipelines    map[string]model.Pipeline
	targets      map[string]bool
	runs         map[string]bool
}

func (im *importer) took(kind string) { im.report.Taken[kind]++ }

func (im *importer) changed(kind, name, format string, args ...any) {
	im.report.Changed = append(im.report.Changed, ImportNote{kind, name, fmt.Sprintf(format, args...)})
}

func (im *importer) left(kind, name, format string, args ...any) {
	im.report.Left = append(im.report.Left, ImportNote{kind, name, fmt.Sprintf(format, args...)})
}

// refused leaves an object that cannot be stored; any other error ends the import.
func (im *importer) refused(kind, name string, err error) (bool, error) {
	if err == nil {
		im.took(kind)
		return false, nil
	}
	if conflict, ok := errors.AsType[*store.ConflictError](err); ok {
		im.left(kind, name, "is here already: its %s is taken", conflict.Field)
		return true, nil
	}
	if errors.Is(err, ErrInvalid) || errors.Is(err, ErrConflict) {
		im.left(kind, name, "%v", err)
		return true, nil
	}
	return true, err
}

// said puts faults into one sentence.
func said(faults []model.FieldError) string {
	words := make([]string, len(faults))
	for i, f := range faults {
		words[i] = f.Error()
	}
	return strings.Join(words, "; ")
}

// password opens a password of the original and seals it anew.
func (im *importer) password(kind, name, sealed string) (connectors.Secret, error) {
	if sealed == "" {
		return "", nil
	}
	if im.key != nil {
		if text := fernet.VerifyAndDecrypt([]byte(sealed), -1, []*fernet.Key{im.key}); text != nil {
			return connectors.Secret(text), nil
		}
		im.left("password", name, "the key does not open the password of this %s: enter it again", kind)
		return "", nil
	}
	im.left("password", name, "the password of this %s is sealed and no key was given: enter it again", kind)
	return "", nil
}

func (im *importer) takeSettings(ctx context.Context) error {
	list, err := readRows[originalSetting](ctx, im.from, "arus_config", "runtime_settings", "key")
	if err != nil {
		return err
	}
	have, err := im.tx.Settings(ctx)
	if err != nil {
		return err
	}
	set := map[string]string{}
	for _, row := range list {
		setting, ok := model.FindSetting(row.Key)
		if !ok {
			im.left("setting", row.Key, "is no setting here")
			continue
		}
		if _, ok := have[row.Key]; ok {
			im.left("setting", row.Key, "is set here already")
			continue
		}
		value := row.Value
		if row.Key == "default_schedule" {
			value = im.schedule("setting", row.Key, value)
		}
		if err := setting.Check(value); err != nil {
			im.left("setting", row.Key, "%v", err)
			continue
		}
		set[row.Key] = value
		im.took("setting")
	}
	return im.tx.SaveSettings(ctx, set, nil)
}

func (im *importer) takeUsers(ctx context.Context) error {
	list, err := readRows[originalUser](ctx, im.from, "arus_config", "users", "email")
	if err != nil {
		return err
	}
	for _, row := range list {
		u := model.User{ID: row.ID, Email: model.NormalEmail(row.Email), Name: row.Name, Role: model.Role(row.Role), Active: orTrue(row.Active), PasswordHash: row.PasswordHash}
		if !slices.Contains(model.Roles(), u.Role) {
			im.changed("user", row.Email, "the role %q is not known: it is a viewer now", row.Role)
			u.Role = model.RoleViewer
		}
		if faults := u.Validate(); len(faults) > 0 {
			im.left("user", row.Email, "%s", said(faults))
			continue
		}
		if _, err := im.refused("user", row.Email, im.tx.CreateUser(ctx, &u)); err != nil {
			return err
		}
	}
	return nil
}

// name gives an object a name that is free.
func (im *importer) name(kind, name string, taken func(string) bool) string {
	free := freeName(strings.TrimSpace(name), taken)
	if free != name {
		im.changed(kind, name, "the name is taken or has spaces around it: it is %q now", free)
	}
	return free
}

func (im *importer) takeSources(ctx context.Context) error {
	list, err := readRows[originalSource](ctx, im.from, "arus_config", "sources", "name, id")
	if err != nil {
		return err
	}
	for _, row := range list {
		if known, err := im.tx.GetSource(ctx, row.ID); err == nil {
			im.sources[row.ID] = known
			im.left("source", row.Name, "is here already")
			continue
		}
		cfg := connectors.Config{Type: row.Type, Host: row.Host, Port: row.Port, Database: row.Database, Username: row.Username, Options: map[string]string{}}
		if row.URI != "" {
			if cfg, err = im.Registry.ParseURL(row.URI); err != nil {
				im.left("source", row.Name, "its URI cannot be read: %s", connectors.RedactURL(row.URI))
				continue
			}
			im.changed("source", row.Name, "its URI was taken apart; the password in it is sealed now")
			if cfg.Database == "" {
				cfg.Database = row.Database
			}
			if cfg.Options == nil {
				cfg.Options = map[string]string{}
			}
		} else if row.Type == string(model.SourceMongoDB) && row.AuthSource != "" {
			cfg.Options["authSource"] = row.AuthSource
		}
		if row.SSL && cfg.Options[OptSSLMode] == "" {
			cfg.Options[OptSSLMode] = string(model.TLSRequire)
		}
		if cfg.Password == "" {
			if cfg.Password, err = im.password("source", row.Name, row.PasswordEnc); err != nil {
				return err
			}
		}
		src := sourceOf(cfg)
		src.ID, src.SyncMethod = row.ID, model.SyncMethod(row.SyncMethod)
		src.SchemaInclude, src.TableInclude, src.TableExclude = row.SchemaInclude, row.TableInclude, row.TableExclude
		src.SetDefaults()
		src.Name = im.name("source", row.Name, func(n string) bool { _, err := im.tx.FindSource(ctx, n); return err == nil })
		if faults := append(src.Validate(), im.guard(ctx, cfg)...); len(faults) > 0 {
			im.left("source", row.Name, "%s", said(faults))
			continue
		}
		if src.PasswordEnc, err = im.seal(cfg.Password); err != nil {
			return err
		}
		if left, err := im.refused("source", row.Name, im.tx.CreateSource(ctx, &src)); err != nil {
			return err
		} else if !left {
			im.sources[src.ID] = src
		}
	}
	return nil
}

func (im *importer) takeDestinations(ctx context.Context) error {
	list, err := readRows[originalDestination](ctx, im.from, "arus_config", "destinations", "name, id")
	if err != nil {
		return err
	}
	_, err = im.tx.DefaultDestination(ctx)
	hasDefault := err == nil
	for _, row := range list {
		if known, err := im.tx.GetDestination(ctx, row.ID); err == nil {
			im.destinations[row.ID] = known
			im.left("destination", row.Name, "is here already")
			continue
		}
		cfg := connectors.Config{Type: row.Type, Host: row.Host, Port: row.Port, Database: row.Database, Username: row.Username, Options: map[string]string{}}
		if row.SSL {
			cfg.Options[OptSSLMode] = string(model.TLSRequire)
		}
		if cfg.Type == string(model.DestinationClickHouse) && (cfg.Port == 8123 || cfg.Port == 8443) {
			native := map[int]int{8123: 9000, 8443: 9440}[cfg.Port]
			im.changed("destination", row.Name, "port %d speaks HTTP; the native protocol's %d is used: check that it is open", cfg.Port, native)
			cfg.Port = native
		}
		if cfg.Password, err = im.password("destination", row.Name, row.PasswordEnc); err != nil {
			return err
		}
		dst := destinationOf(cfg)
		dst.ID, dst.RawSchema, dst.TargetSchema, dst.IsDefault = row.ID, row.RawSchema, row.TargetSchema, row.IsDefault && !hasDefault
		dst.SetDefaults()
		if row.IsDefault && hasDefault {
			im.changed("destination", row.Name, "another destination is the default one")
		}
		dst.Name = im.name("destination", row.Name, func(n string) bool { _, err := im.tx.FindDestination(ctx, n); return err == nil })
		if faults := append(dst.Validate(), im.guard(ctx, cfg)...); len(faults) > 0 {
			im.left("destination", row.Name, "%s", said(faults))
			continue
		}
		if dst.PasswordEnc, err = im.seal(cfg.Password); err != nil {
			return err
		}
		if left, err := im.refused("destination", row.Name, im.tx.CreateDestination(ctx, &dst)); err != nil {
			return err
		} else if !left {
			im.destinations[dst.ID] = dst
			hasDefault = hasDefault || dst.IsDefault
		}
	}
	return nil
}

// dayNumbers is a list or range of numbers for days of the week.
var dayNumbers = regexp.MustCompile(`[0-9]+`)

// schedule reads a schedule as the original did: it counted the days of the
// week from Monday.
func (im *importer) schedule(kind, name, text string) string {
	text = strings.TrimSpace(text)
	fields := strings.Fields(text)
	if text == model.ManualSchedule || text == "" {
		return ""
	}
	if len(fields) == 5 && fields[4] != "*" {
		days := []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
		base, step, stepped := strings.Cut(fields[4], "/")
		base = dayNumbers.ReplaceAllStringFunc(base, func(n string) string {
			if len(n) == 1 && n[0] <= '6' {
				return days[n[0]-'0']
			}
			return n
		})
		if stepped {
			base += "/" + step
		}
		if base != fields[4] {
			fields[4] = base
			was := text
			text = strings.Join(fields, " ")
			im.changed(kind, name, "the schedule %q counted days from Monday; it is %q now and comes due as before", was, text)
		}
	}
	if err := checkSchedule(text); err != nil {
		im.changed(kind, name, "the schedule %q never ran and was left out: %v", text, err)
		return ""
	}
	return text
}

func (im *importer) takePipelines(ctx context.Context) error {
	list, err := readRows[originalPipeline](ctx, im.from, "arus_config", "pipelines", "name, id")
	if err != nil {
		return err
	}
	tables, err := readRows[originalTable](ctx, im.from, "arus_config", "pipeline_tables", "pipeline_id, source_table, id")
	if err != nil {
		return err
	}
	for _, row := range list {
		if known, err := im.tx.GetPipeline(ctx, row.ID); err == nil {
			im.pipelines[row.ID] = known
			im.left("pipeline", row.Name, "is here already")
			continue
		}
		src, ok := im.sources[row.SourceID]
		dst, ok2 := im.destinations[row.DestinationID]
		if !ok || !ok2 {
			im.left("pipeline", row.Name, "its source or its destination was not taken")
			continue
		}
		p := model.NewPipeline(im.name("pipeline", row.Name, func(n string) bool { _, err := im.tx.FindPipeline(ctx, n); return err == nil }), src.ID, dst.ID)
		p.ID, p.TargetSchema, p.LoadMode, p.Status = row.ID, row.TargetSchema, model.LoadMode(row.LoadMode), model.PipelineStatus(row.Status)
		set(&p.MaxRetries, row.MaxRetries)
		set(&p.TimeoutSeconds, row.TimeoutSeconds)
		p.Schedule = im.schedule("pipeline", row.Name, row.Schedule)
		if !slices.Contains(model.PipelineStatuses(), p.Status) {
			im.changed("pipeline", row.Name, "the status %q is not known: it is paused", row.Status)
			p.Status = model.PipelinePaused
		}
		p.SetDefaults()
		im.takeTables(&p, src, row, tables)
		if err := im.separate(ctx, &p, src, dst); err != nil {
			return err
		}
		if faults := p.Validate(); len(faults) > 0 {
			im.left("pipeline", row.Name, "%s", said(faults))
			continue
		}
		if left, err := im.refused("pipeline", row.Name, im.tx.CreatePipeline(ctx, &p)); err != nil {
			return err
		} else if !left {
			im.pipelines[p.ID] = p
		}
	}
	return im.takeDependencies(ctx, list)
}

// takeDependencies needs all pipelines to be there.
func (im *importer) takeDependencies(ctx context.Context, list []originalPipeline) error {
	for _, row := range list {
		p, ok := im.pipelines[row.ID]
		if row.DependsOn == "" || !ok || p.DependsOn != "" {
			continue
		}
		if _, ok := im.pipelines[row.DependsOn]; !ok {
			im.changed("pipeline", row.Name, "the pipeline it waited for was not taken")
			continue
		}
		p.DependsOn = row.DependsOn
		circle, err := waitsForItself(ctx, im.tx, p)
		if err != nil {
			return err
		}
		if circle != "" || p.DependsOn == p.ID {
			im.changed("pipeline", row.Name, "it waits for no other any more: they would wait for each other")
			continue
		}
		if err := im.tx.UpdatePipeline(ctx, &p); err != nil {
			return err
		}
		im.pipelines[p.ID] = p
	}
	return nil
}

func (im *importer) takeTables(p *model.Pipeline, src model.Source, row originalPipeline, tables []originalTable) {
	seen := map[string]bool{}
	for _, t := range tables {
		if t.PipelineID != row.ID {
			continue
		}
		out := tableOf(t, src)
		name := row.Name + ": " + t.SourceTable
		if seen[out.Key()] {
			im.left("table", name, "is listed twice in the pipeline")
			continue
		}
		if steps := out.TransformConfig; len(steps) > 0 {
			probe := model.PipelineTable{SourceTable: "t", TransformConfig: steps}
			probe.SetDefaults()
			if faults := (model.Pipeline{Name: "p", SourceID: "s", DestinationID: "d", Status: model.PipelineActive, LoadMode: model.LoadDirect, Options: model.PipelineOptions{NullWatermark: model.NullInclude}, Tables: []model.PipelineTable{probe}}).Validate(); len(faults) > 0 {
				im.left("transform", name, "%s", said(faults))
				out.TransformConfig = nil
			}
		}
		if _, faults := transform.Parse(out.TransformConfig); len(faults) > 0 {
			im.changed("transform", name, "taken as it is, but it does not run here until it is mended: %s", said(faults))
		}
		seen[out.Key()] = true
		p.Tables = append(p.Tables, out)
		im.took("table")
	}
}

// tableOf is a table of the original in the terms of here.
func tableOf(t originalTable, src model.Source) model.PipelineTable {
	out := model.PipelineTable{
		ID: t.ID, SourceTable: t.SourceTable, SourceSchema: t.SourceSchema, TargetSchema: t.TargetSchema, SyncMode: model.SyncMode(t.SyncMode),
		LoadMode: model.LoadMode(t.LoadMode), WatermarkColumn: t.WatermarkColumn, Enabled: orTrue(t.Enabled),
	}
	switch src.Type {
	case model.SourcePostgreSQL: // the original read the schema out of the name
		if schema, name, ok := strings.Cut(t.SourceTable, "."); ok {
			out.SourceSchema, out.SourceTable = schema, name
		}
	default: // elsewhere it wrote down the database, or "public" for want of any
		if out.SourceSchema == src.Database {
			out.SourceSchema = model.UnsetSchema
		}
	}
	if text := strings.TrimSpace(string(t.TransformConfig)); text != "" && text != "null" && text != "[]" {
		out.TransformConfig = t.TransformConfig
		var inner string
		if json.Unmarshal(t.TransformConfig, &inner) == nil {
			out.TransformConfig = json.RawMessage(inner)
		}
	}
	out.SetDefaults()
	return out
}

// separate gives tables that another pipeline writes already, as the original
// allowed, targets of their own.
func (im *importer) separate(ctx context.Context, p *model.Pipeline, src model.Source, dst model.Destination) error {
	taken := map[connectors.TableRef]bool{}
	others, err := all(func(page store.Page) ([]model.Pipeline, int, error) {
		return im.tx.ListPipelines(ctx, store.PipelineFilter{DestinationID: dst.ID, Page: page})
	})
	if err != nil {
		return err
	}
	for _, other := range others {
		names := im.names(other, dst)
		for _, t := range other.Tables {
			taken[names.Target(engine.Configured(t), t)] = true
		}
	}
	names := im.names(*p, dst)
	for i := range p.Tables {
		t := &p.Tables[i]
		base := model.Slug(src.Name) + "_" + model.Slug(t.SourceTable)
		for n := 1; taken[names.Target(engine.Configured(*t), *t)]; n++ {
			if t.TargetTable = base; n > 1 {
				t.TargetTable = fmt.Sprintf("%s_%d", base, n)
			}
		}
		if t.TargetTable != "" {
			im.changed("table", p.Name+": "+t.Key(), "another pipeline writes its target already: it is loaded into %s", t.TargetTable)
		}
		taken[names.Target(engine.Configured(*t), *t)] = true
	}
	return nil
}

// Kinds gives the kinds of what was taken, in order.
func (r ImportReport) Kinds() []string { return slices.Sorted(maps.Keys(r.Taken)) }
