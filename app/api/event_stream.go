package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"arus/app/control"
)

// keepAlive is how often a stream without events says that it is there. At the
// same time it is looked at whether the listener may still listen.
const keepAlive = 15 * time.Second

// eventStream sends events as they happen (server-sent events). Whoever comes
// back with Last-Event-ID gets what was missed, or a "reset" when that is gone.
func eventStream(c *call) (any, error) {
	last := c.r.Header.Get("Last-Event-ID")
	if last == "" {
		last = c.param("last_event_id")
	}
	var after uint64
	if last != "" {
		var err error
		if after, err = strconv.ParseUint(last, 10, 64); err != nil {
			c.fault("last_event_id", "must be the id of an event")
			return nil, c.err()
		}
	}
	events, missed, err := c.Control.Listen(c.ctx, after)
	if err != nil {
		return nil, err
	}
	h := c.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	c.w.WriteHeader(http.StatusOK)
	out := http.NewResponseController(c.w)
	send := func(text string) bool {
		_ = out.SetWriteDeadline(time.Now().Add(2 * keepAlive))
		_, err := c.w.Write([]byte(text))
		return err == nil && out.Flush() == nil
	}
	greeting := "retry: 2000\n\n"
	if missed {
		greeting += "event: reset\ndata: {}\n\n"
	}
	if !send(greeting) {
		return written{}, nil
	}
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	for {
		select {
		case e, ok := <-events:
			if !ok || !send(eventText(e)) {
				return written{}, nil
			}
		case <-tick.C:
			if _, err := Identify(c.Control, c.r.WithContext(c.ctx)); err != nil || !send(": here\n\n") {
				return written{}, nil
			}
		}
	}
}

func eventText(e control.Event) string {
	data, err := json.Marshal(e)
	if err != nil {
		data = []byte("{}")
	}
	return fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Type, data)
}
