package notify

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"arus/app/model"
)

// Discord's limits: of a title, a description, a field's name and value, the
// number of fields, and 6000 of an embed as a whole, which these stay below.
const (
	discordTitle       = 256
	discordDescription = 2500
	discordName        = 100
	discordValue       = 250
	discordFields      = 8
	discordInline      = 50
)

// markdownEscape takes the meaning from whatever Discord's markdown gives one.
var markdownEscape = strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "~", `\~`, "`", "\\`", "|", `\|`, ">", `\>`, "<", `\<`,
	"#", `\#`, "[", `\[`, "]", `\]`, "@", "@\u200b").Replace

type discordField struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Inline bool   `json:"inline"`
}

func (s *Sender) sendDiscord(ctx context.Context, secrets map[string]string, m model.Message) (string, error) {
	symbol, colour := look(m.Event)
	fields := []discordField{}
	for _, f := range m.Fields[:min(len(m.Fields), discordFields)] {
		fields = append(fields, discordField{fit(f.Name, discordName, markdownEscape), fit(f.Value, discordValue, markdownEscape), size(f.Value) < discordInline})
	}
	embed := map[string]any{
		"title": fit(m.Title, discordTitle, markdownEscape), "color": colour, "fields": fields,
		"footer": map[string]string{"text": "Arus"}, "timestamp": m.At.UTC().Format(time.RFC3339),
	}
	if m.Cause != "" {
		embed["description"] = "```\n" + fit(m.Cause, discordDescription, unfence) + "\n```"
	}
	if m.Link != "" {
		embed["url"] = m.Link
	}
	a, err := s.postJSON(ctx, secrets["webhook_url"], map[string]any{
		"content": symbol + " " + fit(m.Title, discordTitle, markdownEscape), "embeds": []any{embed},
		"allowed_mentions": map[string]any{"parse": []string{}}, // whatever a name or an error says, it calls nobody
	}, discordReason)
	return a.status, err
}

func discordReason(body []byte) (string, time.Duration) {
	var said struct {
		Message    string
		RetryAfter float64 `json:"retry_after"`
	}
	_ = json.Unmarshal(body, &said) // without a reason the status is the reason
	return said.Message, seconds(said.RetryAfter)
}
