package connectors

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// The TLS modes, from none to the full check of certificate and host name.
const (
	TLSDisable    = "disable"
	TLSPrefer     = "prefer"
	TLSRequire    = "require"
	TLSVerifyCA   = "verify-ca"
	TLSVerifyFull = "verify-full"
)

// TLSSettings are the choices of an encrypted connection, with the words of
// PostgreSQL's sslmode.
type TLSSettings struct {
	Mode       string // one of the modes; the caller has checked it
	RootFile   string // PEM certificates to trust instead of the system's
	CertFile   string // client certificate, with KeyFile
	KeyFile    string
	ServerName string
}

// Config is the settings for crypto/tls, nil for disable. Prefer and require
// encrypt without checking the server, but require with a root file checks the
// chain, as libpq does; verify-ca checks the chain, verify-full the name too.
// Falling back to plain text is the caller's.
func (s TLSSettings) Config() (*tls.Config, error) {
	if s.Mode == TLSDisable {
		return nil, nil //nolint:nilnil // no TLS
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.ServerName}
	mode := s.Mode
	if s.RootFile != "" {
		pem, err := os.ReadFile(s.RootFile)
		if err != nil {
			return nil, fmt.Errorf("sslrootcert: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("sslrootcert: %s holds no certificate", s.RootFile)
		}
		if mode == TLSRequire {
			mode = TLSVerifyCA
		}
	}
	if (s.CertFile == "") != (s.KeyFile == "") {
		return nil, errors.New("sslcert and sslkey go together")
	}
	if s.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(s.CertFile, s.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("sslcert: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	switch mode {
	case TLSPrefer, TLSRequire:
		config.InsecureSkipVerify = true // what these modes mean: encryption without authentication
	case TLSVerifyCA:
		config.InsecureSkipVerify = true // the chain is verified below, without the host name
		config.VerifyConnection = verifyChain(config.RootCAs)
	}
	return config, nil
}

func verifyChain(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
		for _, cert := range state.PeerCertificates[1:] {
			options.Intermediates.AddCert(cert)
		}
		_, err := state.PeerCertificates[0].Verify(options)
		return err
	}
}

// IsTLSError says whether an encrypted connection failed over the encryption:
// certificate, name, or a server that speaks no TLS.
func IsTLSError(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return true
	}
	_, ok := errors.AsType[x509.CertificateInvalidError](err)
	return ok
}
