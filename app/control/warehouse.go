package control

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"

	"arus/app/auth"
	"arus/connectors/warehouse"
	"arus/connectors/warehouse/schema"
)

// house is the built-in warehouse, opened when it is first asked for.
type house struct {
	mu    sync.Mutex
	store *warehouse.Store
}

// tables opens the data directory's warehouse.
func (s *Service) tables() (*warehouse.Store, error) {
	s.house.mu.Lock()
	defer s.house.mu.Unlock()
	if s.house.store == nil {
		store, err := warehouse.OpenStore(WarehouseDir(s.Store.Dir()), s.Now)
		if err != nil {
			return nil, err
		}
		s.house.store = store
	}
	return s.house.store, nil
}

// hasTables says whether there is a warehouse; looking makes none.
func (s *Service) hasTables() bool {
	_, err := os.Stat(WarehouseDir(s.Store.Dir()))
	return !errors.Is(err, fs.ErrNotExist)
}

// told writes the audit line of what was done to a table, and tells the listeners.
func (s *Service) told(ctx context.Context, c Change) error {
	c.ID = c.Name
	same, err := s.audited(context.WithoutCancel(ctx), s.Store, c)
	if err == nil && !same {
		s.Events.Emit(Event{Type: ConfigChanged, Data: ConfigChange{Action: c.Action, Object: c.noun(), ID: c.ID, Name: c.Name}})
	}
	return err
}

// WarehouseTables lists the tables of the warehouse by name.
func (s *Service) WarehouseTables(ctx context.Context) ([]string, error) {
	if err := s.may(ctx, auth.Read); err != nil || !s.hasTables() {
		return nil, err
	}
	store, err := s.tables()
	if err != nil {
		return nil, err
	}
	return store.Tables()
}

// WarehouseTable gives the schema of a table.
func (s *Service) WarehouseTable(ctx context.Context, name string) (*schema.Table, error) {
	t, _, err := s.warehouseTable(ctx, name)
	return t, err
}

func (s *Service) warehouseTable(ctx context.Context, name string) (*schema.Table, schema.Enums, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, nil, err
	}
	store, err := s.tables()
	if err != nil {
		return nil, nil, err
	}
	return store.Schema(ctx, name)
}

// WarehouseVersions gives the versions of a table's schema, the newest first.
func (s *Service) WarehouseVersions(ctx context.Context, name string) ([]warehouse.Version, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, err
	}
	store, err := s.tables()
	if err != nil {
		return nil, err
	}
	return store.History(ctx, name)
}

// AddWarehouseTable makes a table.
func (s *Service) AddWarehouseTable(ctx context.Context, t *schema.Table) (*schema.Table, error) {
	if err := s.may(ctx, auth.EditWarehouse); err != nil {
		return nil, err
	}
	store, err := s.tables()
	if err != nil {
		return nil, err
	}
	made, err := store.Create(ctx, t)
	if err != nil {
		return nil, err
	}
	return made, s.told(ctx, Change{Action: "table.create", Name: made.Name, After: made})
}

// DropWarehouseTable removes a table with its data.
func (s *Service) DropWarehouseTable(ctx context.Context, name string) error {
	if err := s.may(ctx, auth.EditWarehouse); err != nil {
		return err
	}
	store, err := s.tables()
	if err != nil {
		return err
	}
	before, _, err := store.Schema(ctx, name)
	if _, broken := errors.AsType[*schema.Error](err); broken { // what is damaged can be dropped
		return err
	}
	if err := store.Drop(ctx, name); err != nil {
		return err
	}
	if err := s.Store.ForgetTableJobs(context.WithoutCancel(ctx), name); err != nil {
		return err
	}
	return s.told(ctx, Change{Action: "table.delete", Name: name, Before: before})
}

// Desire makes of a table's present schema the one that somebody wants.
type Desire = func(current *schema.Table) (*schema.Table, error)

