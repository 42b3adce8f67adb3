package api

import (
	"arus/app/control"
	"arus/connectors"
)

// updatedAnswer says that something was changed.
type updatedAnswer struct {
	Updated bool `json:"updated"`
}

func sourceUpdate(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	var body sourceBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	in := control.SourceUpdate{
		Name: body.Name, SyncMethod: body.SyncMethod, Schemas: body.SchemaInclude, Include: body.TableInclude, Exclude: body.TableExclude, Views: body.Views,
	}
	if body.given() {
		in.Connection = func(cfg *connectors.Config) error { return body.apply(c.Control.Registry, cfg) }
	}
	_, err = c.Control.UpdateSource(c.ctx, id, in)
	return updatedAnswer{true}, err
}
