package control

import (
	"context"
	"time"

	"arus/app/auth"
	"arus/app/model"
	"arus/app/store"
	"arus/connectors"
)

// DestinationInput is a new destination.
type DestinationInput struct {
	Name         string
	Connection   connectors.Config
	RawSchema    string
	TargetSchema string
	IsDefault    bool // instead of the one that is now
}

// AddDestination stores a destination with its password sealed. It does not connect.
func (s *Service) AddDestination(ctx context.Context, in DestinationInput) (model.Destination, error) {
	if err := s.may(ctx, auth.EditDestinations); err != nil {
		return model.Destination{}, err
	}
	dst := destinationOf(in.Connection)
	dst.Name, dst.IsDefault = in.Name, in.IsDefault
	if in.RawSchema != "" {
		dst.RawSchema = in.RawSchema
	}
	if in.TargetSchema != "" {
		dst.TargetSchema = in.TargetSchema
	}
	if err := invalid("the destination", append(dst.Validate(), s.guard(ctx, in.Connection)...)); err != nil {
		return model.Destination{}, err
	}
	var err error
	if dst.PasswordEnc, err = s.seal(in.Connection.Password); err != nil {
		return model.Destination{}, err
	}
	err = s.change(ctx, func(tx *store.Store) (Change, error) {
		if err := takeDefault(ctx, tx, dst); err != nil {
			return Change{}, err
		}
		err := tx.CreateDestination(ctx, &dst)
		return Change{Action: "destination.create", ID: dst.ID, Name: dst.Name, After: dst}, err
	})
	return dst, err
}

// takeDefault takes the mark of the default from the destination that has it,
// where another one is to get it.
func takeDefault(ctx context.Context, tx *store.Store, dst model.Destination) error {
	if !dst.IsDefault {
		return nil
	}
	old, err := tx.DefaultDestination(ctx)
	if IsNotFound(err) || err == nil && old.ID == dst.ID {
		return nil
	}
	if err != nil {
		return err
	}
	old.IsDefault = false
	return tx.UpdateDestination(ctx, &old)
}

// DestinationUpdate is what to change of a destination; nil leaves a field as it is.
type DestinationUpdate struct {
	Name         *string
	Connection   func(*connectors.Config) error // changes the connection; the password it finds is empty
	RawSchema    *string
	TargetSchema *string
	IsDefault    *bool
}

type destinationAudit struct {
	model.Destination
	Password string `json:"password,omitempty"`
}

// UpdateDestination changes a destination; its password as in UpdateSource.
func (s *Service) UpdateDestination(ctx context.Context, idOrName string, in DestinationUpdate) (model.Destination, error) {
	if err := s.may(ctx, auth.EditDestinations); err != nil {
		return model.Destination{}, err
	}
	var dst model.Destination
	err := s.change(ctx, func(tx *store.Store) (Change, error) {
		before, err := tx.FindDestination(ctx, idOrName)
		if err != nil {
			return Change{}, err
		}
		dst = before
		cfg := destinationConfig(before)
		if in.Connection != nil {
			if err := in.Connection(&cfg); err != nil {
				return Change{}, err
			}
			fresh := destinationOf(cfg)
			dst.Type, dst.Host, dst.Port, dst.Database, dst.Username = fresh.Type, fresh.Host, fresh.Port, fresh.Database, fresh.Username
			dst.SSL, dst.Options = fresh.SSL, fresh.Options
		}
		set(&dst.Name, in.Name)
		set(&dst.RawSchema, in.RawSchema)
		set(&dst.TargetSchema, in.TargetSchema)
		set(&dst.IsDefault, in.IsDefault)
		faults := dst.Validate()
		if in.Connection != nil {
			faults = append(faults, s.guard(ctx, cfg)...)
		}
		if cfg.Password == "" && before.PasswordEnc != "" && elsewhere(destinationConfig(before), cfg) {
			faults = append(faults, passwordNeeded)
		}
		if err := invalid("the destination", faults); err != nil {
			return Change{}, err
		}
		if dst.PasswordEnc, err = s.keepOrSeal(before.PasswordEnc, cfg.Password); err != nil {
			return Change{}, err
		}
		if err := takeDefault(ctx, tx, dst); err != nil {
			return Change{}, err
		}
		err = tx.UpdateDestination(ctx, &dst)
		return Change{
			Action: "destination.update", ID: dst.ID, Name: dst.Name,
			Before: destinationAudit{Destination: before}, After: destinationAudit{dst, changedSecret(cfg.Password != "")},
		}, err
	})
	return dst, err
}

