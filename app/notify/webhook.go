package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"arus/app/model"
)

// The headers of a webhook. The signature is "sha256=" and, in hexadecimal, the
// HMAC-SHA256 under the target's secret of the timestamp, a full stop and the
// body. The timestamp, in Unix seconds, is of the attempt; the delivery's id is
// the same in every attempt, so that a receiver can tell a repetition.
const (
	HeaderEvent     = "X-Arus-Event"
	HeaderDelivery  = "X-Arus-Delivery"
	HeaderTimestamp = "X-Arus-Timestamp"
	HeaderSignature = "X-Arus-Signature"
)

// Sign makes the signature of a webhook.
func Sign(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// webhookBody is what a webhook receives. Nothing of it is cut.
type webhookBody struct {
	ID         string               `json:"id"`
	Event      model.NotifyEvent    `json:"event"`
	At         time.Time            `json:"at"`
	Title      string               `json:"title"`
	Pipeline   string               `json:"pipeline"`
	PipelineID string               `json:"pipeline_id"`
	RunID      string               `json:"run_id"`
	Fields     []model.MessageField `json:"fields"`
	Cause      string               `json:"cause"`
	Link       string               `json:"link"`
}

func (s *Sender) sendWebhook(ctx context.Context, secrets map[string]string, n model.Notification) (string, error) {
	m := n.Message
	body, err := json.Marshal(webhookBody{n.ID, m.Event, m.At.UTC(), m.Title, m.Pipeline, m.PipelineID, m.RunID, m.Fields, m.Cause, m.Link})
	if err != nil {
		return "", &failure{final: true, err: err}
	}
	header := http.Header{}
	header.Set(HeaderEvent, string(m.Event))
	header.Set(HeaderDelivery, n.ID)
	timestamp := strconv.FormatInt(s.now().Unix(), 10)
	header.Set(HeaderTimestamp, timestamp)
	if secret := secrets["secret"]; secret != "" {
		header.Set(HeaderSignature, Sign(secret, timestamp, body))
	}
	a, err := s.post(ctx, secrets["url"], body, header, nil)
	return a.status, err
}
