package api

import (
	"arus/app/control"
	"arus/app/model"
	"arus/connectors"
)

// sourceBody is a source to make or to change.
type sourceBody struct {
	connectionBody
	Name          *string           `json:"name"`
	SyncMethod    *model.SyncMethod `json:"sync_method"`
	TableInclude  *[]string         `json:"table_include"`
	TableExclude  *[]string         `json:"table_exclude"`
	SchemaInclude *[]string         `json:"schema_include"`
	Views         *bool             `json:"views"`
}

// idAnswer is the id of what was made.
type idAnswer struct {
	ID string `json:"id"`
}

func sourceCreate(c *call) (any, error) {
	var body sourceBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	var cfg connectors.Config
	if err := body.apply(c.Control.Registry, &cfg); err != nil {
		return nil, err
	}
	s, err := c.Control.AddSource(c.ctx, control.SourceInput{
		Name: value(body.Name), Connection: cfg, SyncMethod: value(body.SyncMethod), Schemas: value(body.SchemaInclude),
		Include: value(body.TableInclude), Exclude: value(body.TableExclude), Views: value(body.Views),
	})
	return created(idAnswer{s.ID}), err
}
