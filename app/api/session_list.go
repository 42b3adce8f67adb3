package api

import (
	"time"

	"arus/app/auth"
	"arus/app/model"
)

type sessionItem struct {
	ID         string            `json:"id"`
	UserID     string            `json:"user_id"`
	Kind       model.SessionKind `json:"kind"`
	Address    string            `json:"address"`
	UserAgent  string            `json:"user_agent"`
	CreatedAt  time.Time         `json:"created_at"`
	LastSeenAt time.Time         `json:"last_seen_at"`
	ExpiresAt  time.Time         `json:"expires_at"`
	Current    bool              `json:"current"`
}

func (c *call) sessions(userID string) (any, error) {
	sessions, err := c.Control.ListSessions(c.ctx, userID)
	current := auth.ActorOf(c.ctx).SessionID
	return convert(sessions, func(s model.Session) sessionItem {
		return sessionItem{s.ID, s.UserID, s.Kind, s.Address, s.UserAgent, s.CreatedAt, s.LastSeenAt, s.ExpiresAt, s.ID == current}
	}), err
}

// sessionList gives one's own sessions; a token has none.
func sessionList(c *call) (any, error) {
	own := auth.ActorOf(c.ctx).UserID()
	if own == "" {
		return []sessionItem{}, nil
	}
	return c.sessions(own)
}
