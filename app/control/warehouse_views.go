package control

import (
	"context"

	"arus/app/auth"
	"arus/connectors/warehouse"
)

// WarehouseViews lists the views of the warehouse by name.
func (s *Service) WarehouseViews(ctx context.Context) ([]warehouse.ViewDefinition, error) {
	if err := s.may(ctx, auth.Read); err != nil || !s.hasTables() {
		return nil, err
	}
	store, err := s.tables()
	if err != nil {
		return nil, err
	}
	return store.Views()
}

// SetWarehouseView stores a view, in place of one of the same name.
func (s *Service) SetWarehouseView(ctx context.Context, v warehouse.ViewDefinition) error {
	if err := s.may(ctx, auth.EditWarehouse); err != nil {
		return err
	}
	store, err := s.tables()
	if err != nil {
		return err
	}
	if err := store.SetView(ctx, v); err != nil {
		return err
	}
	return s.told(ctx, Change{Action: "view.update", Name: v.Name, After: v})
}

// DropWarehouseView removes a view.
func (s *Service) DropWarehouseView(ctx context.Context, name string) error {
	if err := s.may(ctx, auth.EditWarehouse); err != nil {
		return err
	}
	store, err := s.tables()
	if err != nil {
		return err
	}
	if err := store.DropView(ctx, name); err != nil {
		return err
	}
	return s.told(ctx, Change{Action: "view.delete", Name: name})
}
