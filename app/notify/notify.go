// Package notify delivers notifications: it gives each message the form of its
// target, sends it, and tries again what was not taken.
//
// Who may edit notifications chooses the URLs that are called, as whoever may
// edit sources chooses the hosts that are read; servers within the own network
// are legitimate targets. So addresses are not restricted but for link-local
// ones, where clouds serve their machines' credentials, and those that name no
// single server; redirects are not followed, and of what a free URL answers only
// the status is kept.
package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"arus/app/model"
)

// Timeout bounds one attempt.
const Timeout = 20 * time.Second

// Sender sends notifications. It is made by New.
type Sender struct {
	version string
	now     func() time.Time
	client  *http.Client
	dialer  *net.Dialer
	tls     *tls.Config // of mail servers
}

// New returns a Sender. certificates says whom to trust; nil: whom the machine
// trusts.
func New(version string, now func() time.Time, certificates *tls.Config) *Sender {
	dialer := &net.Dialer{Timeout: Timeout, Control: refuseAddress}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, TLSClientConfig: certificates.Clone(),
		TLSHandshakeTimeout: Timeout, MaxIdleConns: 4, IdleConnTimeout: 10 * time.Second, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10,
	}
	return &Sender{
		version: version, now: now, dialer: dialer, tls: certificates,
		client: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// Close lets go of idle connections.
func (s *Sender) Close() { s.client.CloseIdleConnections() }

// refuseAddress is asked for every address that is dialled, after its name was
// looked up.
func refuseAddress(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := at.Addr().Unmap()
	if ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() {
		return &failure{final: true, err: fmt.Errorf("notifications are not sent to the address %s", ip)}
	}
	return nil
}

// failure is an attempt that did not succeed.
type failure struct {
	err   error
	final bool          // trying again would not help
	after time.Duration // the target asked to wait so long
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// Send sends one notification to its target. Neither the answer nor the error
// holds any of the secrets.
func (s *Sender) Send(ctx context.Context, t model.NotificationTarget, secrets map[string]string, n model.Notification) (answer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	n.Message = clean(n.Message)
	switch t.Type {
	case model.TargetTelegram:
		answer, err = s.sendTelegram(ctx, t, secrets, n.Message)
	case model.TargetDiscord:
		answer, err = s.sendDiscord(ctx, secrets, n.Message)
	case model.TargetSlack:
		answer, err = s.sendSlack(ctx, secrets, n.Message)
	case model.TargetWebhook:
		answer, err = s.sendWebhook(ctx, secrets, n)
	case model.TargetSMTP:
		answer, err = s.sendMail(ctx, t, secrets, n)
	default:
		err = &failure{final: true, err: fmt.Errorf("there is no way to send to %q", t.Type)}
	}
	if err == nil {
		return hide(answer, secrets), nil
	}
	hidden := &failure{err: errors.New(hide(err.Error(), secrets))}
	if f, ok := errors.AsType[*failure](err); ok {
		hidden.final, hidden.after = f.final, f.after
	}
	return "", hidden
}

// hide takes secrets out of a text that comes from elsewhere, and shortens it.
func hide(text string, secrets map[string]string) string {
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		text = strings.ReplaceAll(text, secret, "***")
		// Of a URL, what comes after the host is the secret.
		if _, rest, ok := strings.Cut(secret, "://"); ok {
			if _, path, ok := strings.Cut(rest, "/"); ok && len(path) >= 8 {
				text = strings.ReplaceAll(text, path, "***")
			}
		}
	}
	return shorten(strings.Join(strings.Fields(strings.ToValidUTF8(text, "\uFFFD")), " "), 500, size)
}

// look is how an event shows: its symbol and its colour.
func look(e model.NotifyEvent) (symbol string, colour int) {
	switch e {
	case model.EventSuccess:
		return "✅", 0x2ECC71
	case model.EventFailure:
		return "🚨", 0xE74C3C
	case model.EventDeadLetter:
		return "⚠️", 0xF39C12
	case model.EventSchemaDrift:
		return "🔀", 0xF1C40F
	case model.EventQualityBreach:
		return "📉", 0xE74C3C
	case model.EventRecovery:
		return "💚", 0x2ECC71
	case model.EventOverdue:
		return "⏰", 0xF39C12
	default:
		return "🔔", 0x3498DB
	}
}
