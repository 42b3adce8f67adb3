package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"strings"
	"time"

	"arus/app/model"
)

// The ways to speak to a mail server: plain at first and then encrypted, which is
// the default; encrypted from the start; not encrypted.
const (
	securityStartTLS = "starttls"
	securityTLS      = "tls"
	securityNone     = "none"
)

// sendMail sends a mail to all the addresses in "to". It returns what the server
// said last.
func (s *Sender) sendMail(ctx context.Context, t model.NotificationTarget, secrets map[string]string, n model.Notification) (string, error) {
	from, err := mail.ParseAddress(t.Config["from"])
	if err != nil {
		return "", &failure{final: true, err: fmt.Errorf("the address %q in from is not valid", t.Config["from"])}
	}
	to, err := mail.ParseAddressList(t.Config["to"])
	if err != nil {
		return "", &failure{final: true, err: fmt.Errorf("the addresses %q in to are not valid", t.Config["to"])}
	}
	body := mailText(n, from, to, s.now())
	if err := s.deliver(ctx, t.Config, secrets["password"], from.Address, to, body); err != nil {
		if p, ok := errors.AsType[*textproto.Error](err); ok {
			return "", &failure{final: p.Code >= 500, err: fmt.Errorf("the mail server answered %d %s", p.Code, p.Msg)}
		}
		if f, ok := errors.AsType[*failure](err); ok {
			return "", f
		}
		return "", &failure{err: fmt.Errorf("the mail could not be handed over: %w", err)}
	}
	return fmt.Sprintf("250, taken for %d", len(to)), nil
}

func (s *Sender) deliver(ctx context.Context, config map[string]string, password, from string, to []*mail.Address, body []byte) error {
	host, port, security := config["host"], config["port"], config["security"]
	if security == "" {
		security = securityStartTLS
	}
	if port == "" {
		port = map[string]string{securityStartTLS: "587", securityTLS: "465", securityNone: "25"}[security]
	}
	secure := s.tls.Clone()
	if secure == nil {
		secure = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	secure.ServerName = host
	conn, err := s.dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // closed already where all went well
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	if security == securityTLS {
		conn = tls.Client(conn, secure)
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return err
	}
	if security == securityStartTLS {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return &failure{final: true, err: errors.New("the mail server offers no encryption: set security to tls, or to none")}
		}
		if err := c.StartTLS(secure); err != nil {
			return err
		}
	}
	if user := config["username"]; user != "" {
		// It hands the password to an encrypted connection or to this machine only.
		if err := c.Auth(smtp.PlainAuth("", user, password, host)); err != nil {
			if _, said := errors.AsType[*textproto.Error](err); !said {
				return &failure{final: true, err: fmt.Errorf("sign in to the mail server: %w", err)}
			}
			return err
		}
	}
	if err := c.Mail(from); err != nil {
		return err
	}
	for _, a := range to {
		if err := c.Rcpt(a.Address); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(body); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	_ = c.Quit() // the mail is taken, whatever comes of the farewell
	return nil
}

// mailText is the whole mail, its text in base64 so that no line is too long and
// none is taken for something else.
func mailText(n model.Notification, from *mail.Address, to []*mail.Address, now time.Time) []byte {
	m := n.Message
	symbol, _ := look(m.Event)
	var b bytes.Buffer
	header := func(name, value string) { fmt.Fprintf(&b, "%s: %s\r\n", name, value) }
	addresses := make([]string, len(to))
	for i, a := range to {
		addresses[i] = a.String()
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	header("From", from.String())
	header("To", strings.Join(addresses, ",\r\n "))
	header("Subject", mime.QEncoding.Encode("utf-8", symbol+" "+shorten(m.Title, 200, size)))
	header("Date", now.UTC().Format(time.RFC1123Z))
	header("Message-ID", "<"+n.ID+"@"+domain+">")
	header("Auto-Submitted", "auto-generated")
	header("MIME-Version", "1.0")
	header("Content-Type", "text/plain; charset=utf-8")
	header("Content-Transfer-Encoding", "base64")
	b.WriteString("\r\n")
	var text strings.Builder
	text.WriteString(m.Title + "\r\n\r\n")
	for _, f := range m.Fields {
		text.WriteString(f.Name + ": " + f.Value + "\r\n")
	}
	if m.Cause != "" {
		text.WriteString("\r\n" + strings.ReplaceAll(m.Cause, "\n", "\r\n") + "\r\n")
	}
	if m.Link != "" {
		text.WriteString("\r\n" + m.Link + "\r\n")
	}
	encoded := base64.StdEncoding.EncodeToString([]byte(text.String()))
	for len(encoded) > 76 {
		b.WriteString(encoded[:76] + "\r\n")
		encoded = encoded[76:]
	}
	b.WriteString(encoded + "\r\n")
	return b.Bytes()
}
