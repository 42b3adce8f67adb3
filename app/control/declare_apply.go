package control

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"arus/app/auth"
	"arus/app/model"
	"arus/app/store"
	"arus/connectors"
)

// ConfigAction is what becomes of one object.
type ConfigAction string

// The actions of a plan.
const (
	ConfigCreate ConfigAction = "create"
	ConfigUpdate ConfigAction = "update"
	ConfigDelete ConfigAction = "delete"
)

// PlannedChange is what applying a file does, or did, to one object.
type PlannedChange struct {
	Action ConfigAction  `json:"action"`
	Kind   string        `json:"kind"`
	Name   string        `json:"name"`
	Fields []FieldChange `json:"fields,omitempty"` // of an update
}

// FieldChange is one field before and after; nil where it is not there.
type FieldChange struct {
	Path   string          `json:"path"`
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
}

// ConfigPlan is the difference between a file and the configuration.
type ConfigPlan struct {
	Changes []PlannedChange `json:"changes"`
	Unset   []string        `json:"unset"` // references of the file that lead to nothing here
}

// errPlanned undoes what was done only to see what it does.
var errPlanned = errors.New("this was a plan")

// PlanDeclaration says what ApplyDeclaration would do, and does nothing.
func (s *Service) PlanDeclaration(ctx context.Context, f DeclarationFile, prune bool) (ConfigPlan, error) {
	plan, err := s.declare(ctx, f, prune, errPlanned)
	if errors.Is(err, errPlanned) {
		err = nil
	}
	return plan, err
}

// ApplyDeclaration makes the configuration what the file says, all of it or,
// when anything of it cannot be, nothing. What the file does not name stays,
// unless prune is set; then it is removed, in the sections that the file has.
func (s *Service) ApplyDeclaration(ctx context.Context, f DeclarationFile, prune bool) (ConfigPlan, error) {
	plan, err := s.declare(ctx, f, prune, nil)
	if err != nil {
		return plan, err
	}
	for _, c := range plan.Changes {
		s.Events.Emit(Event{Type: ConfigChanged, Data: ConfigChange{Action: c.auditAction(), Object: c.Kind, Name: c.Name}})
	}
	s.runs.wake()
	return plan, nil
}

func (c PlannedChange) auditAction() string { return c.Kind + "." + string(c.Action) }

// declare does the work in one transaction, which ends with the error end.
func (s *Service) declare(ctx context.Context, f DeclarationFile, prune bool, end error) (ConfigPlan, error) {
	if err := s.may(ctx, auth.Maintain); err != nil {
		return ConfigPlan{}, err
	}
	hash, err := s.unknownPassword(ctx, f)
	if err != nil {
		return ConfigPlan{}, err
	}
	plan := ConfigPlan{Changes: []PlannedChange{}, Unset: s.unset(f.Declaration)}
	err = s.Store.Atomically(ctx, func(tx *store.Store) error {
		before, err := s.export(ctx, tx)
		if err != nil {
			return err
		}
		a := &applier{Service: s, tx: tx, file: f, prune: prune, hash: hash, names: secretNames{}}
		if err := a.apply(ctx); err != nil {
			return err
		}
		after, err := s.export(ctx, tx)
		if err != nil {
			return err
		}
		if plan.Changes, err = compareDeclarations(before, after); err != nil {
			return err
		}
		for _, c := range plan.Changes {
			if end != nil {
				break
			}
			if err := s.audit(ctx, tx, c.audit()); err != nil {
				return err
			}
		}
		return end
	})
	return plan, err
}

// audit is the line of the audit log.
func (c PlannedChange) audit() Change {
	out := Change{Action: c.auditAction(), Name: c.Name}
	before, after := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	for _, f := range c.Fields {
		if f.Before != nil {
			before[f.Path] = f.Before
		}
		if f.After != nil {
			after[f.Path] = f.After
		}
	}
	if c.Action != ConfigUpdate {
		after["applied_from_file"] = json.RawMessage("true")
	}
	out.Before, out.After = before, after
	return out
}

