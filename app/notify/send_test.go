package notify

import (
	"encoding/json"
	"errors"
	"html"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"

	"arus/app/model"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	botToken = "123456:AAtoken-marker"
	hookPath = "/services/T0/B0/secret-marker"
)

// awful is an error with everything that a service gives a meaning, 5,000
// characters long, with its cause at the end.
var awful = `read table "orders": column <total> & 'net': *bold* _it_ ~no~ [x](http://y) @everyone ` + "```code``` \x00 \xff " + strings.Repeat("зжё😀", 1228) + " CAUSE <connection> \"refused\""

func message() model.Message {
	m := model.Message{
		Event: model.EventFailure, Title: `Pipeline failed: shop <b>"x" & *y*</b>`, Pipeline: "shop", PipelineID: "p", RunID: "r", Cause: awful,
		Link: "https://arus.example/runs/r?a=1&b=2", At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}
	m.Add("Pipeline", `shop <b>"x" & *y*</b> @here`)
	m.Add("Rows", "1,500")
	return m
}

func send(t *testing.T, kind model.TargetType, config, secrets map[string]string, n model.Notification, mail *fakeMail) (string, error) {
	t.Helper()
	at := func() time.Time { return time.Unix(1_772_366_400, 0) }
	s := New("test", at, nil)
	if mail != nil {
		s = New("test", at, mail.trust)
	}
	defer s.Close()
	return s.Send(t.Context(), model.NotificationTarget{Type: kind, Config: config, Active: true}, secrets, n)
}

func readable(t *testing.T, where, text string) {
	t.Helper()
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) || !strings.Contains(text, "read table") || !strings.Contains(text, "CAUSE") || !strings.Contains(text, "refused") || !strings.Contains(text, "[…]") {
		t.Errorf("%s is not readable: %.300s ... %s", where, text, text[max(0, len(text)-60):])
	}
}

func TestTelegram(t *testing.T) {
	t.Parallel()
	fake := newFake(t, telegramOK)
	answer, err := send(t, model.TargetTelegram, map[string]string{"chat_id": "-5", "api_base": fake.url + "/"}, map[string]string{"bot_token": botToken}, model.Notification{Message: message()}, nil)
	if err != nil || answer != "200 OK, message 7" {
		t.Fatalf("%q, %v", answer, err)
	}
	c := fake.received()[0]
	var body struct {
		ChatID string `json:"chat_id"`
		Text   string
		Mode   string `json:"parse_mode"`
	}
	if err := json.Unmarshal([]byte(c.body), &body); err != nil || c.path != "/bot"+botToken+"/sendMessage" || body.ChatID != "-5" || body.Mode != "HTML" {
		t.Errorf("%s: %+v, %v", c.path, body, err)
	}
	if n := size(body.Text); n > 4096 || n < 3900 {
		t.Errorf("%d characters", n)
	}
	// What is left without the tags that Telegram knows is text.
	bare := regexp.MustCompile(`</?(b|pre)>|<a href="[^"]*">|</a>`).ReplaceAllString(body.Text, "")
	if strings.ContainsAny(bare, "<>") || regexp.MustCompile(`&(?:[^a-z]|amp[^;])`).MatchString(bare) {
		t.Errorf("markup is left: %s", bare)
	}
	text := html.UnescapeString(bare)
	readable(t, "the message", text)
	for _, want := range []string{`shop <b>"x" & *y*</b>`, "Rows: 1,500", `column <total> & 'net'`} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in %.600s", want, text)
		}
	}
}

func TestDiscord(t *testing.T) {
	t.Parallel()
	fake := newFake(t, discordOK)
	answer, err := send(t, model.TargetDiscord, nil, map[string]string{"webhook_url": fake.url + hookPath}, model.Notification{Message: message()}, nil)
	if err != nil || answer != "204 No Content" {
		t.Fatalf("%q, %v", answer, err)
	}
	c := fake.received()[0]
	var body struct {
		Content string
		Embeds  []struct {
			Title, Description, Timestamp string
			Color                         int
			Fields                        []discordField
		}
		Mentions struct{ Parse []string } `json:"allowed_mentions"`
	}
	if err := json.Unmarshal([]byte(c.body), &body); err != nil || c.path != hookPath || len(body.Embeds) != 1 || body.Mentions.Parse == nil || len(body.Mentions.Parse) != 0 {
		t.Fatalf("%s %s, %v", c.path, c.body, err)
	}
	e := body.Embeds[0]
	if size(body.Content) > 2000 || size(e.Title) > 256 || size(e.Description) > 4096 || e.Color != 0xE74C3C || e.Timestamp != "2026-03-01T12:00:00Z" {
		t.Errorf("%d %d %d %x %s", size(body.Content), size(e.Title), size(e.Description), e.Color, e.Timestamp)
	}
	whole := size(e.Title) + size(e.Description) + 4
	for _, f := range e.Fields {
		whole += size(f.Name) + size(f.Value)
	}
	if whole > 6000 {
		t.Errorf("the embed has %d characters", whole)
	}
	readable(t, "the description", e.Description)
	if strings.Count(e.Description, "`") != 6 || strings.Contains(body.Content, "@here") || !e.Fields[1].Inline || !strings.Contains(e.Fields[0].Value, `\*y\*`) {
		t.Errorf("escaped as %q, %+v", body.Content, e.Fields)
	}
}

