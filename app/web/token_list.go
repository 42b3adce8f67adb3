package web

import (
	"arus/app/control"
	"arus/views/components"
	"arus/views/pages"
)

func tokenCrumbs() []components.Link { return []components.Link{{Label: "Tokens", Href: "/tokens"}} }

// tokenList is the API tokens.
func tokenList(v *visit) error {
	list := v.list()
	tokens, total, err := v.Control.ListTokens(v.ctx, listPage(list))
	if err != nil {
		return err
	}
	users, err := v.Control.ListUserNames(v.ctx)
	if err != nil {
		return err
	}
	list.Total = total
	view := pages.TokensView{List: list}
	for _, t := range tokens {
		by := users[t.UserID]
		if t.UserID == "" {
			by = "the command line"
		}
		view.Tokens = append(view.Tokens, pages.TokenLine{
			ID: t.ID, Name: t.Name, Role: string(t.Role), By: by, From: t.LastUsedFrom, Made: t.CreatedAt, Until: t.ExpiresAt, Used: t.LastUsedAt,
			Over: !t.ExpiresAt.IsZero() && !v.Now().Before(t.ExpiresAt),
		})
	}
	return v.show(page{title: "Tokens"}, pages.Tokens(view))
}

// tokenDeletePage asks whether a token is to be revoked.
func tokenDeletePage(v *visit) error {
	tokens, _, err := v.Control.ListTokens(v.ctx, control.Page{Limit: 1000})
	if err != nil {
		return err
	}
	for _, t := range tokens {
		if t.ID == v.path("id") {
			used := "It was never used."
			if !t.LastUsedAt.IsZero() {
				used = "It was used last " + components.Relative(t.LastUsedAt, v.Now()) + ", from " + t.LastUsedFrom + "."
			}
			return v.confirm(page{title: "Revoke " + t.Name, crumbs: tokenCrumbs()}, components.Confirm{
				Title: "Revoke " + t.Name + "?", Text: "Programs that use it are refused at once.", Consequences: []string{used, "It cannot be brought back: a new one must be made."},
				Action: "/tokens/" + t.ID + "/delete", Submit: "Revoke the token", Back: "/tokens", Danger: true,
			})
		}
	}
	return errNoPage
}

// tokenDelete revokes a token.
func tokenDelete(v *visit) error {
	if err := v.Control.DeleteToken(v.ctx, v.path("id")); err != nil {
		return err
	}
	return v.done("/tokens", "The token is revoked.")
}
