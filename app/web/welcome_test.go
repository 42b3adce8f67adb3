package web

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp/kb"

	"arus/app/control"
	"arus/app/model"
	"arus/connectors"
	"arus/testdata/servers"
)

// TestFirstStart goes from the setup link to the first rows with sample data.
func TestFirstStart(t *testing.T) {
	t.Parallel()
	servers.Chromium(t)
	s := newBareSite(t)
	s.server.SampleRows = 2000
	token := s.service.Setup.Issue()
	b := newBrowser(s, "")
	b.open("/setup?token=" + url.QueryEscape(token.Reveal()))
	b.fillIn("#field-email", "first@example.com")
	b.fillIn("#field-name", "First Admin")
	b.fillIn("#field-password", sitePassword.Reveal())
	b.click(".btn-primary")
	b.wait(".wizard-sample")
	b.axe("welcome, at the first start")
	b.click(".wizard-sample button")
	b.until(`document.querySelector(".wizard-done")`)
	if got := b.text("#welcome-run"); !strings.Contains(got, "customers") || !strings.Contains(got, "rows copied into warehouse") {
		t.Errorf("after the run: %s", got)
	}
	b.open("/welcome/run") // also after a reload
	b.click(".wizard-done + .btn-list .btn-primary")
	b.until(`document.querySelectorAll("#rows tbody tr").length > 20`)
	if got := b.text("#rows"); !strings.Contains(got, "@") {
		t.Errorf("the rows of the customers: %s", got)
	}
	// Once more is an incremental run of the same pipeline, not another one.
	b.open("/welcome")
	b.click(".wizard-sample button")
	b.until(`document.querySelector(".wizard-done")`)
	if _, total, err := s.service.ListPipelines(s.admin, 10, 0); err != nil || total != 1 {
		t.Errorf("%d pipelines, %v", total, err)
	}
}

// tabTo presses the tabulator until something has the focus.
func (b *browser) tabTo(selector string) {
	b.t.Helper()
	for range 90 {
		b.press(kb.Tab)
		if eval[bool](b, `document.activeElement.matches("`+selector+`")`) {
			return
		}
	}
	b.t.Fatalf("the tabulator does not lead to %s", selector)
}

// write goes to a field with the tabulator and writes into it, in the place of
// what stands there.
func (b *browser) write(selector, text string) {
	b.t.Helper()
	b.tabTo(selector)
	eval[bool](b, `(document.activeElement.select && document.activeElement.select(), true)`)
	b.press(text)
	if got := eval[string](b, `document.activeElement.value`); got != text {
		b.t.Fatalf("%s holds %q, not %q", selector, got, text)
	}
}

