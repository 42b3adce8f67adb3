package api

import (
	"arus/app/control"
	"arus/app/model"
	"arus/connectors"
)

type userBody struct {
	Email    *string     `json:"email"`
	Name     *string     `json:"name"`
	Role     *model.Role `json:"role"`
	Active   *bool       `json:"is_active"`
	Password *string     `json:"password"`
}

func userCreate(c *call) (any, error) {
	var body userBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	u, err := c.Control.AddUser(c.ctx, control.UserInput{
		Email: value(body.Email), Name: value(body.Name), Role: value(body.Role), Password: connectors.Secret(value(body.Password)),
	})
	return created(idAnswer{u.ID}), err
}
