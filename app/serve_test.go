package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"arus/app/auth"
)

// output is what a server says, readable while it runs.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func newOutput() *output { return &output{more: make(chan struct{}, 1)} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.more <- struct{}{}:
	default:
	}
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// running is a server in this process.
type running struct {
	url  string
	said *output
	stop func() int
}

var readyLine = regexp.MustCompile(`(?:msg=ready listen=|"msg":"ready","listen":")([^\s"]+)`)

// serve starts arus serve in the data directory dir, and stops it at the end.
func serve(t *testing.T, dir string, args ...string) running {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	said := newOutput()
	code := make(chan int, 1)
	go func() {
		code <- Main(ctx, append([]string{"serve", "--listen", "127.0.0.1:0", "--data", dir}, args...), Stdio{In: strings.NewReader(""), Out: io.Discard, Err: said})
	}()
	r := running{said: said}
	var once sync.Once
	r.stop = func() (c int) {
		once.Do(func() {
			cancel(errors.New("the test is over"))
			c = <-code
		})
		return c
	}
	t.Cleanup(func() { r.stop() })
	for {
		if m := readyLine.FindStringSubmatch(said.String()); m != nil {
			r.url = "http://" + m[1]
			return r
		}
		select {
		case <-said.more:
		case c := <-code:
			t.Fatalf("the server ended with %d:\n%s", c, said)
		case <-time.After(30 * time.Second):
			t.Fatalf("the server does not get ready:\n%s", said)
		}
	}
}

// client is an HTTP client that keeps no connection for others to trip over.
func client() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
}

// call sends a request and gives its status and text.
func (r running) call(t *testing.T, method, path, body string, header map[string]string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := client().Do(req)
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

// TestServerStartsAndStopsAgainAndAgain is the stress of start and stop; TestMain
// looks for goroutines that stay.
func TestServerStartsAndStopsAgainAndAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 50 {
		r := serve(t, dir)
		if i%10 == 0 {
			if status, text := r.call(t, "GET", "/readyz", "", nil); status != http.StatusOK {
				t.Fatalf("%d: %d %s", i, status, text)
			}
		}
		if code := r.stop(); code != exitOK {
			t.Fatalf("%d: exit code %d\n%s", i, code, r.said)
		}
	}
}

func TestFirstStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := serve(t, dir, "--verbose", "--max-retries", "7")
	m := regexp.MustCompile(`(http://\S+)/setup\?token=(\S+)`).FindStringSubmatch(r.said.String())
	if m == nil {
		t.Fatalf("no setup link:\n%s", r.said)
	}
	token := m[2]
	if status, text := r.call(t, "GET", "/setup?token="+token, "", nil); status != http.StatusOK || !strings.Contains(text, "<form") {
		t.Errorf("%d %s", status, text)
	}
	form := "token=" + token + "&email=ann@example.com&name=Ann&password="
	header := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	if status, text := r.call(t, "POST", "/setup", form+"short", header); status != http.StatusUnprocessableEntity || !strings.Contains(text, "at least 10") || strings.Contains(text, `"short"`) {
		t.Errorf("%d %s", status, text)
	}
	if status, _ := r.call(t, "POST", "/setup", form+"correct+horse", map[string]string{"Content-Type": header["Content-Type"], "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}); status != http.StatusForbidden {
		t.Errorf("from another site: %d", status)
	}
	if status, text := r.call(t, "POST", "/setup", form+"correct+horse", header); status != http.StatusOK || !strings.Contains(text, "Sign in") { // led on, without the session's cookie
		t.Errorf("%d %s", status, text)
	}
	for _, method := range []string{"GET", "POST"} {
		if status, _ := r.call(t, method, "/setup?token="+token, form, header); status != http.StatusNotFound {
			t.Errorf("%s /setup with an admin there: %d", method, status)
		}
	}
	status, text := r.call(t, "POST", "/api/auth/login", `{"email":"ann@example.com","password":"correct horse"}`, nil)
	var login struct {
		Data struct {
			Access string `json:"access_token"`
		}
	}
	if err := json.Unmarshal([]byte(text), &login); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	bearer := map[string]string{"Authorization": "Bearer " + login.Data.Access}
	if status, text := r.call(t, "GET", "/api/settings/details", "", bearer); status != http.StatusOK || !strings.Contains(text, `"value":"7","origin":"flag"`) {
		t.Errorf("%d %s", status, text)
	}
	if status, text := r.call(t, "GET", "/metrics", "", nil); status != http.StatusOK || !strings.Contains(text, `arus_runs{state="running"} 0`) {
		t.Errorf("%d %s", status, text)
	}
	proxied := map[string]string{"X-Forwarded-For": "203.0.113.9"}
	if status, _ := r.call(t, "GET", "/metrics", "", proxied); status != http.StatusUnauthorized {
		t.Errorf("from elsewhere: %d", status)
	}
	proxied["Authorization"] = bearer["Authorization"]
	if status, _ := r.call(t, "GET", "/metrics", "", proxied); status != http.StatusOK {
		t.Errorf("from elsewhere with a token: %d", status)
	}
	if status, _ := r.call(t, "PUT", "/api/settings", `{"metrics":"off"}`, bearer); status != http.StatusOK {
		t.Errorf("%d", status)
	}
	if status, _ := r.call(t, "GET", "/metrics", "", nil); status != http.StatusNotFound {
		t.Errorf("switched off: %d", status)
	}
	if beside := arus(t, dir, "user", "list"); beside.code != exitEnvironment || !strings.Contains(beside.errOut, "in use by process") {
		t.Errorf("a command beside the server: %d %s", beside.code, beside.errOut)
	}
	said := strings.ReplaceAll(r.said.String(), m[0], "")
	for _, secret := range []string{token, "correct horse", login.Data.Access} {
		if strings.Contains(said, secret) {
			t.Errorf("the log shows %q:\n%s", secret, said)
		}
	}
	if code := r.stop(); code != exitOK {
		t.Errorf("exit code %d\n%s", code, r.said)
	}
	again := serve(t, dir)
	if strings.Contains(again.said.String(), "/setup?token=") {
		t.Error("a setup link with an admin there")
	}
	if status, _ := again.call(t, "GET", "/api/auth/me", "", bearer); status != http.StatusOK {
		t.Errorf("the session did not outlive the server: %d", status)
	}
}

