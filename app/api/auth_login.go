package api

import (
	"time"

	"arus/app/control"
	"arus/app/model"
	"arus/connectors"
)

type loginBody struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

type tokensAnswer struct {
	AccessToken      string `json:"access_token"`
	RefreshToken     string `json:"refresh_token"`
	ExpiresIn        int    `json:"expires_in"`
	RefreshExpiresIn int    `json:"refresh_expires_in"`
}

type loginAnswer struct {
	tokensAnswer
	User      meAnswer  `json:"user"`
	ExpiresAt time.Time `json:"expires_at"`
}

func tokensView(l control.Login) tokensAnswer {
	return tokensAnswer{l.Access.Reveal(), l.Refresh.Reveal(), int(l.ExpiresIn.Seconds()), int(l.RefreshIn.Seconds())}
}

// authLogin gives a program its tokens; the console has its own sign-in, with a
// cookie.
func authLogin(c *call) (any, error) {
	var body loginBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	l, err := c.Control.Login(c.ctx, control.Credentials{
		Email: body.Email, Password: connectors.Secret(body.Password), Address: ClientAddress(c.r), UserAgent: c.r.UserAgent(),
	})
	if err != nil {
		return nil, err
	}
	return loginAnswer{tokensView(l), meView(l.User), l.ExpiresAt}, nil
}

// meAnswer is one's own account.
type meAnswer struct {
	ID        string     `json:"id"`
	Email     string     `json:"email"`
	Name      string     `json:"name"`
	Role      model.Role `json:"role"`
	CreatedAt *time.Time `json:"created_at"`
}

func meView(u model.User) meAnswer {
	return meAnswer{u.ID, u.Email, u.Name, u.Role, stamp(u.CreatedAt)}
}
