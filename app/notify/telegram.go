package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"arus/app/model"
)

// telegramBase is where Telegram's bots are reached, unless the target has an
// api_base of its own.
const telegramBase = "https://api.telegram.org"

// A message may have 4096 characters, its markup not counted; it is counted here.
const (
	telegramLimit = 4000
	telegramTitle = 256
	telegramValue = 256
)

var htmlEscape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace

func (s *Sender) sendTelegram(ctx context.Context, t model.NotificationTarget, secrets map[string]string, m model.Message) (string, error) {
	base := t.Config["api_base"]
	if base == "" {
		base = telegramBase
	}
	// The token is a part of the path.
	to := strings.TrimRight(base, "/") + "/bot" + url.PathEscape(secrets["bot_token"]) + "/sendMessage"
	a, err := s.postJSON(ctx, to, map[string]any{
		"chat_id": t.Config["chat_id"], "text": telegramText(m), "parse_mode": "HTML",
		"link_preview_options": map[string]bool{"is_disabled": true},
	}, telegramReason)
	if err != nil {
		return "", err
	}
	var said struct {
		OK     bool
		Result struct {
			ID int64 `json:"message_id"`
		}
	}
	if json.Unmarshal(a.body, &said) != nil || !said.OK {
		return "", &failure{err: fmt.Errorf("the target answered %s, which is not what Telegram says", a.status)}
	}
	return fmt.Sprintf("%s, message %d", a.status, said.Result.ID), nil
}

func telegramReason(body []byte) (string, time.Duration) {
	var said struct {
		Description string
		Parameters  struct {
			RetryAfter float64 `json:"retry_after"`
		}
	}
	_ = json.Unmarshal(body, &said) // without a reason the status is the reason
	return said.Description, seconds(said.Parameters.RetryAfter)
}

// telegramText is a message in Telegram's HTML.
func telegramText(m model.Message) string {
	symbol, _ := look(m.Event)
	lines := []string{symbol + " <b>" + fit(m.Title, telegramTitle, htmlEscape) + "</b>"}
	for _, f := range m.Fields {
		lines = append(lines, "<b>"+fit(f.Name, telegramValue, htmlEscape)+":</b> "+fit(f.Value, telegramValue, htmlEscape))
	}
	if m.Link != "" {
		lines = append(lines, `<a href="`+htmlEscape(m.Link)+`">Open in Arus</a>`)
	}
	text := strings.Join(lines, "\n")
	if left := telegramLimit - size(text) - len("\n<pre></pre>"); m.Cause != "" && left > 0 {
		text += "\n<pre>" + fit(m.Cause, left, htmlEscape) + "</pre>"
	}
	return text
}
