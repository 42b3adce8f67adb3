package api

import (
	"time"

	"arus/app/model"
)

type userItem struct {
	ID        string     `json:"id"`
	Email     string     `json:"email"`
	Name      string     `json:"name"`
	Role      model.Role `json:"role"`
	Active    bool       `json:"is_active"`
	LastLogin *time.Time `json:"last_login"`
	CreatedAt time.Time  `json:"created_at"`
}

type userPage struct {
	Users  []userItem `json:"users"`
	Total  int        `json:"total"`
	Limit  int        `json:"limit"`
	Offset int        `json:"offset"`
}

func userView(u model.User) userItem {
	return userItem{u.ID, u.Email, u.Name, u.Role, u.Active, stamp(u.LastLogin), u.CreatedAt}
}

func userList(c *call) (any, error) {
	page := c.page(50, 200)
	if err := c.err(); err != nil {
		return nil, err
	}
	users, total, err := c.Control.ListUsers(c.ctx, page)
	return userPage{convert(users, userView), total, page.Limit, page.Offset}, err
}
