package app

import (
	"fmt"

	"github.com/spf13/cobra"

	"arus/app/control"
	"arus/app/model"
	"arus/connectors"
)

func (env *environment) userCommand() *cobra.Command {
	return group("user", "Who may sign in",
		env.userAdd(), env.userList(),
		env.userSwitch("disable", "Shut an account out, at once", false), env.userSwitch("enable", "Let an account in again", true),
		env.userRole(), env.userPassword(), env.userSignOut(),
		env.removeCommand("user", "Remove an account; the runs it started stay", (*control.Service).DeleteUser))
}

func (env *environment) userAdd() *cobra.Command {
	var in control.UserInput
	var role string
	var password passwordFlags
	cmd := &cobra.Command{
		Use: "add --email E --name N --role R --password-stdin", Short: "Make an account", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if in.Email == "" || in.Name == "" {
				return required("email", "name")
			}
			in.Role = model.Role(role)
			var err error
			if in.Password, err = env.newPassword(password, in.Email); err != nil {
				return err
			}
			return env.with(cmd.Context(), func(d *data) error {
				u, err := d.AddUser(cmd.Context(), in)
				if err != nil {
					return err
				}
				return env.printOne(u, u.ID)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&in.Email, "email", "", "`address` to sign in with")
	f.StringVar(&in.Name, "name", "", "`name` to show")
	f.StringVar(&role, "role", string(model.RoleViewer), "viewer, editor or admin")
	password.add(cmd)
	return cmd
}

// newPassword reads a password for an account.
func (env *environment) newPassword(p passwordFlags, email string) (connectors.Secret, error) {
	if !p.stdin && p.file == "" && !p.ask {
		if !isTerminal(env.In) {
			return "", required("password-stdin")
		}
		p.ask = true
	}
	return env.readPassword(p, "password for "+email+": ")
}

func (env *environment) userList() *cobra.Command {
	var page pageFlags
	cmd := &cobra.Command{
		Use: "list", Short: "List the accounts", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				list, total, err := d.ListUsers(cmd.Context(), control.Page{Limit: page.limit, Offset: page.offset})
				if err != nil || env.flags.json {
					return env.printList(err, "users", list, total)
				}
				t := newTable(env.Out, "EMAIL", "NAME", "ROLE", "ACTIVE", "LAST SIGN-IN", "ID")
				for _, u := range list {
					t.row(u.Email, u.Name, u.Role, yes(u.Active), when(u.LastLogin), u.ID)
				}
				return env.endList(t, len(list), total, "accounts", "arus user add --email E --name N --role admin --password-stdin")
			})
		},
	}
	page.add(cmd)
	return cmd
}

// userChange is a command that changes one account.
func (env *environment) userChange(use, short string, args int, change func(d *data, cmd *cobra.Command, args []string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(args),
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.with(cmd.Context(), func(d *data) error { return named(change(d, cmd, args), "user", args[0]) })
		},
	}
}

func (env *environment) userSwitch(use, short string, active bool) *cobra.Command {
	return env.userChange(use+" EMAIL", short, 1, func(d *data, cmd *cobra.Command, args []string) error {
		_, err := d.UpdateUser(cmd.Context(), args[0], control.UserUpdate{Active: &active})
		return err
	})
}

func (env *environment) userRole() *cobra.Command {
	return env.userChange("role EMAIL ROLE", "Give an account another role", 2, func(d *data, cmd *cobra.Command, args []string) error {
		role := model.Role(args[1])
		_, err := d.UpdateUser(cmd.Context(), args[0], control.UserUpdate{Role: &role})
		return err
	})
}

func (env *environment) userPassword() *cobra.Command {
	var p passwordFlags
	cmd := env.userChange("password EMAIL --password-stdin", "Give an account another password and sign it out everywhere", 1,
		func(d *data, cmd *cobra.Command, args []string) error {
			password, err := env.newPassword(p, args[0])
			if err == nil {
				_, err = d.UpdateUser(cmd.Context(), args[0], control.UserUpdate{Password: &password})
			}
			return err
		})
	p.add(cmd)
	return cmd
}

func (env *environment) userSignOut() *cobra.Command {
	return env.userChange("sign-out EMAIL", "End every session of an account", 1, func(d *data, cmd *cobra.Command, args []string) error {
		u, err := d.User(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		n, err := d.SignOutEverywhere(cmd.Context(), u.ID)
		if err == nil {
			_, err = fmt.Fprintf(env.Out, "%d sessions ended\n", n)
		}
		return err
	})
}
