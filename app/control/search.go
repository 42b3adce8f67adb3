package control

import (
	"context"

	"arus/app/auth"
	"arus/app/store"
)

// Found is something whose name matches a search.
type Found = store.Found

// Search finds sources, destinations, pipelines, tables and runs by a part of
// their name, or the beginning of a run's id: at most limit of each kind.
func (s *Service) Search(ctx context.Context, text string, limit int) ([]Found, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, err
	}
	if text == "" {
		return []Found{}, nil
	}
	return s.Store.Search(ctx, text, limit)
}
