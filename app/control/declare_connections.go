package control

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"arus/app/model"
	"arus/connectors"
)

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
