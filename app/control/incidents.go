package control

import (
	"context"
	"slices"

	"arus/app/auth"
	"arus/app/model"
)

// ListIncidents gives what is wrong with pipelines at present, the newest first.
func (s *Service) ListIncidents(ctx context.Context) ([]model.Incident, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, err
	}
	list, err := s.Store.Incidents(ctx)
	slices.SortStableFunc(list, func(a, b model.Incident) int { return b.OpenedAt.Compare(a.OpenedAt) })
	return list, err
}
