package app

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"arus/app/web"
	"arus/connectors"
)

// runningName is the file in the data directory that says where its server is.
// Whoever can read it could read everything else there too.
const runningName = "arus.running.json"

// runningServer is where the server of a data directory answers.
type runningServer struct {
	URL         string `json:"url"`
	PID         int    `json:"pid"`
	Knock       string `json:"knock"`                 // what a link is given for
	Certificate string `json:"certificate,omitempty"` // SHA-256 of the certificate, where it speaks https
}

func (r runningServer) save(dir string) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, runningName)
	if err := os.WriteFile(file+".tmp", text, 0o600); err != nil {
		return fmt.Errorf("say where the server is: %w", err)
	}
	if err := os.Rename(file+".tmp", file); err != nil {
		return fmt.Errorf("say where the server is: %w", err)
	}
	return nil
}

// findRunning reads where the server of a data directory is, or was when it was killed.
func findRunning(dir string) (r runningServer, err error) {
	text, err := os.ReadFile(filepath.Join(dir, runningName))
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	return r, err
}

// client takes the server's own certificate and no other.
func (r runningServer) client() *http.Client {
	transport := &http.Transport{DisableKeepAlives: true} // no proxy: the server is on this machine
	if r.Certificate != "" {
		transport.TLSClientConfig = &tls.Config{
			MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, //nolint:gosec // the certificate itself is compared
			VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
				if len(raw) == 0 || fingerprint(raw[0]) != r.Certificate {
					return errors.New("another certificate than the server's")
				}
				return nil
			},
		}
	}
	return &http.Client{Transport: transport}
}

func fingerprint(certificate []byte) string {
	sum := sha256.Sum256(certificate)
	return hex.EncodeToString(sum[:])
}

// link asks for an address that signs its opener in.
func (r runningServer) link(ctx context.Context, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL+web.LinkPath, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+r.Knock)
	req.Header.Set("X-Arus-Name", strings.Map(printable, name))
	answer, err := r.client().Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1024))
	if err != nil {
		return "", err
	}
	switch answer.StatusCode {
	case http.StatusOK:
		return web.Link(r.URL, connectors.Secret(text)), nil
	case http.StatusNotFound: // it listens elsewhere than on this machine alone: there one signs in
		return r.URL, nil
	}
	return "", fmt.Errorf("the running server answers %s", answer.Status)
}

func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return -1
	}
	return r
}
