package web

import (
	"arus/app/model"
	"arus/views/components"
	"arus/views/pages"
)

// targetTest sends a target a message with made-up figures, and shows what came
// back.
func targetTest(v *visit) error {
	t, err := v.Control.Target(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	sent, err := v.Control.TestTarget(v.ctx, t.ID, model.NotifyEvent(v.value("event")), "")
	if err != nil {
		return err
	}
	answer := pages.TestAnswer{Sent: sent.Status == model.DeliverySent, Answer: sent.Answer}
	return v.targetForm(t, components.Form{Values: targetValues(t)}, &answer)
}