// Desired is the whole schema that somebody wants.
func Desired(t *schema.Table) Desire {
	return func(*schema.Table) (*schema.Table, error) { return t, nil }
}

// PlanWarehouseTable says what a push would change, and changes nothing. A table
// that is absent would be made.
func (s *Service) PlanWarehouseTable(ctx context.Context, name string, next Desire) (schema.Update, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return schema.Update{}, err
	}
	store, err := s.tables()
	if err != nil {
		return schema.Update{}, err
	}
	return store.Plan(ctx, name, next)
}

// PushWarehouseTable gives a table the schema that somebody wants it to have, all
// of it or nothing.
func (s *Service) PushWarehouseTable(ctx context.Context, name string, next Desire) (schema.Update, error) {
	return s.alter(ctx, name, "table.update", next, (*warehouse.Store).Push)
}

// AddWarehouseColumn gives a table one column more.
func (s *Service) AddWarehouseColumn(ctx context.Context, table string, c schema.AddColumn) error {
	_, err := s.alter(ctx, table, "table.add_column", func(t *schema.Table) (*schema.Table, error) { return t.WithColumn(c) }, (*warehouse.Store).Change)
	return err
}

// UpdateWarehouseColumn changes the configuration of a column; body is its JSON.
func (s *Service) UpdateWarehouseColumn(ctx context.Context, table, column string, body []byte) error {
	_, err := s.alter(ctx, table, "table.update_column", func(t *schema.Table) (*schema.Table, error) { return t.WithColumnConfig(column, body) }, (*warehouse.Store).Change)
	return err
}

// DropWarehouseColumn deletes a column with its data.
func (s *Service) DropWarehouseColumn(ctx context.Context, table, column string) error {
	_, err := s.alter(ctx, table, "table.delete_column", func(t *schema.Table) (*schema.Table, error) { return t.WithoutColumn(column) }, (*warehouse.Store).Change)
	return err
}

func (s *Service) alter(
	ctx context.Context, name, action string, next Desire, how func(*warehouse.Store, context.Context, string, Desire) (schema.Update, error),
) (schema.Update, error) {
	if err := s.may(ctx, auth.EditWarehouse); err != nil {
		return schema.Update{}, err
	}
	store, err := s.tables()
	if err != nil {
		return schema.Update{}, err
	}
	var before *schema.Table
	u, err := how(store, ctx, name, func(current *schema.Table) (*schema.Table, error) {
		before = current
		return next(current)
	})
	if err != nil {
		return u, err
	}
	return u, s.told(ctx, Change{Action: action, Name: name, Before: before, After: u.Next})
}

// WarehouseCases lists the cases of an enum column in the order of their numbers.
func (s *Service) WarehouseCases(ctx context.Context, table, column string) ([]string, error) {
	t, enums, err := s.warehouseTable(ctx, table)
	if err != nil {
		return nil, err
	}
	id, err := t.EnumColumn(column)
	return enums[id], err
}

// AddWarehouseCases adds cases to an enum column and gives the numbers of all
// that were named.
func (s *Service) AddWarehouseCases(ctx context.Context, table, column string, cases []string) ([]int, error) {
	if err := s.may(ctx, auth.EditWarehouse); err != nil {
		return nil, err
	}
	store, err := s.tables()
	if err != nil {
		return nil, err
	}
	ids, err := store.AddCases(ctx, table, column, cases)
	if err != nil {
		return nil, err
	}
	return ids, s.told(ctx, Change{Action: "table.add_cases", Name: table, After: map[string]any{"column": column, "cases": cases}})
}

// PlanCreate says what making a table changes, and makes none.
func PlanCreate(t *schema.Table) (schema.Update, error) {
	next, enums, err := schema.Create(t)
	if err != nil {
		return schema.Update{}, err
	}
	return schema.Update{Next: next, Enums: enums, Changes: []schema.Change{{Kind: schema.TableCreated, ID: -1, Detail: next.Name}}}, nil
}
