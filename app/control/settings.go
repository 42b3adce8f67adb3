package control

import (
	"context"
	"maps"
	"slices"

	"arus/app/auth"
	"arus/app/model"
	"arus/app/store"
)

// settings are the runtime settings as they are now.
func (s *Service) settings(ctx context.Context) (model.Settings, error) {
	typed, _, err := s.resolveSettings(ctx)
	return typed, err
}

// resolvedSettings are the settings with the origin of each.
type resolvedSettings struct {
	typed  model.Settings
	values []model.SettingValue
}

func (s *Service) resolveSettings(ctx context.Context) (model.Settings, []model.SettingValue, error) {
	r, err := s.resolved.get(ctx, s.Store, "", func(ctx context.Context) (resolvedSettings, error) {
		stored, err := s.Store.Settings(ctx)
		if err != nil {
			return resolvedSettings{}, err
		}
		layers := append(slices.Clone(s.Overrides), model.SettingLayer{Origin: model.OriginSetting, Values: stored})
		// A fault is of a value that an earlier version stored or of an override that the start has refused already: the next origin's counts.
		typed, values, _ := model.ResolveSettings(layers...)
		return resolvedSettings{typed, values}, nil
	})
	return r.typed, slices.Clone(r.values), err
}

// Settings are the runtime settings as they are now, for whatever honours them.
func (s *Service) Settings(ctx context.Context) (model.Settings, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return model.Settings{}, err
	}
	return s.settings(ctx)
}

// ListSettings gives every setting with its value and where that came from.
func (s *Service) ListSettings(ctx context.Context) ([]model.SettingValue, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, err
	}
	_, values, err := s.resolveSettings(ctx)
	return values, err
}

// ChangeSettings stores values and takes others back to their defaults, all or
// none. A value that a flag, the environment or the file sets stays in force as
// long as that does.
func (s *Service) ChangeSettings(ctx context.Context, set map[string]string, unset []string) error {
	if err := s.may(ctx, auth.EditSettings); err != nil {
		return err
	}
	var faults []model.FieldError
	add := func(key, message string) { faults = append(faults, model.FieldError{Field: key, Message: message}) }
	for _, key := range slices.Sorted(maps.Keys(set)) {
		setting, ok := model.FindSetting(key)
		if !ok {
			add(key, "is no setting")
			continue
		}
		err := setting.Check(set[key])
		if err == nil && key == "default_schedule" {
			err = checkSchedule(set[key])
		}
		if err != nil {
			add(key, err.Error())
		}
	}
	for _, key := range unset {
		if _, ok := model.FindSetting(key); !ok {
			add(key, "is no setting")
		}
	}
	if err := invalid("the settings", faults); err != nil {
		return err
	}
	err := s.change(ctx, func(tx *store.Store) (Change, error) {
		before, err := tx.Settings(ctx)
		if err != nil {
			return Change{}, err
		}
		if err := tx.SaveSettings(ctx, set, unset); err != nil {
			return Change{}, err
		}
		after, err := tx.Settings(ctx)
		return Change{Action: "settings.update", Before: before, After: after}, err
	})
	if err == nil {
		s.runs.wake()
	}
	return err
}
