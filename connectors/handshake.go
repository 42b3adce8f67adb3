package connectors

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// TLSPolicy is what a connection wants of TLS.
type TLSPolicy uint8

// What a connection wants of TLS.
const (
	TLSOff TLSPolicy = iota
	TLSPreferred
	TLSRequired // whether the certificate is checked or not
)

// Handshake watches a driver connect, so that tcp, tls and login can be told
// apart. The driver itself connects, once: what is tested is what will be used,
// and the server sees no half-made connections, for which some lock a host out.
type Handshake struct {
	Policy TLSPolicy
	Many   bool // the driver opens several connections; the first one tells

	mu        sync.Mutex
	started   time.Time
	connected time.Time
	secured   time.Time
	remote    net.Addr
	state     *tls.ConnectionState
	checked   bool // the certificate, against an authority
}

// Dial is for the driver to dial with.
func (h *Handshake) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	started := time.Now()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, address)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.Many && !h.connected.IsZero() {
		return conn, err
	}
	if h.started.IsZero() || err == nil {
		h.started = started
	}
	if err == nil { // a driver that tries again in plain text begins anew
		h.connected, h.remote, h.secured, h.state = time.Now(), conn.RemoteAddr(), time.Time{}, nil
	}
	return conn, err
}

// Watch is config with an ear for the end of the handshake.
func (h *Handshake) Watch(config *tls.Config) *tls.Config {
	if config == nil {
		return nil
	}
	watched := config.Clone()
	checked := !config.InsecureSkipVerify || config.VerifyConnection != nil
	watched.VerifyConnection = func(state tls.ConnectionState) error {
		if config.VerifyConnection != nil {
			if err := config.VerifyConnection(state); err != nil {
				return err
			}
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if !h.Many || h.state == nil {
			h.secured, h.state, h.checked = time.Now(), &state, checked
		}
		return nil
	}
	return watched
}

// LookUp is the stage name: the addresses of the configured host.
func (s *Stages) LookUp(ctx context.Context) {
	s.Run(ctx, Stage{Name: StageName}, func(ctx context.Context, found *Stage) error {
		host := s.cfg.Host
		if host == "" {
			found.Status, found.Detail = StageSkipped, "the connection string names the servers"
			return nil
		}
		if strings.HasPrefix(host, "/") {
			found.Status, found.Detail = StageSkipped, host+" is a socket on this machine"
			return nil
		}
		if net.ParseIP(host) != nil {
			found.Detail = host + " is an address"
			return nil
		}
		addresses, err := net.DefaultResolver.LookupHost(ctx, host)
		if err != nil {
			return &Error{Kind: KindNetwork, Op: "look up", Object: host, Hint: "check the host name, and that this machine's name server knows it", Err: unwrapDNS(err)}
		}
		found.Detail = host + " is " + SomeOf(addresses)
		return nil
	})
}

// unwrapDNS drops the name from the error, which says it already.
func unwrapDNS(err error) error {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return errors.New(dns.Err)
	}
	return err
}

