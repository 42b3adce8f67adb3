package notify

import (
	"context"
	"fmt"
	"strings"
	"time"

	"arus/app/model"
)

// Slack's limits: of a header, and of a section's text; ten fields to a section.
const (
	slackHeader = 150
	slackText   = 2900
	slackValue  = 500
	slackFields = 10
)

// slackEscape writes the three characters that have a meaning everywhere in
// Slack's mrkdwn; the zero-width space takes the meaning from the others.
var (
	slackEscape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace
	slackPlain  = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "*", "*\u200b", "_", "_\u200b", "~", "~\u200b", "`", "`\u200b").Replace
)

type slackBlock map[string]any

func mrkdwn(text string) map[string]any { return map[string]any{"type": "mrkdwn", "text": text} }

func (s *Sender) sendSlack(ctx context.Context, secrets map[string]string, m model.Message) (string, error) {
	symbol, _ := look(m.Event)
	title := symbol + " " + shorten(m.Title, slackHeader-4, size)
	blocks := []slackBlock{
		{"type": "header", "text": map[string]any{"type": "plain_text", "text": title, "emoji": true}},
		{"type": "divider"},
	}
	var fields []any
	for _, f := range m.Fields[:min(len(m.Fields), slackFields)] {
		fields = append(fields, mrkdwn("*"+fit(f.Name, slackValue, slackPlain)+"*\n"+fit(f.Value, slackValue, slackPlain)))
	}
	if len(fields) > 0 {
		blocks = append(blocks, slackBlock{"type": "section", "fields": fields})
	}
	if m.Cause != "" {
		cause := fit(m.Cause, slackText, func(t string) string { return slackEscape(unfence(t)) })
		blocks = append(blocks, slackBlock{"type": "section", "text": mrkdwn("```\n" + cause + "\n```")})
	}
	if m.Link != "" {
		blocks = append(blocks, slackBlock{"type": "section", "text": mrkdwn("<" + slackEscape(m.Link) + "|Open in Arus>")})
	}
	a, err := s.postJSON(ctx, secrets["webhook_url"], map[string]any{"text": slackEscape(title), "blocks": blocks}, slackReason)
	if err == nil && len(a.body) > 0 && string(a.body) != "ok" {
		return "", &failure{err: fmt.Errorf("the target answered %s, which is not what Slack says", a.status)}
	}
	return a.status, err
}

// slackReason is a word such as no_service or invalid_blocks.
func slackReason(body []byte) (string, time.Duration) {
	word := string(body)
	if len(word) > 60 || strings.ContainsAny(word, "<> \n") {
		return "", 0
	}
	return word, 0
}
