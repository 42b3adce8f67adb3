package clickhouse

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"arus/connectors"
)

// certificate signs itself for a host name, and gives the file to trust it by.
func certificate(t *testing.T, host string) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// terminate listens for TLS and passes plain bytes on to the server.
func terminate(t *testing.T, cert tls.Certificate, server string) int {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = client.Close() }()
				plain, err := net.Dial("tcp", server)
				if err != nil {
					return
				}
				go func() { _, _ = io.Copy(plain, client); _ = plain.Close() }()
				_, _ = io.Copy(client, plain)
			}()
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port
}

func TestTLSModes(t *testing.T) {
	t.Parallel()
	good := parseConfig(t)
	mine, mineFile := certificate(t, "localhost")
	elsewhere, elsewhereFile := certificate(t, "elsewhere.example")
	for _, test := range []struct {
		name string
		cert tls.Certificate
		mode string
		root string
		kind connectors.ErrorKind
	}{
		{"require trusts anybody", mine, "require", "", ""},
		{"require with a root is verify-ca", mine, "require", elsewhereFile, connectors.KindTLS},
		{"verify-ca", elsewhere, "verify-ca", elsewhereFile, ""},
		{"verify-ca of a stranger", mine, "verify-ca", elsewhereFile, connectors.KindTLS},
		{"verify-ca by the system's roots", mine, "verify-ca", "", connectors.KindTLS},
		{"verify-full", mine, "verify-full", mineFile, ""},
		{"verify-full of another host", elsewhere, "verify-full", elsewhereFile, connectors.KindTLS},
		{"a root alone means verify-full", elsewhere, "", elsewhereFile, connectors.KindTLS},
		{"no TLS where it is spoken", mine, "disable", "", connectors.KindNetwork},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			config := good
			config.Host, config.Port = "localhost", terminate(t, test.cert, good.Address())
			config.Options = map[string]string{"connect_timeout": "5"}
			if test.mode != "" {
				config.Options["sslmode"] = test.mode
			}
			if test.root != "" {
				config.Options["sslrootcert"] = test.root
			}
			d, err := New().OpenDestination(t.Context(), config)
			if connectors.KindOf(err) != test.kind {
				t.Errorf("%v (kind %q), want kind %q", err, connectors.KindOf(err), test.kind)
			}
			if err == nil {
				_ = d.Close()
			}
		})
	}
}
