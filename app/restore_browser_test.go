package app

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"arus/testdata/servers"
)

// page is a browser's tab.
type page struct {
	t   *testing.T
	ctx context.Context
	url string
}

func openPage(t *testing.T, url string) page {
	t.Helper()
	options := append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...)
	options = append(options, chromedp.ExecPath(servers.Chromium(t)), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 900), chromedp.WSURLReadTimeout(time.Minute))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, end := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits until it is gone
		end()
		stop()
	})
	if _, err := chromedp.Run(ctx, chromedp.Location()); err != nil { // the browser lives as long as the context it starts in
		t.Fatal(err)
	}
	return page{t, ctx, url}
}

// run is the value of an action.
func run[T any](p page, action chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 2*time.Minute)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		p.t.Fatalf("%v\n%s", err, p.text())
	}
	return value
}

func (p page) open(path string) {
	p.t.Helper()
	run(p, chromedp.Navigate(p.url+path))
	p.until(`document.querySelector("main")`)
}

func (p page) text() string {
	text, err := chromedp.Run(p.ctx, chromedp.Evaluate[string]("location.href + '\\n' + document.body.innerText"))
	return fmt.Sprint(text, err)
}

// until waits until an expression is true of a page that is there as a whole, across pages.
func (p page) until(expression string) {
	p.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(3 * time.Minute); ; <-tick.C {
		ctx, cancel := context.WithTimeout(p.ctx, 10*time.Second)
		yes, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("document.readyState === 'complete' && !!("+expression+")"))
		cancel()
		if err == nil && yes {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("it does not become true: %s (%v)\n%s", expression, err, p.text())
		}
	}
}

func (p page) fillIn(selector, text string) {
	p.t.Helper()
	run(p, chromedp.SetValue(chromedp.CSS(selector), text))
}

// click presses what is there, wherever the page has moved it meanwhile.
func (p page) click(selector string) {
	p.t.Helper()
	if !run(p, chromedp.Evaluate[bool](fmt.Sprintf(`(e => { if (e) e.click(); return !!e })(document.querySelector(%q))`, selector))) {
		p.t.Fatalf("there is no %s\n%s", selector, p.text())
	}
}

// ask is what an address answers, as text.
func (p page) ask(method, path, body string) string {
	p.t.Helper()
	return run(p, chromedp.Evaluate[string](fmt.Sprintf(`fetch(%q, {method: %q, body: %s}).then(r => r.text())`, path, method, body),
		func(e *runtime.EvaluateParams) { e.AwaitPromise = new(true) }))
}

// TestABackupIsRestoredInABrowser: a backup is made, something is changed, the
// backup is restored, and the page that waited tells of it once the program has
// begun again.
func TestABackupIsRestoredInABrowser(t *testing.T) {
	t.Parallel()
	servers.Chromium(t)
	dir := t.TempDir()
	mustArus(t, dir, "demo", "--rows", "1000", "--quiet")
	args := []string{"user", "add", "--data", dir, "--email", "ann@example.com", "--name", "Ann", "--role", "admin", "--password-stdin"}
	if code := Main(t.Context(), args, Stdio{In: strings.NewReader("correct horse battery\n"), Out: io.Discard, Err: io.Discard}); code != exitOK {
		t.Fatalf("make the account: exit code %d", code)
	}
	r := serve(t, dir)
	p := openPage(t, r.url)
	p.open("/sign-in?next=/backups")
	p.fillIn("#field-email", "ann@example.com")
	p.fillIn("#field-password", "correct horse battery")
	p.click(".btn-primary")
	p.until(`location.pathname === "/backups" && document.querySelector("a[href='/backups/new']")`)
	p.open("/backups/new")
	p.fillIn("#field-passphrase", "a long passphrase")
	p.click("form.confirm .btn-primary")
	p.until(`location.pathname === "/backups" && document.querySelector("td a[href$='/restore']")`)

	// What is changed now is gone afterwards.
	if text := p.ask("PUT", "/api/settings", `'{"max_retries":"11"}'`); !strings.Contains(text, `"max_retries":"11"`) {
		t.Fatal(text)
	}
	file := run(p, chromedp.Evaluate[string](`document.querySelector("td a[href$='/restore']").getAttribute("href").split("/")[2]`))
	p.open("/backups/" + file + "/restore")
	p.until(`[...document.querySelectorAll("main tbody tr")].some(r => r.innerText.replace(/\s+/g, " ") === "Pipelines 1 1")`)
	p.fillIn("#field-confirm", "something else")
	p.click("form.confirm .btn-danger")
	p.until(`document.querySelector(".field-fault") && document.querySelector(".field-fault").textContent.includes("must be the name")`)

	// A wrong passphrase changes nothing and says so.
	p.fillIn("#field-confirm", file)
	p.fillIn("#field-passphrase", "another passphrase")
	p.click("form.confirm .btn-danger")
	p.until(`document.querySelector(".alert-danger") && document.querySelector(".alert-danger").innerText.includes("does not open the key")`)
	if strings.Contains(r.said.String(), "restoring a backup") {
		t.Error("it was restored")
	}
	p.click("#restoring .btn-primary")
	p.until(`document.querySelector("#field-confirm")`)
	p.fillIn("#field-confirm", file)
	p.fillIn("#field-passphrase", "a long passphrase")
	p.click("#field-pause")
	p.click("form.confirm .btn-danger")
	p.until(`document.querySelector(".alert-success") && document.querySelector(".alert-success").innerText.includes("Restored")`)
	if text := p.ask("GET", "/api/settings", "null"); !strings.Contains(text, `"max_retries":"3"`) {
		t.Errorf("the settings: %s", text)
	}
	if text := p.ask("GET", "/api/pipelines", "null"); !strings.Contains(text, `"status":"paused"`) || strings.Contains(text, `"status":"active"`) {
		t.Errorf("the pipelines: %s", text)
	}
	if text := p.ask("GET", "/api/audit?action=state.restored", "null"); !strings.Contains(text, file) || !strings.Contains(text, "ann@example.com") {
		t.Errorf("the audit log: %s", text)
	}

	// What was there is a backup too: that is the way back.
	saved := run(p, chromedp.Evaluate[string](`document.querySelector("#restoring code").textContent`))
	p.open("/backups/" + saved + "/restore")
	p.fillIn("#field-confirm", saved)
	p.click("form.confirm .btn-danger")
	p.until(`document.querySelector(".alert-success") && document.querySelector("h1").innerText.includes("` + saved + `")`)
	if text := p.ask("GET", "/api/settings", "null"); !strings.Contains(text, `"max_retries":"11"`) {
		t.Errorf("the settings after the way back: %s", text)
	}
	if code := r.stop(); code != exitOK {
		t.Errorf("exit code %d\n%s", code, r.said)
	}
}