// Connect runs the stages tcp, tls and login: connect lets the driver open one
// connection through h. A server that knows the user but refuses the database
// (kind not_found or permission) has passed the login; that error is returned,
// for the stage database.
func (s *Stages) Connect(ctx context.Context, h *Handshake, connect func(ctx context.Context) error) error {
	if s.failed {
		for _, name := range []string{StageTCP, StageTLS, StageLogin} {
			s.end(Stage{Name: name, Status: StageSkipped})
		}
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	began := time.Now()
	err := s.inTime(ctx, limited, connect(limited))
	ended := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.connected.IsZero() { // also when the driver did not dial at all
		if err == nil {
			err = &Error{Kind: KindNetwork, Err: errors.New("no connection was opened")}
		}
		s.add(Stage{Name: StageTCP}, ended.Sub(began), err)
		s.Run(ctx, Stage{Name: StageTLS}, nil)
		s.Run(ctx, Stage{Name: StageLogin}, nil)
		return nil
	}
	s.add(Stage{Name: StageTCP, Detail: h.remote.String()}, h.connected.Sub(h.started), nil)
	since := s.secure(h, ended, err)
	if s.failed {
		s.Run(ctx, Stage{Name: StageLogin}, nil)
		return nil
	}
	login := Stage{Name: StageLogin, Detail: "as " + s.cfg.Username}
	if s.cfg.Username == "" {
		login.Detail = "without a user"
	}
	if kind := KindOf(err); kind == KindNotFound || kind == KindPermission {
		s.add(login, ended.Sub(since), nil)
		return err
	}
	s.add(login, ended.Sub(since), err)
	return nil
}

// secure is the stage tls; since is when it ended and the login began.
func (s *Stages) secure(h *Handshake, ended time.Time, err error) (since time.Time) {
	stage := Stage{Name: StageTLS}
	if h.state != nil {
		s.describe(&stage, h)
		s.add(stage, h.secured.Sub(h.connected), nil)
		return h.secured
	}
	kind := KindOf(err)
	broken := kind == KindTLS || kind == KindNetwork || kind == KindTimeout
	switch {
	case h.Policy == TLSOff && kind == KindTLS, h.Policy != TLSOff && broken:
		if hint := tlsHint(err); hint != "" {
			stage.Hint = hint
		}
		s.add(stage, ended.Sub(h.connected), err)
	case h.Policy == TLSOff:
		stage.Status, stage.Detail = StageSkipped, "not asked for"
		s.add(stage, 0, nil)
	case err != nil && h.Policy == TLSRequired:
		stage.Status, stage.Detail = StageSkipped, "the server refused before it"
		s.add(stage, 0, nil)
	default:
		stage.Detail = "not encrypted: the server offers no TLS"
		if ip, ok := h.remote.(*net.TCPAddr); ok && !ip.IP.IsLoopback() {
			stage.Status = StageWarning
			stage.Hint = "switch TLS on at the server: passwords and rows travel in the clear"
		}
		s.add(stage, 0, nil)
	}
	return h.connected
}

// describe says what the server showed of itself.
func (s *Stages) describe(stage *Stage, h *Handshake) {
	stage.Detail = tls.VersionName(h.state.Version)
	if len(h.state.PeerCertificates) == 0 {
		return
	}
	cert := h.state.PeerCertificates[0]
	stage.Detail += fmt.Sprintf(", certificate of %s, valid until %s", subject(cert), cert.NotAfter.UTC().Format(time.DateOnly))
	if !h.checked {
		stage.Detail += ", not checked against an authority"
	}
	const soon = 14 * 24 * time.Hour
	if now := s.opts.Now(); now.Add(soon).After(cert.NotAfter) {
		stage.Status, stage.Hint = StageWarning, "renew the server's certificate"
		if now.After(cert.NotAfter) {
			stage.Hint = "the server's certificate has expired: renew it"
		}
	}
}

func subject(cert *x509.Certificate) string {
	switch {
	case cert.Subject.CommonName != "":
		return cert.Subject.CommonName
	case len(cert.DNSNames) > 0:
		return SomeOf(cert.DNSNames)
	case len(cert.IPAddresses) > 0:
		return cert.IPAddresses[0].String()
	}
	return cert.Subject.String()
}

// tlsHint is the remedy for a handshake that failed, by its cause.
func tlsHint(err error) string {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "name the file of the authority that signed the server's certificate: sslrootcert=/path/to/ca.pem; sslmode=require encrypts without checking who answers"
	}
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return "the certificate is of " + subject(e.Certificate) + ": connect by that name; sslmode=verify-ca checks the authority only"
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		return "renew the server's certificate, and check this machine's clock"
	}
	if KindOf(err) == KindTLS {
		if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
			return "check whether the server offers TLS: sslmode=prefer does without where it does not, sslrootcert names the authority of its certificate"
		}
	}
	return ""
}
