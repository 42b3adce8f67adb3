package api

import (
	"arus/app/control"
	"arus/connectors"
)

// destinationBody is a destination to make or to change.
type destinationBody struct {
	connectionBody
	Name         *string `json:"name"`
	RawSchema    *string `json:"raw_schema"`
	TargetSchema *string `json:"target_schema"`
	IsDefault    *bool   `json:"is_default"`
}

func destinationCreate(c *call) (any, error) {
	var body destinationBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	cfg := connectors.Config{Type: "postgresql"}
	if err := body.apply(c.Control.Registry, &cfg); err != nil {
		return nil, err
	}
	d, err := c.Control.AddDestination(c.ctx, control.DestinationInput{
		Name: value(body.Name), Connection: cfg, RawSchema: value(body.RawSchema), TargetSchema: value(body.TargetSchema), IsDefault: value(body.IsDefault),
	})
	return created(idAnswer{d.ID}), err
}
