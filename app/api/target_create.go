package api

import (
	"fmt"

	"arus/app/control"
	"arus/app/model"
)

// targetBody is a notification target to make or to change. A field of config
// that is absent, or a secret that is blank, stays as it is.
type targetBody struct {
	Name   *string           `json:"name"`
	Type   *model.TargetType `json:"type"`
	Config map[string]any    `json:"config"`
	Active *bool             `json:"is_active"`
	Alias  *bool             `json:"active"`
}

func (b targetBody) input(c *call) control.TargetInput {
	in := control.TargetInput{Name: b.Name, Type: b.Type, Active: b.Active, Config: map[string]string{}}
	if in.Active == nil {
		in.Active = b.Alias
	}
	for key, v := range b.Config {
		switch v := v.(type) {
		case nil:
		case string, float64, bool:
			in.Config[key] = fmt.Sprint(v)
		default:
			c.fault("config."+key, "must be a text")
		}
	}
	return in
}

func targetCreate(c *call) (any, error) {
	var body targetBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	in := body.input(c)
	if err := c.err(); err != nil {
		return nil, err
	}
	t, err := c.Control.AddTarget(c.ctx, in)
	return created(targetView(t)), err
}
