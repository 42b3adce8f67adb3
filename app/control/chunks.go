package control

import (
	"context"
	"errors"

	"arus/app/model"
	"arus/app/store"
)

// ChunkedLoad is the zero ChunkedLoad when the table has none that is unfinished.
func (s state) ChunkedLoad(ctx context.Context, pipelineID, sourceTable string) (model.ChunkedLoad, error) {
	l, err := s.GetChunkedLoad(ctx, pipelineID, sourceTable)
	if errors.Is(err, store.ErrNotFound) {
		return model.ChunkedLoad{}, nil
	}
	return l, err
}