// TestWizardByKeyboard copies tables of a PostgreSQL database into the built-in
// warehouse without touching the mouse. On the way a wrong port and a wrong
// password are mended.
func TestWizardByKeyboard(t *testing.T) {
	t.Parallel()
	servers.Chromium(t)
	address, err := url.Parse(servers.PostgresDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	s.pgShop(address.String())
	password, _ := address.User.Password()
	b := newBrowser(s, model.RoleEditor)
	b.open("/")
	b.tabTo("a[href='/welcome']")
	b.press(kb.Enter)
	b.until(`location.pathname === "/welcome"`)
	b.wait("#field-host")

	b.write("#field-name", "sales")
	b.write("#field-host", address.Hostname())
	b.write("#field-port", "1")
	b.write("#field-database", strings.TrimPrefix(address.Path, "/"))
	b.write("#field-username", address.User.Username())
	b.write("#field-password", password)
	b.press(kb.Enter)
	b.until(`document.querySelector("#wizard-check .check-failed") && document.querySelector("#field-port")`)
	if got := b.text(".check-failed"); !strings.Contains(got, "Reach it") || !strings.Contains(got, "check host and port") {
		t.Errorf("a wrong port: %s", got)
	}
	b.axe("a failed test")

	b.write("#field-port", address.Port())
	b.tabTo(".secret summary")
	b.press(kb.Enter)
	b.write("#field-password", "wrong-password")
	b.press(kb.Enter)
	b.until(`[...document.querySelectorAll("#wizard-check .check-failed")].some(e => e.textContent.includes("Sign in")) && document.querySelector(".secret")`)
	if text := b.text("#wizard-check"); strings.Contains(text, "wrong-password") {
		t.Errorf("the password is shown: %s", text)
	}

	// What was done stays when the page is closed.
	b.open("/welcome")
	b.until(`location.pathname === "/welcome/source" && document.querySelector(".secret summary")`)
	b.tabTo(".secret summary")
	b.press(kb.Enter)
	b.write("#field-password", password)
	b.press(kb.Enter)
	b.until(`document.querySelector("form[action='/welcome/look'] button") && document.querySelector(".check-stages")`)
	b.until(`document.activeElement.matches("form[action='/welcome/look'] button")`)
	b.press(kb.Enter)

	b.until(`document.activeElement.matches("input[value=built-in]") && document.activeElement.checked`)
	b.press(kb.Enter)
	b.until(`location.pathname === "/welcome/tables" && document.querySelector("#picked")`)
	if got := b.text("#picked"); !strings.Contains(got, "3 of 3 tables") {
		t.Errorf("the tables at first: %s", got)
	}
	b.tabTo("input[value='public/notes']")
	b.press(" ")
	b.until(`document.querySelector("#picked").textContent.includes("2 of 3 tables")`)
	b.tabTo("button[value=next]")
	b.press(kb.Enter)

	b.until(`document.activeElement.matches("#field-preset")`)
	b.press("every day")
	b.until(`document.querySelectorAll("#next li").length === 5 && document.querySelector("#next").textContent.includes("every day at 03:00")`)
	b.tabTo("form[action='/welcome/schedule'] .btn-primary")
	b.press(kb.Enter)
	b.until(`document.querySelector(".wizard-done")`)
	if got := b.text("#welcome-run"); !strings.Contains(got, "1,200 rows") || strings.Contains(got, "notes") {
		t.Errorf("after the run: %s", got)
	}
	b.tabTo(".wizard-done + .btn-list .btn-primary")
	b.press(kb.Enter)
	b.until(`document.querySelector("#rows tbody tr")`)
	if got := b.text("#rows"); !strings.Contains(got, "customer 7") {
		t.Errorf("the rows: %s", got)
	}
}

// TestFiveThousandTables ticks tables among 5,000.
func TestFiveThousandTables(t *testing.T) {
	t.Parallel()
	servers.Chromium(t)
	s := newSite(t)
	src, err := s.service.AddSource(s.admin, control.SourceInput{Name: "many", Connection: connectors.Config{Type: "sqlite", Database: manyTables(t, 5000)}})
	s.must(err)
	b := newBrowser(s, model.RoleEditor)
	b.open("/sources/" + src.ID)
	if got := b.text("#tables"); !strings.Contains(got, "Nobody has looked yet") {
		t.Errorf("tables that nobody asked for: %s", got)
	}
	b.click("#tables .btn-primary")
	b.until(`document.querySelector("#tables") && document.querySelector("#tables").textContent.includes("1–25 of 5,000")`)
	b.click("form[action='/welcome/begin'] button")
	b.wait("form[action='/welcome/look'] button")
	b.click("form[action='/welcome/look'] button")
	b.wait("input[value=built-in]")
	b.click("form[action='/welcome/destination'] .btn-primary")
	picked := func(text string) {
		t.Helper()
		b.until(`document.querySelector("#picked") && document.querySelector("#picked").textContent.includes("` + text + `")`)
	}
	longest := 0
	task := func() {
		t.Helper()
		longest = max(longest, eval[int](b, `new Promise(done => {
			let longest = 0;
			new PerformanceObserver(list => list.getEntries().forEach(e => { longest = Math.max(longest, e.duration); })).observe({type: "longtask", buffered: true});
			setTimeout(() => done(Math.round(longest)), 50);
		})`))
	}
	picked("0 of 5,000 tables")
	task()
	b.click("button[value=all]")
	picked("5,000 of 5,000 tables")
	task()
	b.click("a[aria-label=Next]")
	b.until(`location.search.includes("page=2") && document.querySelectorAll("input[name=table]:checked").length === 50`)
	b.click("tbody tr:nth-child(3) input[type=checkbox]")
	picked("4,999 of 5,000 tables")
	task()
	b.open("/welcome/tables?q=part_03*&size=200")
	b.click("button[value=none]")
	picked("4,285 of 5,000 tables")
	task()
	b.open("/welcome/tables?show=left&q=part_02") // one was unticked on the second page, all of part 3
	picked("4,285 of 5,000 tables")
	b.open("/welcome/tables?sort=name&order=desc&size=200")
	b.until(`document.querySelectorAll("input[name=table]").length === 200`)
	task()
	b.click("button[value=next]")
	b.until(`location.pathname === "/welcome/schedule" && document.querySelector("main").textContent.includes("4,285 tables")`)
	t.Logf("the longest task of a page took %d ms", longest)
	if longest > 5000 { // usual are 50 to 700, the latter while the machine is very busy
		t.Errorf("a page froze for %d ms", longest)
	}
	b.watchTest()
}

// watchTest tests a connection to a server that does not answer, and sees it go
// on, also after a reload, until it ends.
func (b *browser) watchTest() {
	b.t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(b.t.Context(), "tcp", "127.0.0.1:0")
	b.must(err)
	accepted := make(chan net.Conn, 1)
	go func() {
		defer close(accepted)
		if conn, err := listener.Accept(); err == nil {
			accepted <- conn
		}
	}()
	cfg, err := b.service.Registry.ParseURL("postgres://reader:" + dbPassword + "@" + listener.Addr().String() + "/x")
	b.must(err)
	src, err := b.service.AddSource(b.admin, control.SourceInput{Name: "silent", Connection: cfg})
	b.must(err)
	b.open("/sources/" + src.ID)
	b.click("form[action$='/test'] button")
	b.until(`document.querySelector("#check .check-running") && document.querySelector("#check .check-ok")`)
	b.open("/sources/" + src.ID)
	b.until(`document.querySelector("#check .check-running")`)
	b.must(errors.Join((<-accepted).Close(), listener.Close()))
	b.until(`document.querySelector("#check .check-failed") && !document.querySelector("#check .check-running")`)
	if text := b.text("#check"); strings.Contains(text, dbPassword) {
		b.t.Errorf("the test shows the password: %s", text)
	}
}

// TestWithoutScripts signs in, connects a database, makes a pipeline and runs it
// in a browser without scripts.
func TestWithoutScripts(t *testing.T) {
	t.Parallel()
	servers.Chromium(t)
	s := newSite(t)
	address := servers.PostgresDatabase(t)
	s.pgShop(address)
	_, err := s.service.AddBuiltIn(s.admin)
	s.must(err)
	b := newBrowser(s, "")
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.open("/sign-in")
	b.fillIn("#field-email", "editor@example.com")
	b.fillIn("#field-password", sitePassword.Reveal())
	b.click(".btn-primary")
	b.wait(".sidebar")
	if eval[bool](b, `document.documentElement.classList.contains("js")`) {
		t.Fatal("scripts run")
	}
	b.open("/sources/new")
	b.fillIn("#field-url", address)
	b.fillIn("#field-name", "sales")
	b.click("main .form-actions .btn-primary")
	b.wait(".connection-cards")
	b.until(`document.querySelector("#check .check-ok") && !document.querySelector("#check .check-running")`)
	b.click("#tables .btn-primary")
	b.until(`document.querySelector("#tables").textContent.includes("1–3 of 3")`)
	src, err := s.service.Source(s.admin, "sales")
	s.must(err)

	b.open("/pipelines/new?source=" + src.ID)
	b.fillIn("main [name=name]", "sales-copy")
	b.click("main form[action='/pipelines/new'] .btn-primary")
	p := s.eventually("sales-copy", b)
	b.open("/pipelines/" + p.ID)
	b.click("form[action='/pipelines/" + p.ID + "/run'] button")
	b.until(`location.pathname.startsWith("/runs/")`)
	run := strings.TrimPrefix(eval[string](b, `location.pathname`), "/runs/")
	for {
		r, err := s.service.GetRun(s.admin, run)
		s.must(err)
		if !active(r) {
			break
		}
		b.open("/runs/" + run)
	}
	b.open("/runs/" + run)
	if got := b.text("main"); !strings.Contains(got, "success") || !strings.Contains(got, "customers") {
		t.Errorf("the run: %s", got)
	}
}

// eventually waits until a pipeline is there that a form makes.
func (s *site) eventually(name string, b *browser) model.Pipeline {
	s.t.Helper()
	b.until(`location.pathname !== "/pipelines/new"`)
	p, err := s.service.Pipeline(s.admin, name)
	s.must(err)
	return p
}

// TestConnectionPages looks at the pages of sources and destinations as each
// role, by a client without scripts.
func TestConnectionPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill()
	viewer, editor, admin := s.client(model.RoleViewer), s.client(model.RoleEditor), s.client(model.RoleAdmin)
	_, text := s.get(viewer, "/sources?q=SHO")
	contains(t, "the list", text, ">shop</a>", "connected", "1–1 of 1")
	lacks(t, "the list for a viewer", text, "/sources/new", ">crm</a>")
	_, text = s.get(viewer, "/sources?status=error&type=postgresql")
	contains(t, "what does not work", text, ">crm</a>", "error")
	_, text = s.get(viewer, "/destinations?q=nothing")
	contains(t, "an empty list", text, "No destination matches", "Clear the filters")

	_, text = s.get(viewer, "/sources/"+s.source.ID+"?q=order*")
	contains(t, "the source", text, "order_items", "1–2 of 2", "shop-to-warehouse", "copied")
	lacks(t, "the source for a viewer", text, "/edit", "/test", "/discover", "/delete")
	_, text = s.get(viewer, "/sources/"+s.broken.ID)
	contains(t, "a source that does not work", text, "Reach it", "check host and port", "Nobody has looked yet")
	_, text = s.get(viewer, "/sources/"+s.source.ID+"/table?schema=&name=orders")
	contains(t, "a table", text, "updated_at", "decimal(12,2)", "DECIMAL(12,2)", "watermark")
	lacks(t, "a table for a viewer", text, "Show the first rows")
	_, text = s.get(editor, "/sources/"+s.source.ID+"/table?schema=&name=orders&rows=yes")
	contains(t, "the rows", text, "The first 50 rows", "EUR")
	_, text = s.get(editor, "/destinations/"+s.target.ID+"/table?schema=analytics&name=customers&rows=yes")
	contains(t, "the rows of a destination", text, "The first 50 rows", "@", "newsletter")
	if status, _ := s.get(viewer, "/sources/"+s.source.ID+"/table?schema=&name=nothing"); status != http.StatusNotFound {
		t.Errorf("a table that is not there: %d", status)
	}

	// A URL is enough, and comes back without its password when something is wrong.
	status, text := s.post(editor, "/sources/new", url.Values{"url": {"postgres://reader:" + dbPassword + "@db.example.com:99999/x"}, "type": {"postgresql"}})
	contains(t, "a wrong URL", text, "port is not a number from 1 to 65535")
	if status != http.StatusUnprocessableEntity {
		t.Errorf("a wrong URL: %d", status)
	}
	_, text = s.post(editor, "/sources/new", url.Values{"do": {"fields"}, "url": {"mysql://reader:" + dbPassword + "@db.example.com/sales?tls=x"}})
	contains(t, "fields of a URL", text, `value="db.example.com"`, `value="3306"`, `value="sales"`, "tls=x")
	_, text = s.post(editor, "/sources/new", url.Values{"url": {"sqlite:///etc/passwd"}})
	contains(t, "a file by an editor", text, "only an admin may do that")

	// A password stays unless it is replaced, and is not sent elsewhere.
	edit := url.Values{"name": {"crm"}, "type": {"postgresql"}, "host": {"127.0.0.1"}, "port": {"1"}, "database": {"crm2"}, "username": {"reader"}, "sync_method": {"auto"}}
	if status, text = s.post(editor, "/sources/"+s.broken.ID+"/edit", edit); status != http.StatusOK {
		t.Errorf("a change: %d %s", status, text)
	}
	after, err := s.service.Source(s.admin, s.broken.ID)
	s.must(err)
	if after.Database != "crm2" || after.PasswordEnc != s.broken.PasswordEnc {
		t.Errorf("after the change: %+v", after)
	}
	edit.Set("host", "evil.example")
	status, text = s.post(editor, "/sources/"+s.broken.ID+"/edit", edit)
	contains(t, "another host without the password", text, "must be given again")
	if status != http.StatusUnprocessableEntity {
		t.Errorf("another host without the password: %d", status)
	}

	// Copies and deletions.
	_, text = s.post(editor, "/sources/"+s.broken.ID+"/clone", url.Values{"name": {"crm-again"}})
	contains(t, "a copy", text, "The copy is made", "crm-again")
	copied, err := s.service.Source(s.admin, "crm-again")
	s.must(err)
	if copied.PasswordEnc != s.broken.PasswordEnc || copied.Database != "crm2" || copied.Status != model.ConnectionRegistered {
		t.Errorf("the copy: %+v", copied)
	}
	_, text = s.get(editor, "/sources/"+s.source.ID+"/delete")
	contains(t, "what a deletion does", text, "Pipeline shop-archive goes", "5 tables", "stays at the destinations", "Type shop to confirm")
	if status, _ = s.post(editor, "/sources/"+s.source.ID+"/delete", nil); status != http.StatusUnprocessableEntity {
		t.Errorf("a deletion that is not confirmed: %d", status)
	}
	_, text = s.get(editor, "/destinations/"+s.target.ID+"/delete")
	contains(t, "a destination in use", text, "cannot be deleted", "Pipeline crm-nightly")
	lacks(t, "a destination in use", text, "Delete the destination")
	if _, text = s.post(editor, "/sources/"+copied.ID+"/delete", nil); !strings.Contains(text, "crm-again is deleted") {
		t.Error("a source that nothing uses is not deleted")
	}

	// Tables are looked for when somebody asks, and only then.
	status, text = s.post(editor, "/sources/"+s.broken.ID+"/discover", nil)
	contains(t, "tables of a database that is away", text, "could not be looked for", "What to do:")
	if status != http.StatusBadGateway {
		t.Errorf("tables of a database that is away: %d", status)
	}
	if status, _ = s.post(viewer, "/sources/"+s.source.ID+"/discover", nil); status != http.StatusForbidden {
		t.Errorf("a viewer looks for tables: %d", status)
	}
	_, text = s.get(admin, "/destinations/new?type=embedded")
	contains(t, "the built-in warehouse", text, "Directory")
}
