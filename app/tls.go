package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"arus/app/model"
)

const (
	selfSignedFile = "self-signed.crt"
	selfSignedKey  = "self-signed.key"
	// Browsers take no certificate of a longer life.
	selfSignedLife = 820 * 24 * time.Hour
	// renewBefore is when a certificate of our own is made anew, at a start.
	renewBefore = 60 * 24 * time.Hour
)

// tlsConfig is how the server encrypts: nil when it does not. sum is the
// fingerprint of the certificate.
func (env *environment) tlsConfig(dir string, s model.Settings) (config *tls.Config, sum string, err error) {
	certificate, key := s.TLSCertificate, s.TLSKey
	switch {
	case certificate == "" && key == "" && !s.TLSSelfSigned:
		return nil, "", nil
	case (certificate == "") != (key == ""):
		return nil, "", &usageError{errors.New("tls_certificate and tls_key belong together: set both or neither")}
	case certificate == "":
		certificate, key = filepath.Join(dir, selfSignedFile), filepath.Join(dir, selfSignedKey)
		if err := env.selfSign(certificate, key, s.BaseURL); err != nil {
			return nil, "", &environmentError{fmt.Errorf("make a certificate: %w", err)}
		}
	}
	pair := &keyPair{certificate: certificate, key: key}
	now, err := pair.get(nil)
	if err != nil {
		return nil, "", &environmentError{fmt.Errorf("read the certificate %s with its key %s: %w", certificate, key, err)}
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.get}, fingerprint(now.Certificate[0]), nil
}

// keyPair is a certificate that is read again when its file changes.
type keyPair struct {
	certificate, key string

	mu   sync.Mutex
	pair *tls.Certificate
	at   time.Time
}

func (p *keyPair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	info, err := os.Stat(p.certificate)
	if err == nil && p.pair != nil && info.ModTime().Equal(p.at) {
		return p.pair, nil
	}
	if err == nil {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(p.certificate, p.key); err == nil {
			p.pair, p.at = &pair, info.ModTime()
			return p.pair, nil
		}
	}
	if p.pair != nil { // half of the two is new, or a file is away: the old one goes on
		return p.pair, nil
	}
	return nil, err
}

// selfSign makes a certificate for this machine's names, unless there is one
// that lasts.
func (env *environment) selfSign(certificate, key, base string) error {
	now := env.Now()
	old, err := tls.LoadX509KeyPair(certificate, key)
	if err == nil && old.Leaf != nil && now.Add(renewBefore).Before(old.Leaf.NotAfter) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	names, addresses := ownNames(base)
	form := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: names[0], Organization: []string{"Arus, self-signed"}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(selfSignedLife), DNSNames: names, IPAddresses: addresses,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	signed, err := x509.CreateCertificate(rand.Reader, form, form, signer.Public(), signer)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return err
	}
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600); err != nil {
		return err
	}
	return os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}), 0o600)
}

// ownNames are the names and addresses under which people reach this machine.
func ownNames(base string) (names []string, addresses []net.IP) {
	names = []string{"localhost"}
	addresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	add := func(host string) {
		if ip := net.ParseIP(host); ip != nil {
			addresses = append(addresses, ip)
		} else if host != "" && host != "localhost" {
			names = append([]string{host}, names...)
		}
	}
	if host, err := os.Hostname(); err == nil {
		add(host)
	}
	if u, err := url.Parse(base); err == nil {
		add(u.Hostname())
	}
	if list, err := net.InterfaceAddrs(); err == nil {
		for _, a := range list {
			if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
				addresses = append(addresses, n.IP)
			}
		}
	}
	return names, addresses
}