// ListDestinations gives one page of the destinations and how many there are.
func (s *Service) ListDestinations(ctx context.Context, limit, offset int) ([]model.Destination, int, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, 0, err
	}
	return s.Store.ListDestinations(ctx, store.Page{Limit: limit, Offset: offset})
}

// Destinations gives one page of the destinations that a filter lets through,
// how many these are, and the use of each by its id.
func (s *Service) Destinations(ctx context.Context, f EndFilter) (list []model.Destination, total int, use map[string]Use, err error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, 0, nil, err
	}
	if list, total, err = s.Store.FilterDestinations(ctx, f); err != nil {
		return nil, 0, nil, err
	}
	use, err = s.Store.DestinationUse(ctx)
	return list, total, use, err
}

// CloneDestination stores a copy of a destination, its password included, under
// a name. The copy is not the default.
func (s *Service) CloneDestination(ctx context.Context, idOrName, name string) (model.Destination, error) {
	if err := s.may(ctx, auth.EditDestinations); err != nil {
		return model.Destination{}, err
	}
	var dst model.Destination
	err := s.change(ctx, func(tx *store.Store) (Change, error) {
		var err error
		if dst, err = tx.FindDestination(ctx, idOrName); err != nil {
			return Change{}, err
		}
		dst.ID, dst.Name, dst.IsDefault, dst.Status, dst.LastTested, dst.LastError = "", name, false, model.ConnectionRegistered, time.Time{}, ""
		if err := invalid("the destination", dst.Validate()); err != nil {
			return Change{}, err
		}
		err = tx.CreateDestination(ctx, &dst)
		return Change{Action: "destination.create", ID: dst.ID, Name: dst.Name, After: dst}, err
	})
	return dst, err
}

// DestinationConnection is how a destination is reached, without its password.
func DestinationConnection(dst model.Destination) connectors.Config { return destinationConfig(dst) }

// DestinationFigures are how many tables go to one destination and how many
// rows went there.
type DestinationFigures = store.DestinationFigures

// DestinationFigures gives the figures by destination.
func (s *Service) DestinationFigures(ctx context.Context) (map[string]DestinationFigures, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, err
	}
	return s.Store.DestinationFigures(ctx)
}

// Destination finds a destination by id or name.
func (s *Service) Destination(ctx context.Context, idOrName string) (model.Destination, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return model.Destination{}, err
	}
	return s.Store.FindDestination(ctx, idOrName)
}

// DeleteDestination removes a destination that no pipeline uses. What was
// loaded into it stays there.
func (s *Service) DeleteDestination(ctx context.Context, idOrName string) error {
	if err := s.may(ctx, auth.EditDestinations); err != nil {
		return err
	}
	var gone string
	err := s.change(ctx, func(tx *store.Store) (Change, error) {
		dst, err := tx.FindDestination(ctx, idOrName)
		if err != nil {
			return Change{}, err
		}
		gone = dst.ID
		return Change{Action: "destination.delete", ID: dst.ID, Name: dst.Name, Before: dst}, tx.DeleteDestination(ctx, dst.ID)
	})
	if err == nil {
		s.forgetEnd(gone)
	}
	return err
}

// DiscoverDestination lists the tables in a destination's two schemas, as they
// are now, and keeps them as its catalogue.
func (s *Service) DiscoverDestination(ctx context.Context, idOrName string) ([]connectors.Table, error) {
	if err := s.may(ctx, auth.ProbeConnections); err != nil {
		return nil, err
	}
	dst, err := s.Store.FindDestination(ctx, idOrName)
	if err != nil {
		return nil, err
	}
	d, err := s.readDestination(ctx, dst)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }()
	tables, err := d.Tables(ctx, connectors.TableFilter{Schemas: []string{dst.TargetSchema, dst.RawSchema}})
	if err == nil {
		s.keepCatalogue(ctx, dst.ID, destinationPrint(dst), tables)
	}
	return tables, err
}
