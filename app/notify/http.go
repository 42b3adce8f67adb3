package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 16 << 10

// answer is what came back.
type answer struct {
	status string
	body   []byte
}

// post sends a body. A status other than 2xx is a *failure; explain takes the
// reason and the wait that the target asks for out of its body.
func (s *Sender) post(ctx context.Context, to string, body []byte, header http.Header, explain func([]byte) (string, time.Duration)) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil { // it would show the URL
		return answer{}, &failure{final: true, err: errors.New("the URL of the target is not valid")}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Arus/"+s.version)
	maps.Copy(req.Header, header)
	res, err := s.client.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok { // it shows the URL, which may be the secret
			err = u.Err
		}
		if f, ok := errors.AsType[*failure](err); ok {
			return answer{}, f
		}
		return answer{}, &failure{err: fmt.Errorf("no answer: %w", err)}
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		text = nil // the status says what counts
	}
	a := answer{status: res.Status, body: text}
	if res.StatusCode/100 == 2 {
		return a, nil
	}
	f := &failure{after: retryAfter(res.Header.Get("Retry-After"), s.now())}
	reason := ""
	if explain != nil {
		var wait time.Duration
		reason, wait = explain(text)
		f.after = max(f.after, wait)
	}
	if reason != "" {
		reason = ": " + reason
	}
	f.err = fmt.Errorf("the target answered %s%s", res.Status, reason)
	switch res.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
	default:
		f.final = res.StatusCode < 500
	}
	return a, f
}

// retryAfter reads the header of that name: seconds or a date.
func retryAfter(text string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(text, 10, 20); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// postJSON sends a value.
func (s *Sender) postJSON(ctx context.Context, to string, v any, explain func([]byte) (string, time.Duration)) (answer, error) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return answer{}, &failure{final: true, err: err}
	}
	return s.post(ctx, to, body.Bytes(), nil, explain)
}

// seconds is a number of seconds out of an answer.
func seconds(n float64) time.Duration {
	if !(n > 0 && n < 1e6) {
		return 0
	}
	return time.Duration(n * float64(time.Second))
}