func TestNothingIsServedBeyondThisMachineBeforeThereIsAnAdmin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := serve(t, dir, "--listen", "0.0.0.0:0")
	_, port, err := net.SplitHostPort(strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	r.url = "http://127.0.0.1:" + port
	far := map[string]string{"X-Forwarded-For": "203.0.113.9"} // as a proxy on this machine would say
	for _, path := range []string{"/api/health", "/setup", "/metrics", "/", "/api/sources"} {
		if status, _ := r.call(t, "GET", path, "", far); status != http.StatusServiceUnavailable {
			t.Errorf("%s: %d", path, status)
		}
	}
	if status, _ := r.call(t, "GET", "/api/health", "", nil); status != http.StatusOK {
		t.Errorf("from this machine: %d", status)
	}
	r.stop()
	add := Stdio{In: strings.NewReader("correct horse\n"), Out: io.Discard, Err: io.Discard}
	if code := Main(t.Context(), []string{"user", "add", "--email", "ann@example.com", "--name", "Ann", "--role", "admin", "--password-stdin", "--data", dir}, add); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	r = serve(t, dir, "--listen", "0.0.0.0:0")
	_, port, err = net.SplitHostPort(strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	r.url = "http://127.0.0.1:" + port
	if status, _ := r.call(t, "GET", "/api/health", "", far); status != http.StatusOK {
		t.Errorf("with an admin: %d", status)
	}
}

// TestARunIsCancelledAndFollowed starts a run over HTTP, follows it as events,
// and cancels one.
func TestARunIsFollowedByEvents(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustArus(t, dir, "demo", "--rows", "200", "--quiet")
	token := strings.TrimSpace(mustArus(t, dir, "token", "create", "--name", "script", "--role", "editor"))
	if !auth.IsAPIToken("arus_") || !strings.HasPrefix(token, auth.TokenPrefix) {
		t.Fatalf("token %q", token)
	}
	r := serve(t, dir)
	bearer := map[string]string{"Authorization": "Bearer " + token}
	_, text := r.call(t, "GET", "/api/pipelines", "", bearer)
	id := regexp.MustCompile(`"pipelines":\[\{"id":"([^"]+)"`).FindStringSubmatch(text)
	if id == nil {
		t.Fatalf("no pipeline: %s", text)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/api/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", bearer["Authorization"])
	stream, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Body.Close() }()
	status, text := r.call(t, "POST", "/api/pipelines/"+id[1]+"/trigger?wait=true", `{}`, bearer)
	if status != http.StatusOK || !strings.Contains(text, `"status":"success"`) {
		t.Errorf("%d %s", status, text)
	}
	seen := ""
	buffer := make([]byte, 4096)
	for !strings.Contains(seen, "event: run.finished") {
		n, err := stream.Body.Read(buffer)
		seen += string(buffer[:n])
		if err != nil {
			t.Fatalf("%v after\n%s", err, seen)
		}
	}
	if !strings.Contains(seen, "event: run.started") || strings.Index(seen, "run.started") > strings.Index(seen, "run.finished") {
		t.Errorf("%s", seen)
	}
	first := regexp.MustCompile(`id: (\d+)`).FindStringSubmatch(seen)
	req2 := req.Clone(t.Context())
	req2.Header.Set("Last-Event-ID", first[1])
	back, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req2)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = back.Body.Close() }()
	replay := ""
	for !strings.Contains(replay, "event: run.finished") {
		n, err := back.Body.Read(buffer)
		replay += string(buffer[:n])
		if err != nil {
			t.Fatalf("%v after\n%s", err, replay)
		}
	}
	if strings.Contains(replay, "id: "+first[1]+"\n") || strings.Contains(replay, "event: reset") {
		t.Errorf("what was seen comes again: %s", replay)
	}
	_, text = r.call(t, "GET", "/metrics", "", nil)
	if !strings.Contains(text, `status="success"} 1`) || !strings.Contains(text, "arus_pipeline_lag_seconds{") {
		t.Errorf("%s", text)
	}
	if code := r.stop(); code != exitOK { // two streams are open
		t.Errorf("exit code %d\n%s", code, r.said)
	}
}

func TestSettingsAndKeysFromTheCommandLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustArus(t, dir, "settings", "set", "max_retries", "6")
	if out := mustArus(t, dir, "settings", "list", "--json"); !strings.Contains(out, `"origin": "setting"`) {
		t.Error(out)
	}
	if r := arus(t, dir, "settings", "set", "max_retries", "many"); r.code != exitUsage || !strings.Contains(r.errOut, "0 to 20") {
		t.Errorf("%d %s", r.code, r.errOut)
	}
	if err := os.WriteFile(filepath.Join(dir, settingsFile), []byte("max_retries: 8\nauto_alter_schema: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := arus(t, dir, "settings", "set", "max_retries", "5"); r.code != 0 || !strings.Contains(r.errOut, `stays "8"`) {
		t.Errorf("%d %s", r.code, r.errOut)
	}
	if err := os.WriteFile(filepath.Join(dir, settingsFile), []byte("max_retires: 8\nmetrics: perhaps\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := arus(t, dir, "settings", "list"); r.code != exitUsage || !strings.Contains(r.errOut, "max_retires") || !strings.Contains(r.errOut, "perhaps") {
		t.Errorf("%d %s", r.code, r.errOut)
	}
	if err := os.Remove(filepath.Join(dir, settingsFile)); err != nil {
		t.Fatal(err)
	}
	mustArus(t, dir, "source", "add", "shop", "postgres://u:secret@h/d")
	before, err := os.ReadFile(filepath.Join(dir, "arus.key"))
	if err != nil {
		t.Fatal(err)
	}
	if out := mustArus(t, dir, "key", "rotate"); !strings.Contains(out, "1 secrets") {
		t.Error(out)
	}
	after, err := os.ReadFile(filepath.Join(dir, "arus.key"))
	if err != nil || bytes.Equal(before, after) || bytes.Contains(after, []byte(",")) {
		t.Errorf("%s %v", after, err)
	}
	mustArus(t, dir, "settings", "unset", "max_retries")
}

// TestABackupIsRestoredUnderAServer over REST: the server ends its work, takes
// the backup's state and begins again at the same address.
func TestABackupIsRestoredUnderAServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustArus(t, dir, "demo", "--rows", "2000", "--quiet")
	made := arus(t, dir, "token", "create", "--name", "ci", "--role", "admin", "--json")
	var token struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal([]byte(made.out), &token); err != nil || token.Token == "" {
		t.Fatalf("%v %s%s", err, made.out, made.errOut)
	}
	bearer := map[string]string{"Authorization": "Bearer " + token.Token}
	r := serve(t, dir)
	status, text := r.call(t, "POST", "/api/backup", "", bearer)
	var backup struct {
		Data struct {
			File   string `json:"file"`
			Tables int    `json:"warehouse_tables"`
		}
	}
	if err := json.Unmarshal([]byte(text), &backup); err != nil || status != http.StatusCreated || backup.Data.Tables == 0 {
		t.Fatalf("%d %s", status, text)
	}
	count := `{"sql":"SELECT count(*) FROM orders"}`
	_, before := r.call(t, "POST", "/api/warehouse/query", count, bearer)
	if status, text := r.call(t, "PUT", "/api/settings", `{"max_retries":"11"}`, bearer); status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	if err := os.RemoveAll(filepath.Join(dir, "warehouse")); err != nil {
		t.Fatal(err)
	}
	restore := "/api/backups/" + backup.Data.File + "/restore"
	if status, text := r.call(t, "POST", restore, `{"passphrase":"of no use here"}`, bearer); status != http.StatusUnprocessableEntity || !strings.Contains(text, "holds no key") {
		t.Fatalf("%d %s", status, text)
	}
	if status, text := r.call(t, "POST", restore, "", bearer); status != http.StatusAccepted || !strings.Contains(text, `"key":"kept"`) {
		t.Fatalf("%d %s", status, text)
	}
	for strings.Count(r.said.String(), "msg=ready") < 2 {
		select {
		case <-r.said.more:
		case <-t.Context().Done():
			t.Fatalf("it does not come back:\n%s", r.said)
		}
	}
	if status, text := r.call(t, "GET", "/api/settings", "", bearer); status != http.StatusOK || !strings.Contains(text, `"max_retries":"3"`) {
		t.Errorf("%d %s", status, text)
	}
	if _, after := r.call(t, "POST", "/api/warehouse/query", count, bearer); after != before || !strings.Contains(after, `"rows":[[`) {
		t.Errorf("%s, before %s", after, before)
	}
	if code := r.stop(); code != exitOK {
		t.Errorf("exit code %d\n%s", code, r.said)
	}
}
