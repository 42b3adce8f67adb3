package api

import "arus/app/model"

type targetTestBody struct {
	EventType model.NotifyEvent `json:"event_type"`
	Message   string            `json:"message"`
}

// targetTestAnswer says what became of the message: sent is false where the
// target did not take it, with the reason in answer.
type targetTestAnswer struct {
	Sent   bool              `json:"sent"`
	Type   model.TargetType  `json:"type"`
	Target string            `json:"target"`
	Event  model.NotifyEvent `json:"event_type"`
	Answer string            `json:"answer"`
}

func targetTest(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	var body targetTestBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	n, err := c.Control.TestTarget(c.ctx, id, body.EventType, body.Message)
	return targetTestAnswer{n.Status == model.DeliverySent, n.TargetType, n.TargetName, n.Event, n.Answer}, err
}
