package notify

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"mime"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"
)

// call is one request that a fake received.
type call struct {
	path   string
	header http.Header
	body   string
}

// fakeHTTP answers like Telegram, Discord, Slack or a webhook. The first
// answers are failures, when there are any.
type fakeHTTP struct {
	url string

	mu       sync.Mutex
	calls    []call
	failures []func(http.ResponseWriter)
	good     func(http.ResponseWriter)
}

func newFake(t *testing.T, good func(http.ResponseWriter), failures ...func(http.ResponseWriter)) *fakeHTTP {
	t.Helper()
	f := &fakeHTTP{good: good, failures: failures}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.calls = append(f.calls, call{r.URL.Path, r.Header, string(body)})
		answer := f.good
		if len(f.failures) > 0 {
			answer, f.failures = f.failures[0], f.failures[1:]
		}
		answer(w)
	}))
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

func (f *fakeHTTP) received() []call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]call{}, f.calls...)
}

// says is an answer with a status and a body.
func says(status int, body string, header ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func telegramOK(w http.ResponseWriter) { says(200, `{"ok":true,"result":{"message_id":7}}`)(w) }
func discordOK(w http.ResponseWriter)  { says(204, "")(w) }
func slackOK(w http.ResponseWriter)    { says(200, "ok")(w) }

// fakeMail is a mail server with STARTTLS. The first mails are turned away with
// the codes in refuse.
type fakeMail struct {
	host, port string
	trust      *tls.Config

	mu     sync.Mutex
	refuse []string
	mails  []string
	users  []string
	plain  bool // somebody signed in or sent a mail without encryption
	noTLS  bool
}

func newMail(t *testing.T, refuse ...string) *fakeMail {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeMail{refuse: refuse, trust: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	f.host, f.port, _ = net.SplitHostPort(listener.Addr().String())
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer func() { _ = conn.Close() }()
				f.talk(conn, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12})
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		conns.Wait()
	})
	return f
}

func (f *fakeMail) talk(conn net.Conn, secure *tls.Config) {
	in, encrypted := bufio.NewReader(conn), false
	say := func(text string) { _, _ = fmt.Fprintf(conn, "%s\r\n", text) }
	say("220 fake")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		f.mu.Lock()
		if !encrypted && (strings.HasPrefix(line, "AUTH") || strings.HasPrefix(line, "MAIL")) {
			f.plain = true
		}
		f.mu.Unlock()
		switch verb := strings.ToUpper(strings.Fields(line + " x")[0]); verb {
		case "EHLO":
			say("250-fake")
			if !encrypted && !f.noTLS {
				say("250-STARTTLS")
			}
			say("250 AUTH PLAIN")
		case "STARTTLS":
			say("220 go")
			t := tls.Server(conn, secure)
			conn, in, encrypted = t, bufio.NewReader(t), true
		case "AUTH":
			raw, _ := base64.StdEncoding.DecodeString(strings.Fields(line)[2])
			f.mu.Lock()
			f.users = append(f.users, strings.ReplaceAll(string(raw), "\x00", "|"))
			f.mu.Unlock()
			say("235 in")
		case "MAIL", "RCPT":
			f.mu.Lock()
			refused := ""
			if verb == "MAIL" && len(f.refuse) > 0 {
				refused, f.refuse = f.refuse[0], f.refuse[1:]
			}
			f.mu.Unlock()
			if refused != "" {
				say(refused)
				continue
			}
			say("250 ok")
		case "DATA":
			say("354 go")
			var text strings.Builder
			for {
				l, err := in.ReadString('\n')
				if err != nil || l == ".\r\n" {
					break
				}
				text.WriteString(strings.TrimPrefix(l, "."))
			}
			f.mu.Lock()
			f.mails = append(f.mails, text.String())
			f.mu.Unlock()
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("502 what?")
		}
	}
}

// read gives the headers and the text of the only mail.
func (f *fakeMail) read(t *testing.T) (subject, text string, m *mail.Message) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.mails) != 1 {
		t.Fatalf("%d mails", len(f.mails))
	}
	for line := range strings.SplitSeq(f.mails[0], "\r\n") {
		if len(line) > 998 {
			t.Errorf("a line has %d characters", len(line))
		}
	}
	m, err := mail.ReadMessage(strings.NewReader(f.mails[0]))
	if err != nil {
		t.Fatal(err)
	}
	subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, m.Body))
	if err != nil {
		t.Fatal(err)
	}
	return subject, string(body), m
}
