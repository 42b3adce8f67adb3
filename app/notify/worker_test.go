package notify

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite" // makes the source's file

	"arus/app/auth"
	"arus/app/control"
	"arus/app/control/controltest"
	"arus/app/model"
	"arus/connectors"
)

// bundle is a service with one pipeline that fails while its table is missing,
// and a worker at a time that the test sets.
type bundle struct {
	*control.Service
	t        *testing.T
	ctx      context.Context
	db       *sql.DB
	pipeline model.Pipeline
	worker   *Worker
	sender   *Sender

	mu sync.Mutex
	at time.Time
}

func (b *bundle) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at
}

func (b *bundle) later(d time.Duration) {
	b.mu.Lock()
	b.at = b.at.Add(d)
	b.mu.Unlock()
}

func (b *bundle) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func setup(t *testing.T, mail *fakeMail) *bundle {
	t.Helper()
	b := &bundle{t: t, at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	b.Service = controltest.Open(t, filepath.Join(dir, "data"), b.now, log)
	b.ctx = auth.WithActor(t.Context(), auth.Schedule())
	file := filepath.Join(dir, "shop.db")
	var err error
	b.db, err = sql.Open("sqlite", "file:"+file)
	b.must(err)
	t.Cleanup(func() { _ = b.db.Close() })
	b.exec("CREATE TABLE other (id INTEGER PRIMARY KEY)")
	cfg, err := b.Registry.ParseURL("sqlite://" + filepath.ToSlash(file))
	b.must(err)
	src, err := b.AddSource(b.ctx, control.SourceInput{Name: "shop", Connection: cfg})
	b.must(err)
	_, err = b.AddDestination(b.ctx, control.DestinationInput{Name: "dwh", Connection: connectors.Config{Type: "embedded"}, IsDefault: true})
	b.must(err)
	b.pipeline, err = b.AddPipeline(b.ctx, control.PipelineInput{Name: "orders <b>", Source: src.ID, Choices: []control.TableChoice{{Name: "orders"}}, Schedule: "@hourly"})
	b.must(err)
	b.sender = New("test", b.now, nil)
	if mail != nil {
		b.sender = New("test", b.now, mail.trust)
	}
	t.Cleanup(b.sender.Close)
	b.Sender = b.sender
	b.restart()
	return b
}

// restart makes a worker that knows only what the state file does.
func (b *bundle) restart() {
	b.worker = &Worker{Queue: b.Service, Sender: b.sender, Log: b.Log, Now: b.now, Random: func() float64 { return 0.5 }}
}

func (b *bundle) exec(query string) {
	b.t.Helper()
	_, err := b.db.Exec(query)
	b.must(err)
}

// link makes a target of the pipeline.
func (b *bundle) link(kind model.TargetType, config map[string]string, events ...model.NotifyEvent) model.NotificationTarget {
	b.t.Helper()
	name := fmt.Sprintf("%s %d", kind, time.Now().UnixNano())
	target, err := b.AddTarget(b.ctx, control.TargetInput{Name: &name, Type: &kind, Config: config})
	b.must(err)
	_, err = b.AddLink(b.ctx, b.pipeline.ID, target.ID, events)
	b.must(err)
	return target
}

func (b *bundle) run(want model.RunStatus) {
	b.t.Helper()
	report, err := b.Run(b.ctx, control.RunRequest{Pipeline: b.pipeline.ID})
	b.must(err)
	if report.Status != want {
		b.t.Fatalf("the run is %s: %+v", report.Status, report)
	}
	b.later(time.Minute)
}

func (b *bundle) pass() time.Time {
	b.t.Helper()
	next, err := b.worker.Pass(b.ctx)
	b.must(err)
	return next
}

func (b *bundle) history() (list []string) {
	b.t.Helper()
	all, _, err := b.ListNotifications(b.ctx, control.NotificationFilter{Page: control.Page{Limit: 1000}})
	b.must(err)
	slices.Reverse(all)
	for _, n := range all {
		list = append(list, fmt.Sprintf("%s %s %s %d", n.TargetType, n.Event, n.Status, n.Attempts))
	}
	return list
}

// TestEveryTargetIsToldOnce lets each kind of target fail twice first, in the
// ways that may pass, and restarts the worker in between.
func TestEveryTargetIsToldOnce(t *testing.T) {
	t.Parallel()
	mail := newMail(t, "451 later", "421 not now")
	b := setup(t, mail)
	oops := []func(http.ResponseWriter){says(500, "oops"), says(429, `{"retry_after":40}`, "Retry-After", "40")}
	fakes := map[model.TargetType]*fakeHTTP{
		model.TargetTelegram: newFake(t, telegramOK, oops...), model.TargetDiscord: newFake(t, discordOK, oops...),
		model.TargetSlack: newFake(t, slackOK, oops...), model.TargetWebhook: newFake(t, says(202, ""), oops...),
	}
	b.link(model.TargetTelegram, map[string]string{"bot_token": botToken, "chat_id": "5", "api_base": fakes[model.TargetTelegram].url}, model.EventFailure)
	b.link(model.TargetDiscord, map[string]string{"webhook_url": fakes[model.TargetDiscord].url + hookPath}, model.EventFailure)
	b.link(model.TargetSlack, map[string]string{"webhook_url": fakes[model.TargetSlack].url + hookPath}, model.EventFailure)
	b.link(model.TargetWebhook, map[string]string{"url": fakes[model.TargetWebhook].url + hookPath, "secret": "hook-marker"}, model.EventFailure)
	b.link(model.TargetSMTP, map[string]string{"host": mail.host, "port": mail.port, "username": "u", "password": "mail-marker", "from": "a@example.com", "to": "b@example.com"}, model.EventFailure)
	b.run(model.RunFailed)
	began := b.now()
	for range 4 {
		next := b.pass()
		b.restart()
		b.pass() // too early: nothing happens
		if next.IsZero() {
			break
		}
		b.mu.Lock()
		b.at = next.Add(time.Second)
		b.mu.Unlock()
	}
	if waited := b.now().Sub(began); waited < 47*time.Second || waited > 2*time.Minute { // 7.5 s, then the 40 s that were asked for
		t.Errorf("it took %s", waited)
	}
	for kind, fake := range fakes {
		calls := fake.received()
		if len(calls) != 3 {
			t.Errorf("%s received %d calls", kind, len(calls))
			continue
		}
		if kind == model.TargetWebhook {
			first, last := calls[0].header, calls[2].header
			if first.Get(HeaderDelivery) != last.Get(HeaderDelivery) || calls[0].body != calls[2].body || first.Get(HeaderTimestamp) == last.Get(HeaderTimestamp) ||
				last.Get(HeaderSignature) != Sign("hook-marker", last.Get(HeaderTimestamp), []byte(calls[2].body)) {
				t.Errorf("%v, then %v", first, last)
			}
		}
		if !strings.Contains(calls[2].body, "orders") || !strings.Contains(calls[2].body, "no such table") {
			t.Errorf("%s received %s", kind, calls[2].body)
		}
	}
	subject, text, _ := mail.read(t)
	if subject != "🚨 Pipeline failed: orders <b>" || !strings.Contains(text, "Destination: dwh") || !strings.Contains(text, "no such table") {
		t.Errorf("%s\n%s", subject, text)
	}
	for _, line := range b.history() {
		if !strings.HasSuffix(line, "failure sent 3") {
			t.Error(line)
		}
	}
	// No secret is kept in what was sent and answered.
	all, _, err := b.ListNotifications(b.ctx, control.NotificationFilter{})
	b.must(err)
	if text, _ := json.Marshal(all); strings.Contains(string(text), "marker") || len(all) != 5 {
		t.Errorf("%s", text)
	}
}

func TestOneAlertToAnIncident(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	both, failures, successes := newFake(t, says(200, "")), newFake(t, says(200, "")), newFake(t, says(200, ""))
	b.link(model.TargetWebhook, map[string]string{"url": both.url}, model.EventFailure, model.EventRecovery, model.EventSuccess)
	b.link(model.TargetWebhook, map[string]string{"url": failures.url}, model.EventFailure)
	b.link(model.TargetWebhook, map[string]string{"url": successes.url}, model.EventSuccess)
	events := func(f *fakeHTTP) (list []string) {
		for _, c := range f.received() {
			list = append(list, c.header.Get(HeaderEvent))
		}
		return list
	}
	for range 3 {
		b.run(model.RunFailed)
		b.pass()
		b.restart()
	}
	b.exec("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
	b.run(model.RunSuccess)
	b.run(model.RunSuccess)
	b.pass()
	b.exec("DROP TABLE orders")
	b.run(model.RunFailed)
	b.pass()
	for _, c := range []struct {
		fake *fakeHTTP
		want string
	}{{both, "failure recovery success failure"}, {failures, "failure failure"}, {successes, "success success"}} {
		if got := strings.Join(events(c.fake), " "); got != c.want {
			t.Errorf("received %s, want %s", got, c.want)
		}
	}
	if body := both.received()[1].body; !strings.Contains(body, `{"name":"Failed runs","value":"3"}`) {
		t.Error(body)
	}
	// The switch for all pipelines.
	b.must(b.ChangeSettings(b.ctx, map[string]string{"notify_pipeline_failures": "false"}, nil))
	b.exec("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
	b.run(model.RunSuccess)
	b.exec("DROP TABLE orders")
	b.run(model.RunFailed)
	b.pass()
	if got := strings.Join(events(failures), " "); got != "failure failure" {
		t.Errorf("received %s", got)
	}
}

func TestWhatIsRefusedIsNotSentAgain(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	refused, broken := newFake(t, says(404, `no_service`)), newFake(t, says(500, ""))
	b.link(model.TargetSlack, map[string]string{"webhook_url": refused.url + hookPath}, model.EventFailure)
	b.link(model.TargetDiscord, map[string]string{"webhook_url": broken.url + hookPath}, model.EventFailure)
	removed := b.link(model.TargetWebhook, map[string]string{"url": broken.url}, model.EventFailure)
	asleep := b.link(model.TargetWebhook, map[string]string{"url": broken.url}, model.EventFailure)
	b.run(model.RunFailed)
	_, err := b.HearRuns(b.ctx)
	b.must(err)
	b.must(b.DeleteTarget(b.ctx, removed.ID))
	no := false
	_, err = b.UpdateTarget(b.ctx, asleep.ID, control.TargetInput{Active: &no})
	b.must(err)
	for range 30 {
		b.pass()
		b.later(2 * time.Hour)
	}
	want := []string{"discord failure failed 12", "slack failure failed 1", "webhook failure failed 1", "webhook failure failed 1"}
	got := b.history()
	slices.Sort(got)
	if !slices.Equal(got, want) || len(refused.received()) != 1 || len(broken.received()) != maxAttempts {
		t.Errorf("%q after %d and %d calls", got, len(refused.received()), len(broken.received()))
	}
	all, _, err := b.ListNotifications(b.ctx, control.NotificationFilter{Status: model.DeliveryFailed})
	b.must(err)
	if !slices.ContainsFunc(all, func(n model.Notification) bool { return strings.Contains(n.Answer, "404 Not Found: no_service") }) {
		t.Errorf("%+v", all)
	}
}

func TestOverdueAndItsEnd(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	fake := newFake(t, says(200, ""))
	b.link(model.TargetWebhook, map[string]string{"url": fake.url}, model.EventOverdue, model.EventRecovery)
	b.must(b.SaveSchedules(b.ctx, []model.ScheduleState{{PipelineID: b.pipeline.ID, Since: b.now(), NextAt: b.now().Add(time.Hour)}}, nil))
	for range 180 { // twelve to three: due at one and at two
		b.must(b.CheckOverdue(b.ctx))
		b.pass()
		b.later(time.Minute)
	}
	calls := fake.received()
	if len(calls) != 1 || !strings.Contains(calls[0].body, `"at":"2026-03-01T14:05:00Z"`) || !strings.Contains(calls[0].body, `"value":"never"`) {
		t.Fatalf("%+v", calls)
	}
	b.exec("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
	b.run(model.RunSuccess)
	b.pass()
	if calls := fake.received(); len(calls) != 2 || calls[1].header.Get(HeaderEvent) != "recovery" {
		t.Errorf("%+v", calls)
	}
}

func TestATestIsSentAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	fake := newFake(t, telegramOK, says(403, `{"ok":false,"description":"Forbidden: bot `+botToken+` was blocked"}`))
	target := b.link(model.TargetTelegram, map[string]string{"bot_token": botToken, "chat_id": "5", "api_base": fake.url})
	n, err := b.TestTarget(b.ctx, target.ID, "", "")
	if err != nil || n.Status != model.DeliveryFailed || n.Answer != "the target answered 403 Forbidden: Forbidden: bot *** was blocked" {
		t.Errorf("%+v, %v", n, err)
	}
	for _, event := range append(model.NotifyEvents(), model.EventTest) {
		if n, err := b.TestTarget(b.ctx, target.ID, event, "hello <world>"); err != nil || n.Status != model.DeliverySent || n.Message.Title == "" {
			t.Errorf("%s: %+v, %v", event, n, err)
		}
	}
	if calls := fake.received(); len(calls) != 9 || !strings.Contains(calls[8].body, "hello &lt;world&gt;") {
		t.Errorf("%d calls", len(calls))
	}
	if _, err := b.TestTarget(b.ctx, target.ID, "nonsense", ""); err == nil {
		t.Error("an event of no kind was sent")
	}
	b.pass()
	if len(fake.received()) != 9 {
		t.Error("a test was sent again")
	}
}

// TestTheWorkerStartsAndStops does so fifty times while notifications fail;
// goleak looks for what is left.
func TestTheWorkerStartsAndStops(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	fake := newFake(t, says(200, ""), says(500, ""))
	b.link(model.TargetWebhook, map[string]string{"url": fake.url}, model.EventFailure)
	b.run(model.RunFailed)
	for range 50 {
		ctx, stop := context.WithCancel(b.ctx)
		over := make(chan error)
		go func() { over <- b.worker.Run(ctx) }()
		b.worker.Observe(control.Event{Type: control.RunFinished})
		time.AfterFunc(2*time.Millisecond, stop)
		b.must(<-over)
		b.later(10 * time.Second)
		b.restart()
	}
	b.pass()
	if got := b.history(); len(got) != 1 || got[0] != "webhook failure sent 2" || len(fake.received()) != 2 {
		t.Errorf("%q after %d calls", got, len(fake.received()))
	}
}
