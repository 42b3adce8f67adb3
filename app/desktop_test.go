package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// visitor opens a link as a browser does: with a place for cookies.
func visitor(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
}

func fetch(t *testing.T, c *http.Client, method, address string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

var enterLink = regexp.MustCompile(`(http://127\.0\.0\.1:\d+)/enter\?token=\S+`)

// desktopStart starts the program by its bare name, in a place without a
// display, and waits for the link that it prints.
func desktopStart(t *testing.T, dir string) (link, base string, code <-chan int, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	said, ended := newOutput(), make(chan int, 1)
	go func() {
		ended <- Main(ctx, []string{"--data", dir}, Stdio{In: strings.NewReader(""), Out: said, Err: io.Discard})
	}()
	stop = func() { cancel(errors.New("the test is over")) }
	t.Cleanup(stop)
	for {
		if m := enterLink.FindStringSubmatch(said.String()); m != nil {
			return m[0], m[1], ended, stop
		}
		select {
		case <-said.more:
		case c := <-ended:
			t.Fatalf("it ended with %d:\n%s", c, said)
		}
	}
}

// TestTheDesktopProgram is started without arguments, signs in by its link
// once, is opened by a second start, and ends from its own page.
func TestTheDesktopProgram(t *testing.T) {
	for _, name := range []string{"BROWSER", "DISPLAY", "WAYLAND_DISPLAY"} {
		t.Setenv(name, "")
	}
	dir := t.TempDir()
	link, base, code, _ := desktopStart(t, dir)
	ann := visitor(t)
	if status, text := fetch(t, ann, "GET", link); status != http.StatusOK || !strings.Contains(text, "Dashboard") {
		t.Fatalf("%d %s", status, text)
	}
	if status, _ := fetch(t, visitor(t), "GET", link); status != http.StatusUnauthorized {
		t.Errorf("the link a second time: %d", status)
	}
	if status, _ := fetch(t, visitor(t), "POST", base+"/local/link"); status != http.StatusNotFound {
		t.Errorf("a link for somebody who knows nothing: %d", status)
	}
	info, err := os.Stat(filepath.Join(dir, runningName))
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the file with the address: %v, %v", info, err)
	}

	// A second start opens the first one, and ends.
	again := arus(t, dir)
	second := enterLink.FindStringSubmatch(again.out)
	if again.code != exitOK || second == nil || second[1] != base {
		t.Fatalf("%d %s %s", again.code, again.out, again.errOut)
	}
	if status, text := fetch(t, visitor(t), "GET", second[0]); status != http.StatusOK || !strings.Contains(text, "Dashboard") {
		t.Errorf("%d %s", status, text)
	}
	if out := mustArus(t, dir, "healthcheck", "--json"); !strings.Contains(out, `"ready": true`) {
		t.Error(out)
	}

	if status, text := fetch(t, ann, "GET", base+"/about"); status != http.StatusOK || !strings.Contains(text, `href="/close"`) {
		t.Errorf("%d %s", status, text)
	}
	if status, _ := fetch(t, visitor(t), "POST", base+"/close"); status == http.StatusOK {
		select {
		case <-code:
			t.Fatal("a stranger closed it")
		default:
		}
	}
	if status, text := fetch(t, ann, "POST", base+"/close"); status != http.StatusOK || !strings.Contains(text, "Arus is closed") {
		t.Errorf("%d %s", status, text)
	}
	if c := <-code; c != exitOK {
		t.Errorf("exit code %d", c)
	}
	if _, err := os.Stat(filepath.Join(dir, runningName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the address outlives the program: %v", err)
	}
	log, err := os.ReadFile(filepath.Join(dir, desktopLog))
	if err != nil || !bytes.Contains(log, []byte("msg=ready")) || bytes.Contains(log, []byte("token=")) {
		t.Errorf("%s, %v", log, err)
	}

	// The next start signs the same account in.
	link, _, code, stop := desktopStart(t, dir)
	if status, text := fetch(t, visitor(t), "GET", link); status != http.StatusOK || !strings.Contains(text, "owner@localhost") {
		t.Errorf("%d %s", status, text)
	}
	stop()
	if c := <-code; c != exitOK {
		t.Errorf("exit code %d", c)
	}
	if out := mustArus(t, dir, "user", "list", "--json"); strings.Count(out, `"email"`) != 1 {
		t.Error(out)
	}
}

// TestTheBrowserIsOpened with the link, where there is one.
func TestTheBrowserIsOpened(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the browser of this test is a shell script")
	}
	dir := t.TempDir()
	opened, script := filepath.Join(dir, "opened"), filepath.Join(dir, "browser")
	text := "#!/bin/sh\necho \"$1\" > " + opened + ".tmp && mv " + opened + ".tmp " + opened + "\n"
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("BROWSER", script)
	r := serve(t, dir)
	if second := arus(t, dir); second.code != exitOK || second.out != "" {
		t.Errorf("%d %s%s", second.code, second.out, second.errOut)
	}
	for {
		link, err := os.ReadFile(opened)
		if errors.Is(err, os.ErrNotExist) && t.Context().Err() == nil {
			runtime.Gosched()
			continue
		}
		if status, text := fetch(t, visitor(t), "GET", strings.TrimSpace(string(link))); status != http.StatusOK || !strings.Contains(text, "Dashboard") {
			t.Errorf("%s: %d %s", link, status, text)
		}
		break
	}
	// What a person started as a server is not closed from the console.
	if status, text := fetch(t, visitor(t), "GET", r.url+"/close"); strings.Contains(text, "Close Arus?") {
		t.Errorf("%d %s", status, text)
	}
}