func TestSlack(t *testing.T) {
	t.Parallel()
	fake := newFake(t, slackOK)
	answer, err := send(t, model.TargetSlack, nil, map[string]string{"webhook_url": fake.url + hookPath}, model.Notification{Message: message()}, nil)
	if err != nil || answer != "200 OK" {
		t.Fatalf("%q, %v", answer, err)
	}
	var body struct {
		Text   string
		Blocks []struct {
			Type   string
			Text   struct{ Type, Text string }
			Fields []struct{ Type, Text string }
		}
	}
	if err := json.Unmarshal([]byte(fake.received()[0].body), &body); err != nil || len(body.Blocks) != 5 {
		t.Fatalf("%+v, %v", body, err)
	}
	header, fields, cause, link := body.Blocks[0], body.Blocks[2], body.Blocks[3], body.Blocks[4]
	if size(header.Text.Text) > 150 || size(cause.Text.Text) > 3000 || len(fields.Fields) != 2 || link.Text.Text != "<https://arus.example/runs/r?a=1&amp;b=2|Open in Arus>" {
		t.Errorf("%+v", body.Blocks)
	}
	readable(t, "the cause", html.UnescapeString(cause.Text.Text))
	if strings.ContainsAny(cause.Text.Text, "<>") || strings.Count(cause.Text.Text, "`") != 6 || strings.Contains(fields.Fields[0].Text, "<b>") {
		t.Errorf("not escaped: %+v", fields.Fields)
	}
}

func TestWebhook(t *testing.T) {
	t.Parallel()
	fake := newFake(t, says(200, "whatever it says is not kept"))
	n := model.Notification{ID: "n1", Event: model.EventFailure, Message: message()}
	answer, err := send(t, model.TargetWebhook, nil, map[string]string{"url": fake.url + "/hook", "secret": "s3cret"}, n, nil)
	if err != nil || answer != "200 OK" {
		t.Fatalf("%q, %v", answer, err)
	}
	c := fake.received()[0]
	if c.header.Get(HeaderSignature) != Sign("s3cret", "1772366400", []byte(c.body)) || c.header.Get(HeaderTimestamp) != "1772366400" || c.header.Get(HeaderDelivery) != "n1" || c.header.Get(HeaderEvent) != "failure" {
		t.Errorf("%v", c.header)
	}
	// Computed by another program: printf '1.{}' | openssl dgst -sha256 -hmac key
	if got := Sign("key", "1", []byte("{}")); got != "sha256=1ba6b8171186efc613e8bcc0cbdab2748f24984d7c5a84faa2637afa0e40d224" {
		t.Errorf("signature %s", got)
	}
	var body webhookBody
	if err := json.Unmarshal([]byte(c.body), &body); err != nil || body.Cause != plain(awful, true) || body.Title != message().Title || body.RunID != "r" || len(body.Fields) != 2 {
		t.Errorf("%+v, %v", body, err)
	}
}

func TestMail(t *testing.T) {
	t.Parallel()
	fake := newMail(t)
	config := map[string]string{"host": fake.host, "port": fake.port, "username": "arus", "from": "Arus <arus@example.com>", "to": "ann@example.com, Ben Ö <ben@example.com>"}
	n := model.Notification{ID: "n1", Message: message()}
	n.Message.Title += "\r\nBcc: evil@example.com"
	answer, err := send(t, model.TargetSMTP, config, map[string]string{"password": "mail-marker"}, n, fake)
	if err != nil || answer != "250, taken for 2" {
		t.Fatalf("%q, %v", answer, err)
	}
	subject, text, m := fake.read(t)
	to, err := m.Header.AddressList("To")
	if err != nil || len(to) != 2 || to[1].Name != "Ben Ö" || m.Header.Get("Bcc") != "" || !strings.HasPrefix(subject, "🚨 Pipeline failed: shop") || m.Header.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("%q to %v, %v, %v", subject, to, err, m.Header)
	}
	if !strings.Contains(text, plain(awful, true)) || !strings.Contains(text, "Rows: 1,500\r\n") {
		t.Errorf("the text is %.500s", text)
	}
	if fake.plain || len(fake.users) != 1 || fake.users[0] != "|arus|mail-marker" {
		t.Errorf("signed in as %v, without encryption: %v", fake.users, fake.plain)
	}
	// Without encryption nothing is said but where that is asked for.
	bare := newMail(t)
	bare.noTLS = true
	config["host"], config["port"] = bare.host, bare.port
	_, err = send(t, model.TargetSMTP, config, map[string]string{"password": "mail-marker"}, n, bare)
	if f, ok := errors.AsType[*failure](err); !ok || !f.final || bare.plain {
		t.Errorf("%v, plain: %v", err, bare.plain)
	}
}

