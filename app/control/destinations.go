package control

import (
	"context"

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
	IsDefault    bool
}

// AddDestination stores a destination with its password sealed. It does not connect.
func (s *Service) AddDestination(ctx context.Context, in DestinationInput) (model.Destination, error) {
	dst := destinationOf(in.Connection)
	dst.Name, dst.IsDefault = in.Name, in.IsDefault
	if in.RawSchema != "" {
		dst.RawSchema = in.RawSchema
	}
	if in.TargetSchema != "" {
		dst.TargetSchema = in.TargetSchema
	}
	if err := invalid("the destination", dst.Validate()); err != nil {
		return model.Destination{}, err
	}
	var err error
	if dst.PasswordEnc, err = s.seal(in.Connection.Password); err != nil {
		return model.Destination{}, err
	}
	err = s.Store.CreateDestination(ctx, &dst)
	return dst, err
}

// ListDestinations gives one page of the destinations and how many there are.
func (s *Service) ListDestinations(ctx context.Context, limit, offset int) ([]model.Destination, int, error) {
	return s.Store.ListDestinations(ctx, store.Page{Limit: limit, Offset: offset})
}

// Destination finds a destination by id or name.
func (s *Service) Destination(ctx context.Context, idOrName string) (model.Destination, error) {
	return s.Store.FindDestination(ctx, idOrName)
}

// DeleteDestination removes a destination that no pipeline uses. What was
// loaded into it stays there.
func (s *Service) DeleteDestination(ctx context.Context, idOrName string) error {
	dst, err := s.Store.FindDestination(ctx, idOrName)
	if err != nil {
		return err
	}
	return s.Store.DeleteDestination(ctx, dst.ID)
}

// DiscoverDestination lists the tables in a destination's two schemas.
func (s *Service) DiscoverDestination(ctx context.Context, idOrName string) ([]connectors.Table, error) {
	dst, err := s.Store.FindDestination(ctx, idOrName)
	if err != nil {
		return nil, err
	}
	d, err := s.readDestination(ctx, dst)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }()
	return d.Tables(ctx, connectors.TableFilter{Schemas: []string{dst.TargetSchema, dst.RawSchema}})
}
