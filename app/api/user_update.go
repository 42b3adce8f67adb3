package api

import (
	"arus/app/control"
	"arus/app/model"
	"arus/connectors"
)

type userAnswer struct {
	ID     string     `json:"id"`
	Email  string     `json:"email"`
	Name   string     `json:"name"`
	Role   model.Role `json:"role"`
	Active bool       `json:"is_active"`
}

func userUpdate(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	var body userBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	if body == (userBody{}) {
		c.fault("body", "holds nothing to change")
		return nil, c.err()
	}
	in := control.UserUpdate{Email: body.Email, Name: body.Name, Role: body.Role, Active: body.Active}
	if value(body.Password) != "" { // left blank: keep
		password := connectors.Secret(*body.Password)
		in.Password = &password
	}
	u, err := c.Control.UpdateUser(c.ctx, id, in)
	return userAnswer{u.ID, u.Email, u.Name, u.Role, u.Active}, err
}