// unknownPassword is the hash of a password that nobody knows, for accounts
// that a file brings: an admin gives them one.
func (s *Service) unknownPassword(ctx context.Context, f DeclarationFile) (string, error) {
	for _, u := range f.Users {
		if _, err := s.Store.FindUser(ctx, u.Email); IsNotFound(err) {
			return s.Passwords.Hash(ctx, connectors.Secret(rand.Text()))
		}
	}
	return "", nil
}

// unset lists the references that lead to nothing here.
func (s *Service) unset(d Declaration) []string {
	found := map[string]bool{}
	look := func(text string) {
		if isReference(text) {
			if _, err := s.resolve(connectors.Secret(text)); err != nil {
				found[text] = true
			}
		}
	}
	for _, src := range d.Sources {
		look(src.Password)
	}
	for _, dst := range d.Destinations {
		look(dst.Password)
	}
	for _, t := range d.Targets {
		for _, value := range t.Config {
			look(value)
		}
	}
	return append([]string{}, slices.Sorted(maps.Keys(found))...)
}

// applier writes a file into a transaction and gathers what is wrong with it.
type applier struct {
	*Service
	tx     *store.Store
	file   DeclarationFile
	prune  bool
	hash   string
	names  secretNames
	faults []model.FieldError
}

func (a *applier) fault(path, format string, args ...any) {
	a.faults = append(a.faults, model.FieldError{Field: path, Message: fmt.Sprintf(format, args...)})
}

// take takes over the faults of one object; any other error ends the work.
func (a *applier) take(path string, err error) error {
	if err == nil {
		return nil
	}
	if invalid, ok := errors.AsType[*InvalidError](err); ok {
		a.add(path, invalid.Faults)
		return nil
	}
	for _, of := range []error{ErrConflict, ErrInUse, ErrInvalid, ErrRunActive, ErrNotFound} {
		if errors.Is(err, of) {
			a.fault(path, "%v", err)
			return nil
		}
	}
	return err
}

func (a *applier) add(path string, faults []model.FieldError) {
	for _, f := range faults {
		if f.Field != "" {
			f.Field = path + "." + f.Field
		} else {
			f.Field = path
		}
		a.faults = append(a.faults, f)
	}
}

func (a *applier) apply(ctx context.Context) error {
	before, err := a.everything(ctx, a.tx)
	if err != nil {
		return err
	}
	a.twice()
	admins, err := a.tx.CountAdmins(ctx)
	if err != nil {
		return err
	}
	steps := []func(context.Context, everything) error{
		a.settings, a.users, a.sources, a.destinations, a.targets, a.pipelines, a.remove,
	}
	for _, step := range steps {
		if err := step(ctx, before); err != nil {
			return err
		}
	}
	left, err := a.tx.CountAdmins(ctx)
	if err != nil {
		return err
	}
	if admins > 0 && left == 0 {
		a.fault("users", "would leave no active admin")
	}
	return a.file.invalid(a.faults)
}

// twice finds names that stand there twice.
func (a *applier) twice() {
	check := func(section string, n int, name func(int) string) {
		seen := map[string]int{}
		for i := range n {
			if at, ok := seen[name(i)]; ok {
				a.fault(fmt.Sprintf("%s[%d].name", section, i), "%q is already %s[%d]", name(i), section, at)
				continue
			}
			seen[name(i)] = i
		}
	}
	d := a.file.Declaration
	check("users", len(d.Users), func(i int) string { return model.NormalEmail(d.Users[i].Email) })
	check("sources", len(d.Sources), func(i int) string { return d.Sources[i].Name })
	check("destinations", len(d.Destinations), func(i int) string { return d.Destinations[i].Name })
	check("notification_targets", len(d.Targets), func(i int) string { return d.Targets[i].Name })
	check("pipelines", len(d.Pipelines), func(i int) string { return d.Pipelines[i].Name })
}

