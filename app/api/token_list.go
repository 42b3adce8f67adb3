package api

import (
	"time"

	"arus/app/model"
)

type tokenItem struct {
	ID           string     `json:"id"`
	Name         string     `json:"name"`
	Role         model.Role `json:"role"`
	UserID       *string    `json:"user_id"`
	ExpiresAt    *time.Time `json:"expires_at"`
	LastUsedAt   *time.Time `json:"last_used_at"`
	LastUsedFrom *string    `json:"last_used_from"`
	CreatedAt    time.Time  `json:"created_at"`
}

type tokenPage struct {
	Tokens []tokenItem `json:"tokens"`
	Total  int         `json:"total"`
	Limit  int         `json:"limit"`
	Offset int         `json:"offset"`
}

func tokenView(t model.APIToken) tokenItem {
	return tokenItem{t.ID, t.Name, t.Role, orNil(t.UserID), stamp(t.ExpiresAt), stamp(t.LastUsedAt), orNil(t.LastUsedFrom), t.CreatedAt}
}

func tokenList(c *call) (any, error) {
	page := c.page(50, 200)
	if err := c.err(); err != nil {
		return nil, err
	}
	tokens, total, err := c.Control.ListTokens(c.ctx, page)
	return tokenPage{convert(tokens, tokenView), total, page.Limit, page.Offset}, err
}
