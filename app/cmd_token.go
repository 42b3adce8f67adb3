package app

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"arus/app/control"
	"arus/app/model"
)

func (env *environment) tokenCommand() *cobra.Command {
	return group("token", "What lets programs in without a password",
		env.tokenCreate(), env.tokenList(), env.removeCommand("token", "Revoke a token, at once", (*control.Service).DeleteToken))
}

func (env *environment) tokenCreate() *cobra.Command {
	var in control.TokenInput
	var role string
	var life time.Duration
	cmd := &cobra.Command{
		Use: "create --name N --role R", Short: "Make a token and print it, this once", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if in.Name == "" {
				return required("name")
			}
			in.Role = model.Role(role)
			if cmd.Flags().Changed("expires-in") {
				in.ExpiresAt = env.Now().Add(life)
			}
			return env.with(cmd.Context(), func(d *data) error {
				token, t, err := d.AddToken(cmd.Context(), in)
				if err != nil {
					return err
				}
				if env.flags.json {
					return writeJSON(env.Out, struct {
						model.APIToken
						Token string `json:"token"`
					}{t, token.Reveal()})
				}
				_, err = fmt.Fprintln(env.Out, token.Reveal())
				return err
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&in.Name, "name", "", "`name` that says what it is for")
	f.StringVar(&role, "role", string(model.RoleViewer), "viewer, editor or admin")
	f.DurationVar(&life, "expires-in", 0, "how long it is good for, such as 720h (default for ever)")
	return cmd
}

func (env *environment) tokenList() *cobra.Command {
	var page pageFlags
	cmd := &cobra.Command{
		Use: "list", Short: "List the tokens, without the tokens themselves", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				list, total, err := d.ListTokens(cmd.Context(), control.Page{Limit: page.limit, Offset: page.offset})
				if err != nil || env.flags.json {
					return env.printList(err, "tokens", list, total)
				}
				t := newTable(env.Out, "NAME", "ROLE", "EXPIRES", "LAST USED", "FROM", "ID")
				for _, x := range list {
					t.row(x.Name, x.Role, when(x.ExpiresAt), when(x.LastUsedAt), dash(x.LastUsedFrom), x.ID)
				}
				return env.endList(t, len(list), total, "tokens", "arus token create --name N --role R")
			})
		},
	}
	page.add(cmd)
	return cmd
}
