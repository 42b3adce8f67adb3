package control

import (
	"context"

	"arus/app/model"
)

// TableSchema is what the target of a table holds; zero before its first load.
func (s state) TableSchema(ctx context.Context, pipelineID, sourceTable string) (model.TableSchema, error) {
	return s.GetTableSchema(ctx, pipelineID, sourceTable)
}