func (a *applier) settings(ctx context.Context, before everything) error {
	set := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(a.file.Settings)) {
		value := string(a.file.Settings[key])
		setting, ok := model.FindSetting(key)
		if !ok {
			a.fault("settings."+key, "is no setting")
			continue
		}
		err := setting.Check(value)
		if err == nil && key == "default_schedule" {
			err = checkSchedule(value)
		}
		if err != nil {
			a.fault("settings."+key, "%v", err)
			continue
		}
		if before.settings[key] != value {
			set[key] = value
		} else if _, stored := before.settings[key]; !stored {
			set[key] = value
		}
	}
	var gone []string
	if a.prune && a.file.sections["settings"] {
		for key := range before.settings {
			if _, ok := a.file.Settings[key]; !ok {
				gone = append(gone, key)
			}
		}
	}
	return a.tx.SaveSettings(ctx, set, gone)
}

func orTrue(p *bool) bool { return p == nil || *p }

func (a *applier) users(ctx context.Context, before everything) error {
	for i, d := range a.file.Users {
		path := fmt.Sprintf("users[%d]", i)
		u := model.User{Email: model.NormalEmail(d.Email), PasswordHash: a.hash}
		at := slices.IndexFunc(before.users, func(o model.User) bool { return o.Email == u.Email })
		if at >= 0 {
			u = before.users[at]
		}
		old := u
		u.Name, u.Role, u.Active = d.Name, d.Role, orTrue(d.Active)
		if faults := u.Validate(); len(faults) > 0 {
			a.add(path, faults)
			continue
		}
		var err error
		switch {
		case at < 0:
			err = a.tx.CreateUser(ctx, &u)
		case u != old:
			if err = a.tx.UpdateUser(ctx, &u); err == nil && (!u.Active || u.Role != old.Role) {
				_, err = a.tx.DeleteSessions(ctx, u.ID, "")
			}
		}
		if err := a.take(path, err); err != nil {
			return err
		}
	}
	return nil
}

// password finds what to store for a reference of the file. Where it is the
// name by which the export knows a stored password, that one stays, unless it
// would go to another place than it was given for.
func (a *applier) password(path, given, name, sealed string, moved bool) (string, error) {
	if given == "" {
		return "", nil
	}
	if !isReference(given) {
		a.fault(path+".password", "must be a reference, ${env:NAME} or ${file:PATH}: no password belongs into a file")
		return "", nil
	}
	if sealed != "" && given == a.reference(sealed, name) && !moved {
		return sealed, nil
	}
	return a.seal(connectors.Secret(given))
}

