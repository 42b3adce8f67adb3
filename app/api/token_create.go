package api

import (
	"time"

	"arus/app/control"
	"arus/app/model"
)

type tokenBody struct {
	Name      string     `json:"name"`
	Role      model.Role `json:"role"`
	ExpiresAt *time.Time `json:"expires_at"`
}

// tokenAnswer shows the token itself, this once.
type tokenAnswer struct {
	tokenItem
	Token string `json:"token"`
}

func tokenCreate(c *call) (any, error) {
	var body tokenBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	token, t, err := c.Control.AddToken(c.ctx, control.TokenInput{Name: body.Name, Role: body.Role, ExpiresAt: value(body.ExpiresAt)})
	return created(tokenAnswer{tokenView(t), token.Reveal()}), err
}
