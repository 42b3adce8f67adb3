package control

import (
	"context"
	"log/slog"

	"arus/app/auth"
	"arus/connectors/warehouse"
)

// UpsertBatch merges a batch in AresDB's binary form into a table.
func (s *Service) UpsertBatch(ctx context.Context, table string, batch []byte) (warehouse.Summary, error) {
	return s.upsert(ctx, table, func(store *warehouse.Store) (warehouse.Summary, error) { return store.Upsert(ctx, table, batch) })
}

// UpsertRows merges rows of text into a table; nil is a null, which leaves what a
// row has.
func (s *Service) UpsertRows(ctx context.Context, table string, columns []string, rows [][]*string) (warehouse.Summary, error) {
	return s.upsert(ctx, table, func(store *warehouse.Store) (warehouse.Summary, error) {
		return store.UpsertText(ctx, table, columns, rows)
	})
}

func (s *Service) upsert(ctx context.Context, table string, do func(*warehouse.Store) (warehouse.Summary, error)) (warehouse.Summary, error) {
	if err := s.may(ctx, auth.EditWarehouse); err != nil {
		return warehouse.Summary{}, err
	}
	store, err := s.tables()
	if err != nil {
		return warehouse.Summary{}, err
	}
	sum, err := do(store)
	if err == nil && s.Log.Enabled(ctx, slog.LevelDebug) {
		s.Log.DebugContext(ctx, "upserted", "table", table, "by", auth.ActorOf(ctx).Name,
			"inserted", sum.Inserted, "updated", sum.Updated, "backfilled", sum.Backfilled, "rejected", len(sum.Rejected))
	}
	return sum, err
}