func (a *applier) sources(ctx context.Context, before everything) error {
	names := map[string]string{} // by name, as the export gives them
	for _, src := range before.sources {
		names[src.Name] = a.names.next("source", src.Name, "password")
	}
	for i, d := range a.file.Sources {
		path := fmt.Sprintf("sources[%d]", i)
		var old model.Source
		at := slices.IndexFunc(before.sources, func(o model.Source) bool { return o.Name == d.Name })
		if at >= 0 {
			old = before.sources[at]
		}
		src := old
		src.Name, src.Type, src.Host, src.Port, src.Database, src.Username, src.SSL = d.Name, d.Type, d.Host, d.Port, d.Database, d.Username, d.SSL
		src.URI, src.AuthSource, src.SyncMethod, src.Options = d.URI, d.AuthSource, d.SyncMethod, d.Options
		src.TableInclude, src.TableExclude, src.SchemaInclude = d.TableInclude, d.TableExclude, d.SchemaInclude
		src.SetDefaults()
		cfg := sourceConfig(src)
		moved := at < 0 || elsewhere(sourceConfig(old), cfg)
		var err error
		if src.PasswordEnc, err = a.password(path, d.Password, names[d.Name], old.PasswordEnc, moved); err != nil {
			return err
		}
		faults := src.Validate()
		if at < 0 || !reflect.DeepEqual(sourceConfig(old), cfg) {
			faults = append(faults, a.guard(ctx, cfg)...)
		}
		if len(faults) > 0 {
			a.add(path, faults)
			continue
		}
		switch {
		case at < 0:
			err = a.tx.CreateSource(ctx, &src)
		case !sameDeclared(a.declareSource(old, secretNames{}), a.declareSource(src, secretNames{})) || src.PasswordEnc != old.PasswordEnc:
			err = a.tx.UpdateSource(ctx, &src)
		}
		if err := a.take(path, err); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) destinations(ctx context.Context, before everything) error {
	names := map[string]string{}
	for _, dst := range before.destinations {
		names[dst.Name] = a.names.next("destination", dst.Name, "password")
	}
	defaults := 0
	for i, d := range a.file.Destinations {
		path := fmt.Sprintf("destinations[%d]", i)
		var old model.Destination
		at := slices.IndexFunc(before.destinations, func(o model.Destination) bool { return o.Name == d.Name })
		if at >= 0 {
			old = before.destinations[at]
		}
		dst := old
		dst.Name, dst.Type, dst.Host, dst.Port, dst.Database, dst.Username, dst.SSL = d.Name, d.Type, d.Host, d.Port, d.Database, d.Username, d.SSL
		dst.RawSchema, dst.TargetSchema, dst.IsDefault, dst.Options = d.RawSchema, d.TargetSchema, d.IsDefault, d.Options
		dst.SetDefaults()
		if defaults += count(d.IsDefault); d.IsDefault && defaults > 1 {
			a.fault(path+".is_default", "only one destination can be the default one")
		}
		cfg := destinationConfig(dst)
		moved := at < 0 || elsewhere(destinationConfig(old), cfg)
		var err error
		if dst.PasswordEnc, err = a.password(path, d.Password, names[d.Name], old.PasswordEnc, moved); err != nil {
			return err
		}
		faults := dst.Validate()
		if at < 0 || !reflect.DeepEqual(destinationConfig(old), cfg) {
			faults = append(faults, a.guard(ctx, cfg)...)
		}
		if len(faults) > 0 {
			a.add(path, faults)
			continue
		}
		switch {
		case at < 0:
			err = a.tx.CreateDestination(ctx, &dst)
		case !sameDeclared(a.declareDestination(old, secretNames{}), a.declareDestination(dst, secretNames{})) || dst.PasswordEnc != old.PasswordEnc:
			err = a.tx.UpdateDestination(ctx, &dst)
		}
		if err := a.take(path, err); err != nil {
			return err
		}
	}
	return nil
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func (a *applier) targets(ctx context.Context, before everything) error {
	names := map[string]map[string]string{}
	for _, t := range before.targets {
		names[t.Name] = map[string]string{}
		st, err := a.openTarget(t)
		if err != nil {
			return err
		}
		for _, f := range model.TargetFields(t.Type) {
			if f.Secret && st.secrets[f.Name] != "" {
				names[t.Name][f.Name] = a.names.next("target", t.Name, f.Name)
			}
		}
	}
	for i, d := range a.file.Targets {
		path := fmt.Sprintf("notification_targets[%d]", i)
		st := targetState{NotificationTarget: model.NotificationTarget{Name: d.Name}, secrets: map[string]string{}}
		at := slices.IndexFunc(before.targets, func(o model.NotificationTarget) bool { return o.Name == d.Name })
		if at >= 0 {
			var err error
			if st, err = a.openTarget(before.targets[at]); err != nil {
				return err
			}
		}
		known, sealed := st.secrets, st.SecretsEnc
		if st.Type != d.Type {
			known = map[string]string{}
		}
		st.Type, st.Active, st.Config, st.secrets = d.Type, orTrue(d.Active), map[string]string{}, map[string]string{}
		secret := map[string]bool{}
		for _, f := range model.TargetFields(d.Type) {
			secret[f.Name] = f.Secret
		}
		for _, key := range slices.Sorted(maps.Keys(d.Config)) {
			value := d.Config[key]
			switch {
			case !secret[key]:
				st.Config[key] = value
			case !isReference(value):
				a.fault(path+".config."+key, "must be a reference, ${env:NAME} or ${file:PATH}: no secret belongs into a file")
			case known[key] != "" && value == names[d.Name][key]:
				st.secrets[key] = known[key]
			default:
				st.secrets[key] = value
			}
		}
		if faults := st.Validate(st.secrets); len(faults) > 0 {
			a.add(path, faults)
			continue
		}
		if maps.Equal(st.secrets, known) {
			st.SecretsEnc = sealed
		} else {
			text, err := json.Marshal(st.secrets)
			if err != nil {
				return err
			}
			if st.SecretsEnc, err = a.Ring.Seal(string(text)); err != nil {
				return err
			}
		}
		var err error
		switch t := st.NotificationTarget; {
		case at < 0:
			err = a.tx.CreateTarget(ctx, &t)
		case !reflect.DeepEqual(t, before.targets[at]):
			err = a.tx.UpdateTarget(ctx, &t)
		}
		if err := a.take(path, err); err != nil {
			return err
		}
	}
	return nil
}

// sameDeclared says whether two declarations of an object are the same in a file.
func sameDeclared(x, y any) bool {
	a, errA := json.Marshal(x)
	b, errB := json.Marshal(y)
	return errA == nil && errB == nil && sameJSON(a, b)
}

// remove removes what the file does not name.
func (a *applier) remove(ctx context.Context, before everything) error {
	if !a.prune {
		return nil
	}
	named := func(section string, has bool) bool { return !a.file.sections[section] || has }
	d := a.file.Declaration
	for _, p := range before.pipelines {
		if !named("pipelines", slices.ContainsFunc(d.Pipelines, func(o DeclaredPipeline) bool { return o.Name == p.Name })) {
			if err := a.take("pipelines", a.tx.DeletePipeline(ctx, p.ID)); err != nil {
				return err
			}
		}
	}
	for _, src := range before.sources {
		if named("sources", slices.ContainsFunc(d.Sources, func(o DeclaredSource) bool { return o.Name == src.Name })) {
			continue
		}
		// A source takes its pipelines along: those that the file keeps stop it.
		list, _, err := a.tx.ListPipelines(ctx, store.PipelineFilter{SourceID: src.ID})
		if err != nil {
			return err
		}
		if len(list) > 0 {
			a.fault("sources", "%q is still read by pipeline %q: name it, or take the pipeline away too", src.Name, list[0].Name)
			continue
		}
		if err := a.take("sources", a.tx.DeleteSource(ctx, src.ID)); err != nil {
			return err
		}
	}
	for _, dst := range before.destinations {
		if !named("destinations", slices.ContainsFunc(d.Destinations, func(o DeclaredDestination) bool { return o.Name == dst.Name })) {
			if err := a.take("destinations", a.tx.DeleteDestination(ctx, dst.ID)); err != nil {
				return err
			}
		}
	}
	for _, t := range before.targets {
		if !named("notification_targets", slices.ContainsFunc(d.Targets, func(o DeclaredTarget) bool { return o.Name == t.Name })) {
			if err := a.take("notification_targets", a.tx.DeleteTarget(ctx, t.ID)); err != nil {
				return err
			}
		}
	}
	for _, u := range before.users {
		if !named("users", slices.ContainsFunc(d.Users, func(o DeclaredUser) bool { return model.NormalEmail(o.Email) == u.Email })) {
			if err := a.take("users", a.tx.DeleteUser(ctx, u.ID)); err != nil {
				return err
			}
		}
	}
	return nil
}

// compareDeclarations lists the objects that differ.
func compareDeclarations(before, after Declaration) ([]PlannedChange, error) {
	b, err := objects(before)
	if err != nil {
		return nil, err
	}
	a, err := objects(after)
	if err != nil {
		return nil, err
	}
	keys := maps.Clone(b)
	maps.Copy(keys, a)
	changes := []PlannedChange{}
	for _, key := range slices.SortedFunc(maps.Keys(keys), compareKeys) {
		x, had := b[key]
		y, has := a[key]
		c := PlannedChange{Action: ConfigUpdate, Kind: key.kind, Name: key.name}
		switch {
		case !had:
			c.Action = ConfigCreate
		case !has:
			c.Action = ConfigDelete
		default:
			if c.Fields = fieldChanges(x, y); len(c.Fields) == 0 {
				continue
			}
		}
		changes = append(changes, c)
	}
	return changes, nil
}

type objectKey struct {
	order      int
	kind, name string
}

func compareKeys(a, b objectKey) int {
	return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.name, b.name))
}

