package notify

import (
	"encoding/json"
	"strings"
	"testing"

	"arus/app/control"
	"arus/app/model"
)

// listen gives the alerts that listeners were told of since then.
func (b *bundle) listen() func() string {
	events, _ := b.Events.Listen(b.t.Context(), 0)
	return func() string {
		var said []string
		for {
			select {
			case e := <-events:
				if a, ok := e.Data.(control.AlertEvent); ok {
					for _, i := range a.Opened {
						said = append(said, "+"+string(i.Kind))
					}
					for _, i := range a.Closed {
						said = append(said, "-"+string(i.Kind))
					}
				}
			default:
				return strings.Join(said, " ")
			}
		}
	}
}

// TestDeadLettersAndDriftAndQualityAreTold lets runs have dead letters, a source change and rows go missing, and looks at what
// the target of each event receives; a switched-off event is told nobody.
func TestDeadLettersAndDriftAndQualityAreTold(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	fakes := map[model.NotifyEvent]*fakeHTTP{}
	for _, event := range []model.NotifyEvent{model.EventDeadLetter, model.EventSchemaDrift, model.EventQualityBreach} {
		fakes[event] = newFake(t, says(200, ""))
		b.link(model.TargetWebhook, map[string]string{"url": fakes[event].url}, event)
	}
	received := func(event model.NotifyEvent, n int, wants ...string) {
		t.Helper()
		calls := fakes[event].received()
		if len(calls) != n {
			t.Errorf("%s was told %d times, not %d: %+v", event, len(calls), n, calls)
			return
		}
		if n == 0 {
			return
		}
		var m struct{ Event string }
		if err := json.Unmarshal([]byte(calls[n-1].body), &m); err != nil || calls[n-1].header.Get(HeaderEvent) != string(event) || m.Event != string(event) {
			t.Errorf("%s: %v %s", event, err, calls[n-1].body)
		}
		for _, want := range wants {
			if !strings.Contains(calls[n-1].body, want) {
				t.Errorf("%s: %q is not in %s", event, want, calls[n-1].body)
			}
		}
	}
	b.exec("CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT)")
	b.exec("INSERT INTO orders VALUES (1, '10'), (2, 'x'), (3, '30')")
	steps := model.JSON(`[{"type":"type_cast","config":{"columns":{"note":"int"}}}]`)
	_, err := b.UpdatePipeline(b.ctx, b.pipeline.ID, control.PipelineUpdate{Choices: &[]control.TableChoice{{Name: "orders", Transform: &steps}}})
	b.must(err)
	alerts := b.listen()
	outcome := func() model.RunStatus {
		t.Helper()
		report, err := b.Run(b.ctx, control.RunRequest{Pipeline: b.pipeline.ID, FullRefresh: true})
		b.must(err)
		b.pass()
		return report.Status
	}
	outcome()
	received(model.EventDeadLetter, 1, `{"name":"Rejected rows","value":"1"}`, "orders (1)")
	received(model.EventSchemaDrift, 0)
	if got := alerts(); !strings.Contains(got, "+dead_letter") || !strings.Contains(got, "+quality_breach") {
		t.Errorf("listeners heard %q", got)
	}
	outcome() // the same incident
	received(model.EventDeadLetter, 1)
	b.exec("UPDATE orders SET note = '20' WHERE id = 2")
	if s := outcome(); s != model.RunSuccess {
		t.Fatalf("the run is %s", s)
	}
	if got := alerts(); !strings.Contains(got, "-dead_letter") || !strings.Contains(got, "-quality_breach") {
		t.Errorf("listeners heard %q", got)
	}
	// Switched off: the incident is there, nobody is told.
	b.must(b.ChangeSettings(b.ctx, map[string]string{"notify_dead_letter": "false", "notify_schema_drift": "false"}, nil))
	b.exec("UPDATE orders SET note = 'y' WHERE id = 2")
	b.exec("ALTER TABLE orders ADD COLUMN colour TEXT")
	outcome()
	received(model.EventDeadLetter, 1)
	received(model.EventSchemaDrift, 0)
	b.must(b.ChangeSettings(b.ctx, nil, []string{"notify_dead_letter", "notify_schema_drift"}))
	b.exec("UPDATE orders SET note = '20' WHERE id = 2")
	b.exec("ALTER TABLE orders ADD COLUMN size TEXT")
	outcome()
	received(model.EventSchemaDrift, 1, "orders: column added size")
	outcome() // told once
	received(model.EventSchemaDrift, 1)

	// The rows that became dead letters were missing after the load, twice.
	received(model.EventQualityBreach, 2, "row_count", "33.33 %", `"name":"Tables","value":"orders"`)
}