// TestEncryptedConnections: a certificate of our own, one from files that is
// followed when it changes, and settings that do not go together.
func TestEncryptedConnections(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := serve(t, dir, "--tls-self-signed", "true")
	running, err := findRunning(dir)
	if err != nil || !strings.HasPrefix(running.URL, "https://") {
		t.Fatalf("%+v, %v", running, err)
	}
	if answer, err := running.ready(t.Context()); err != nil || answer != "ready" {
		t.Errorf("%q, %v", answer, err)
	}
	other := running
	other.Certificate = strings.Repeat("0", 64)
	if _, err := other.ready(t.Context()); err == nil {
		t.Error("another certificate than the server's is taken")
	}
	if out := mustArus(t, dir, "healthcheck", "--json"); !strings.Contains(out, `"ready": true`) {
		t.Error(out)
	}
	r.stop()

	// The files that were made serve as files of the person's own.
	files := []string{"--tls-certificate", filepath.Join(dir, selfSignedFile), "--tls-key", filepath.Join(dir, selfSignedKey)}
	other2 := t.TempDir()
	r = serve(t, other2, files...)
	first, err := findRunning(other2)
	if err != nil || first.Certificate != running.Certificate {
		t.Fatalf("%+v, %v", first, err)
	}
	env := &environment{Now: func() time.Time { return time.Now().Add(selfSignedLife) }}
	if err := env.selfSign(filepath.Join(dir, selfSignedFile), filepath.Join(dir, selfSignedKey), ""); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(filepath.Join(dir, selfSignedFile), later, later); err != nil {
		t.Fatal(err)
	}
	if _, err := first.ready(t.Context()); err == nil {
		t.Error("the certificate did not change")
	}
	conn, err := tls.Dial("tcp", strings.TrimPrefix(first.URL, "https://"), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := fingerprint(conn.ConnectionState().PeerCertificates[0].Raw); got == first.Certificate {
		t.Error("the certificate did not change")
	}
	_ = conn.Close()
	r.stop()

	if c := arus(t, t.TempDir(), "serve", "--listen", "127.0.0.1:0", "--tls-key", "x"); c.code != exitUsage || !strings.Contains(c.errOut, "belong together") {
		t.Errorf("%d %s", c.code, c.errOut)
	}
	if c := arus(t, t.TempDir(), "serve", "--listen", "127.0.0.1:0", "--tls-key", "/x", "--tls-certificate", "/y"); c.code != exitEnvironment || !strings.Contains(c.errOut, "/y") {
		t.Errorf("%d %s", c.code, c.errOut)
	}
}