// objects are the leaves of each object by path.
func objects(d Declaration) (map[objectKey]map[string]json.RawMessage, error) {
	out := map[objectKey]map[string]json.RawMessage{}
	var errs []error
	add := func(order int, kind, name string, v any) {
		text, err := json.Marshal(v)
		if err == nil {
			var tree any
			if tree, err = jsonTree(text); err == nil {
				leaves := map[string]json.RawMessage{}
				flatten(leaves, "", tree)
				out[objectKey{order, kind, name}] = leaves
			}
		}
		errs = append(errs, err)
	}
	for key, value := range d.Settings {
		add(0, "setting", key, map[string]settingText{"value": value})
	}
	for _, v := range d.Users {
		add(1, "user", v.Email, v)
	}
	for _, v := range d.Sources {
		add(2, "source", v.Name, v)
	}
	for _, v := range d.Destinations {
		add(3, "destination", v.Name, v)
	}
	for _, v := range d.Targets {
		add(4, "notification_target", v.Name, v)
	}
	for _, v := range d.Pipelines {
		add(5, "pipeline", v.Name, v)
	}
	return out, errors.Join(errs...)
}

// flatten takes a tree apart. Items of lists that have a name go by it, so that
// a table that was added is not a change of all that follow.
func flatten(out map[string]json.RawMessage, path string, tree any) {
	switch v := tree.(type) {
	case map[string]any:
		for key, value := range v {
			at := key
			if path != "" {
				at = path + "." + key
			}
			if key == "transform_config" {
				out[at] = rawJSON(value)
				continue
			}
			flatten(out, at, value)
		}
	case []any:
		for i, item := range v {
			name := fmt.Sprint(i)
			if m, ok := item.(map[string]any); ok {
				for _, key := range []string{"name", "source_table", "target"} {
					if text, ok := m[key].(string); ok {
						name = text
						break
					}
				}
				if schema, ok := m["source_schema"].(string); ok {
					name = schema + "." + name
				}
				out[fmt.Sprintf("%s[%s].position", path, name)] = rawJSON(i)
			}
			flatten(out, fmt.Sprintf("%s[%s]", path, name), item)
		}
	default:
		out[path] = rawJSON(v)
	}
}

