package api

import (
	"context"
	"encoding/json"

	"arus/app/control"
	"arus/app/declare"
	"arus/app/model"
	"arus/connectors"
)

// declareBody is what tables of a destination are to be.
type declareBody struct {
	Tables      json.RawMessage `json:"tables"`       // a list of tables, as files have them
	DropColumns bool            `json:"drop_columns"` // deleted columns may go with their data
}

// declareAnswer is what makes them so.
type declareAnswer struct {
	Tables []connectors.DeclarationPlan `json:"tables"`
}

func destinationTablesPlan(c *call) (any, error) {
	return declareTables(c, (*control.Service).PlanTables)
}

func destinationTablesApply(c *call) (any, error) {
	return declareTables(c, (*control.Service).ApplyTables)
}

func invalidTables(err error) error {
	return &control.InvalidError{What: "the request", Faults: []model.FieldError{{Field: "tables", Message: err.Error()}}}
}

func declareTables(
	c *call, do func(s *control.Service, ctx context.Context, destination string, tables []connectors.Declaration, drop bool) ([]connectors.DeclarationPlan, error),
) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	var body declareBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	tables, err := declare.Read(body.Tables)
	if err != nil {
		return nil, invalidTables(err)
	}
	declarations := make([]connectors.Declaration, len(tables))
	for i, t := range tables {
		if declarations[i], err = t.Declaration(); err != nil {
			return nil, invalidTables(err)
		}
	}
	plans, err := do(c.Control, c.ctx, id, declarations, body.DropColumns)
	return declareAnswer{list(plans)}, err
}
