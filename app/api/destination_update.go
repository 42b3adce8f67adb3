package api

import (
	"arus/app/control"
	"arus/connectors"
)

func destinationUpdate(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	var body destinationBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	in := control.DestinationUpdate{Name: body.Name, RawSchema: body.RawSchema, TargetSchema: body.TargetSchema, IsDefault: body.IsDefault}
	if body.given() {
		in.Connection = func(cfg *connectors.Config) error { return body.apply(c.Control.Registry, cfg) }
	}
	_, err = c.Control.UpdateDestination(c.ctx, id, in)
	return updatedAnswer{true}, err
}