func rawJSON(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage("null")
	}
	return text
}

func fieldChanges(before, after map[string]json.RawMessage) []FieldChange {
	keys := maps.Clone(before)
	maps.Copy(keys, after)
	var list []FieldChange
	for _, path := range slices.Sorted(maps.Keys(keys)) {
		if string(before[path]) != string(after[path]) {
			list = append(list, FieldChange{Path: path, Before: before[path], After: after[path]})
		}
	}
	return list
}

// trimmed cuts a value for a line of a plan.
func trimmed(text json.RawMessage) string {
	s := strings.TrimSpace(string(text))
	if r := []rune(s); len(r) > 120 {
		return string(r[:117]) + "..."
	}
	return s
}

// String is the change for people: a line for the object and one for each field.
func (c PlannedChange) String() string {
	sign := map[ConfigAction]string{ConfigCreate: "+", ConfigUpdate: "~", ConfigDelete: "-"}[c.Action]
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %q", sign, strings.ReplaceAll(c.Kind, "_", " "), c.Name)
	for _, f := range c.Fields {
		switch {
		case f.Before == nil:
			fmt.Fprintf(&b, "\n    + %s: %s", f.Path, trimmed(f.After))
		case f.After == nil:
			fmt.Fprintf(&b, "\n    - %s: %s", f.Path, trimmed(f.Before))
		default:
			fmt.Fprintf(&b, "\n    ~ %s: %s -> %s", f.Path, trimmed(f.Before), trimmed(f.After))
		}
	}
	return b.String()
}