func TestFailuresSayWhetherToTryAgain(t *testing.T) {
	t.Parallel()
	telegram := func(t *testing.T, answer func(http.ResponseWriter)) error {
		fake := newFake(t, answer)
		_, err := send(t, model.TargetTelegram, map[string]string{"chat_id": "5", "api_base": fake.url}, map[string]string{"bot_token": botToken}, model.Notification{Message: message()}, nil)
		return err
	}
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter)
		final  bool
		after  time.Duration
		wants  string
	}{
		"refused":       {says(400, `{"ok":false,"description":"Bad Request: chat not found for bot `+botToken+`"}`), true, 0, "chat not found for bot ***"},
		"gone":          {says(404, `{}`), true, 0, "404"},
		"too many":      {says(429, `{"ok":false,"description":"slow down","parameters":{"retry_after":17}}`), false, 17 * time.Second, "slow down"},
		"header":        {says(429, ``, "Retry-After", "30"), false, 30 * time.Second, "429"},
		"date":          {says(503, ``, "Retry-After", time.Unix(1_772_366_400+90, 0).UTC().Format(http.TimeFormat)), false, 90 * time.Second, "503"},
		"broken":        {says(500, `<html>oops`), false, 0, "500"},
		"elsewhere":     {says(302, ``, "Location", "http://169.254.169.254/"), true, 0, "302"},
		"not Telegram":  {says(200, `<html>log in to the network</html>`), false, 0, "not what Telegram says"},
		"not ok though": {says(200, `{"ok":false}`), false, 0, "not what Telegram says"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := telegram(t, c.answer)
			f, ok := errors.AsType[*failure](err)
			if !ok || f.final != c.final || f.after != c.after || !strings.Contains(err.Error(), c.wants) || strings.Contains(err.Error(), "marker") {
				t.Errorf("%v, %+v", err, f)
			}
		})
	}
	for name, url := range map[string]string{
		"nobody there": "http://127.0.0.1:1" + hookPath, "metadata": "http://169.254.169.254" + hookPath, "mapped": "http://[::ffff:169.254.169.254]" + hookPath,
		"any": "http://0.0.0.0" + hookPath, "no URL": "http://[::1" + hookPath, "no name": "http://no-such-host.invalid" + hookPath,
	} {
		_, err := send(t, model.TargetSlack, nil, map[string]string{"webhook_url": url}, model.Notification{Message: message()}, nil)
		f, ok := errors.AsType[*failure](err)
		if !ok || strings.Contains(err.Error(), "marker") || strings.Contains(err.Error(), "/services") {
			t.Errorf("%s: %v", name, err)
		}
		if final := name != "nobody there" && name != "no name"; ok && f.final != final {
			t.Errorf("%s: final is %v: %v", name, f.final, err)
		}
	}
}

func TestShorten(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "short", strings.Repeat("ä", 50), strings.Repeat("😀", 50), strings.Repeat("<", 50), "head" + strings.Repeat("x", 100) + "tail"} {
		for limit := range 60 {
			for name, escape := range map[string]func(string) string{"html": htmlEscape, "markdown": markdownEscape, "none": func(s string) string { return s }} {
				got := fit(text, limit, escape)
				if size(got) > limit || !utf8.ValidString(got) {
					t.Fatalf("%s of %.10q to %s: %q has %s", name, text, strconv.Itoa(limit), got, strconv.Itoa(size(got)))
				}
				if size(escape(text)) <= limit && got != escape(text) {
					t.Fatalf("%q was cut needlessly", text)
				}
			}
		}
	}
	if got := shorten("head"+strings.Repeat("x", 100)+"tail", 40, size); !strings.HasPrefix(got, "head") || !strings.HasSuffix(got, "tail") || size(got) < 38 {
		t.Errorf("%q", got)
	}
}

func FuzzRender(f *testing.F) {
	f.Add(awful, "title", "value")
	f.Add("", "<&>\"", "`*_~")
	f.Fuzz(func(t *testing.T, cause, title, value string) {
		m := model.Message{Event: model.EventFailure, Title: title, Cause: cause}
		m.Add("Name", value)
		m = clean(m)
		text := telegramText(m)
		bare := regexp.MustCompile(`</?(b|pre)>`).ReplaceAllString(text, "")
		if size(text) > 4096 || strings.ContainsAny(bare, "<>") || !utf8.ValidString(text) {
			t.Errorf("%q", text)
		}
		if n := size(fit(cause, discordDescription, unfence)); n > discordDescription {
			t.Errorf("%d", n)
		}
	})
}
