package app

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"arus/app/control"
	"arus/app/model"
)

func (env *environment) notifyCommand() *cobra.Command {
	return group("notify", "Who is told what becomes of pipelines", env.notifyTargets(), env.notifyTest(), env.notifyHistory())
}

func (env *environment) notifyTargets() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the notification targets, without their secrets", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				list, err := d.ListTargets(cmd.Context())
				if err != nil || env.flags.json {
					return env.printList(err, "targets", list, len(list))
				}
				t := newTable(env.Out, "NAME", "TYPE", "ACTIVE", "ID")
				for _, x := range list {
					t.row(x.Name, x.Type, yes(x.Active), x.ID)
				}
				return env.endList(t, len(list), len(list), "targets", "make one with POST /api/notifications/targets")
			})
		},
	}
}

func (env *environment) notifyTest() *cobra.Command {
	var event, text string
	cmd := &cobra.Command{
		Use: "test TARGET", Short: "Send a message with made-up figures to a target, now", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				t, err := d.FindTarget(cmd.Context(), args[0])
				if err != nil {
					if control.IsNotFound(err) {
						err = fmt.Errorf("there is no notification target %q, see 'arus notify list': %w", args[0], control.ErrNotFound)
					}
					return err
				}
				n, err := d.TestTarget(cmd.Context(), t.ID, model.NotifyEvent(event), text)
				if err != nil {
					return err
				}
				if env.flags.json {
					err = writeJSON(env.Out, n)
				} else {
					_, err = fmt.Fprintln(env.Out, string(n.Status)+":", n.Answer)
				}
				if n.Status != model.DeliverySent {
					err = errors.Join(err, &codeError{exitFailed})
				}
				return err
			})
		},
	}
	cmd.Flags().StringVar(&event, "event", string(model.EventTest), "the `event` of which the message tells")
	cmd.Flags().StringVar(&text, "message", "", "a `text` of one's own")
	return cmd
}

func (env *environment) notifyHistory() *cobra.Command {
	var page pageFlags
	var status string
	cmd := &cobra.Command{
		Use: "history", Short: "List the notifications that wait, were sent or were refused", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				list, total, err := d.ListNotifications(cmd.Context(), control.NotificationFilter{
					Status: model.Delivery(status), Page: control.Page{Limit: page.limit, Offset: page.offset},
				})
				if err != nil || env.flags.json {
					return env.printList(err, "notifications", list, total)
				}
				t := newTable(env.Out, "TIME", "TARGET", "EVENT", "STATUS", "ATTEMPTS", "TITLE", "ANSWER")
				for _, n := range list {
					t.row(when(n.CreatedAt), n.TargetName, n.Event, n.Status, n.Attempts, n.Message.Title, dash(n.Answer))
				}
				return env.endList(t, len(list), total, "notifications", "")
			})
		},
	}
	cmd.Flags().StringVar(&status, "status", "", "only those that are queued, sent or failed")
	page.add(cmd)
	return cmd
}
