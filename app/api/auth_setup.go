package api

import (
	"arus/app/control"
	"arus/connectors"
)

type setupBody struct {
	Token    string `json:"token"`
	Email    string `json:"email"`
	Name     string `json:"name"`
	Password string `json:"password"`
}

// authSetup makes the first admin. It is gone when there is one.
func authSetup(c *call) (any, error) {
	needed, err := c.Control.NeedsSetup(c.ctx)
	if err != nil {
		return nil, err
	}
	if !needed || !c.Control.Setup.Open() {
		return nil, control.ErrNotFound
	}
	var body setupBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	u, err := c.Control.SetUp(c.ctx, connectors.Secret(body.Token), control.UserInput{Email: body.Email, Name: body.Name, Password: connectors.Secret(body.Password)})
	return created(meView(u)), err
}
