package control

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

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
