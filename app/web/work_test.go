package web

import (
	"context"
	"database/sql"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/chromedp/chromedp/kb"

	"arus/app/control"
	"arus/app/model"
	"arus/connectors"
	"arus/testdata/servers"
)

// gate holds the reads of a source after each batch, until it is opened.
type gate struct {
	mu     sync.Mutex
	closed chan struct{} // nil: open
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = make(chan struct{})
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed != nil {
		close(g.closed)
		g.closed = nil
	}
}

func (g *gate) pass(ctx context.Context) error {
	g.mu.Lock()
	closed := g.closed
	g.mu.Unlock()
	if closed == nil {
		return nil
	}
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// gated is a source whose reads pass a gate.
type gated struct {
	connectors.Source
	connectors.Settler
	gate *gate
}

func (s gated) Read(ctx context.Context, req connectors.ReadRequest, emit func(arrow.RecordBatch) error) error {
	return s.Source.Read(ctx, req, func(b arrow.RecordBatch) error {
		if err := emit(b); err != nil {
			return err
		}
		return s.gate.pass(ctx)
	})
}

// fillOrders makes one pipeline of one table, whose source a gate can hold.
func (s *site) fillOrders() *gate {
	s.t.Helper()
	g := &gate{}
	s.t.Cleanup(g.open)
	sqlite := s.service.Registry["sqlite"]
	slow := sqlite
	slow.OpenSource = func(ctx context.Context, cfg connectors.Config) (connectors.Source, error) {
		source, err := sqlite.OpenSource(ctx, cfg)
		if err != nil {
			return nil, err
		}
		return gated{source, source.(connectors.Settler), g}, nil
	}
	s.service.Registry["sqlite"] = slow
	file := filepath.Join(s.t.TempDir(), "orders.db")
	s.sql(file, `CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, amount TEXT, updated_at TEXT NOT NULL)`)
	s.sql(file, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
		INSERT INTO orders SELECT i, 'customer ' || (i % 7), CASE WHEN i IN (3, 5) THEN 'n/a' ELSE i * 10 END, '2026-01-01 00:00:00' FROM n`)
	var err error
	s.source, err = s.service.AddSource(s.admin, control.SourceInput{Name: "shop", Connection: connectors.Config{Type: "sqlite", Database: file}})
	s.must(err)
	_, err = s.service.AddDestination(s.admin, control.DestinationInput{Name: "warehouse", Connection: connectors.Config{Type: "embedded"}, IsDefault: true})
	s.must(err)
	none := 0
	s.pipeline, err = s.service.AddPipeline(s.admin, control.PipelineInput{
		Name: "orders-to-warehouse", Source: s.source.ID, MaxRetries: &none, Options: model.PipelineOptions{Drift: model.DriftReport},
		Choices: []control.TableChoice{{Name: "orders", WatermarkColumn: new("updated_at"), KeyColumns: &[]string{"id"}}},
	})
	s.must(err)
	return g
}

// sql changes a SQLite file.
func (s *site) sql(file, statement string) {
	s.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(file)+"?_pragma=busy_timeout(10000)")
	s.must(err)
	_, err = db.ExecContext(s.t.Context(), statement)
	s.must(err)
	s.must(db.Close())
}

// says waits until the page says something.
func (b *browser) says(selector, text string) {
	b.t.Helper()
	b.until(`[...document.querySelectorAll("` + selector + `")].some(e => e.innerText.includes("` + text + `"))`)
}

// TestPipelineWorkInABrowser builds a transform, watches its run live, cancels
// and retries it, mends its dead letters and decides about a change of the
// source.
func TestPipelineWorkInABrowser(t *testing.T) {
	t.Parallel()
	servers.Chromium(t)
	s := newSite(t)
	g := s.fillOrders()
	b := newBrowser(s, model.RoleEditor)
	b.theme("light") // and without motion: what scrolls under the pointer is not met
	b.expect("422 (Unprocessable Entity)")
	at := "/pipelines/" + s.pipeline.ID

	// A step is added, filled in wrongly, mended and tried out.
	b.open(at + "/transforms")
	b.fillIn("#step-add", "type_cast")
	b.click("#step-add-button")
	b.wait("#step-0 [name='step.0.columns.0']")
	b.fillIn("#step-0 [name='step.0.columns.0']", "amuont")
	b.fillIn("#step-0 [name='step.0.columns.1']", "int")
	b.click("#steps-preview")
	b.says("#step-0 .field-fault", "did you mean")
	b.until(`document.activeElement.matches("[data-focus], .is-invalid")`)
	b.fillIn("#step-0 [name='step.0.columns.0']", "amount")
	b.click("#steps-preview")
	b.says("#preview", "row 3")
	if got := b.text("#preview"); !strings.Contains(got, "2 failed") || !strings.Contains(got, "int64") {
		t.Errorf("the preview: %s", got)
	}
	b.axe("steps with a preview")
	b.click("#steps-save")
	b.says("#toasts", "The steps of orders are saved")
	if got := s.stepsOf("orders"); !strings.Contains(got, "type_cast") {
		t.Errorf("stored: %s", got)
	}

	// A run is watched, also after a reload, and cancelled.
	g.shut()
	b.open(at)
	b.press("r")
	b.until(`location.pathname.startsWith("/runs/")`)
	b.says("#run tbody", "copying")
	b.says("#run tbody", "300")
	first := strings.TrimPrefix(eval[string](b, `location.pathname`), "/runs/")
	b.open("/runs/" + first)
	b.says("#run tbody", "copying")
	b.until(`document.title.startsWith("(running)") && document.querySelector("#favicon").href.includes("busy")`)
	b.click("a[href$='/cancel']")
	b.wait("#dialog .btn-danger")
	b.click("#dialog .btn-danger")
	b.says("#run .status-badge", "cancelled")
	b.until(`document.title.startsWith("(cancelled)")`)

	// Its table is tried again.
	g.open()
	b.click("form[action$='/retry'] button")
	b.until(`location.pathname.startsWith("/runs/") && !location.pathname.endsWith("` + first + `")`)
	b.says("#run .datagrid .status-badge", "success")
	b.until(`document.querySelector(".timebar .phase-started, .timebar .phase-rows, .timebar .phase-commit")`)
	b.says("#run a[href*='/dead-letters']", "2")

	// The rows that did not fit are mended by another step, which goes first.
	b.open(at + "/transforms")
	b.fillIn("#step-add", "map_values")
	b.click("#step-add-button")
	b.wait("#step-1 [name='step.1.column']")
	b.fillIn("#step-1 [name='step.1.column']", "amount")
	b.fillIn("#step-1 [name='step.1.mapping.0']", "n/a")
	b.fillIn("#step-1 [name='step.1.mapping.1']", "null")
	b.click("#step-1-up")
	b.until(`document.querySelector("#step-0 [name='step.0.mapping.0']").value === "n/a" && document.querySelector("#step-1 [name='step.1.columns.0']").value === "amount"`)
	b.click("#steps-save")
	b.says("#toasts", "The steps of orders are saved")
	b.open(at + "/dead-letters")
	b.says("tbody", "n/a")
	if _, text := s.get(s.client(model.RoleEditor), at+"/dead-letters/export?format=csv"); !strings.Contains(text, "id,table,failed_at,run_id,reason,row\n") || strings.Count(text, "\n") != 3 {
		t.Errorf("the export: %s", text)
	}
	b.click("[data-check-all=letter]")
	b.click("button[value=retry]")
	b.until(`location.pathname.startsWith("/runs/")`)
	b.says("#run .datagrid .status-badge", "success")
	b.open(at + "/dead-letters")
	b.says("main", "No dead letters")

	// A new column waits for a decision.
	s.sql(s.source.Database, `ALTER TABLE orders ADD COLUMN note TEXT`)
	s.sql(s.source.Database, `INSERT INTO orders VALUES (301, 'customer 1', '5', '2026-02-01 00:00:00', 'a note')`)
	report, err := s.service.Run(s.admin, control.RunRequest{Pipeline: s.pipeline.ID})
	if s.must(err); report.Status != model.RunSuccess {
		t.Fatalf("the run after the change: %+v", report)
	}
	b.open(at + "/schema-changes")
	b.says("tbody", "note")
	b.click("form[action$='/apply'] button")
	b.says("tbody .status-badge", "applied")

	// What differs from the good run, and where it all flows.
	b.open("/runs/" + first + "/compare")
	b.says("main", "There is nothing to compare with")
	b.open("/runs/" + report.RunID + "/compare")
	b.says("tbody", "orders")
	b.open("/graph")
	b.click("#graph a[href*='show=" + s.pipeline.ID + "']:not([href*='table='])")
	b.says("#graph-details", "Last runs")
	b.until(`document.querySelector("#graph svg").getAttribute("viewBox")`)
	before := eval[string](b, `document.querySelector("#graph svg").getAttribute("viewBox")`)
	b.click("[data-graph=in]")
	if after := eval[string](b, `document.querySelector("#graph svg").getAttribute("viewBox")`); after == before {
		t.Error("the graph does not zoom")
	}
	b.axe("graph with details")
}

// TestKeyboardAlone does everything without a mouse.
func TestKeyboardAlone(t *testing.T) {
	t.Parallel()
	servers.Chromium(t)
	s := newSite(t)
	s.fillOrders()
	second, err := s.service.AddPipeline(s.admin, control.PipelineInput{Name: "second", Source: s.source.ID, Choices: []control.TableChoice{{Name: "orders", TargetSchema: new("other")}}})
	s.must(err)
	b := newBrowser(s, model.RoleAdmin)
	b.theme("light")
	b.open("/")
	b.press("g")
	b.press("p")
	b.until(`location.pathname === "/pipelines"`)
	b.wait("main tbody tr")
	b.press("j")
	b.until(`document.activeElement.textContent === "orders-to-warehouse"`)
	b.press("j")
	b.until(`document.activeElement.textContent === "second" && document.activeElement.closest("tr").classList.contains("selected")`)
	b.press("k")
	b.until(`document.activeElement.textContent === "orders-to-warehouse"`)
	b.press("j")
	b.until(`document.activeElement.textContent === "second"`)
	b.press(kb.Enter)
	b.until(`location.pathname === "/pipelines/` + second.ID + `"`)
	b.wait("main h1")
	b.press("?")
	b.until(`document.querySelector("#shortcuts").open`)
	b.press(kb.Escape)
	b.until(`!document.querySelector("#shortcuts").open`)
	b.press(kb.Tab)
	b.until(`document.activeElement.matches(".skip-link") || document.activeElement.closest("main, header, aside")`)

	// The drawing can be gone through and moved by keys.
	b.open("/graph")
	eval[bool](b, `document.querySelector("#graph").focus() === undefined`)
	before := eval[string](b, `document.querySelector("#graph svg").getAttribute("viewBox")`)
	b.press("+")
	b.until(`document.querySelector("#graph svg").getAttribute("viewBox") !== "` + before + `"`)
	b.press("0")
	b.until(`document.querySelector("#graph svg").getAttribute("viewBox") === "` + before + `"`)
	eval[bool](b, `document.querySelector("#graph a[href*='show=`+second.ID+`']").focus() === undefined`)
	b.press(kb.Enter)
	b.says("#graph-details", "Schedule")
}

// TestTablesOfAWidePipeline changes tables of a pipeline with five thousand.
func TestTablesOfAWidePipeline(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fillOrders()
	choices := make([]control.TableChoice, 5000)
	for i := range choices {
		choices[i] = control.TableChoice{Name: "table_" + strings.Repeat("0", 4-len(digits(i))) + digits(i)}
	}
	p, err := s.service.AddPipeline(s.admin, control.PipelineInput{Name: "wide", Source: s.source.ID, Choices: choices, TargetSchema: "wide"})
	s.must(err)
	c := s.client(model.RoleEditor)
	at := "/pipelines/" + p.ID + "/tables"
	_, text := s.get(c, at+"?q=table_12")
	contains(t, "the filtered tables", text, "1–25 of 100", "table_1200", "All 100 tables that match")
	if strings.Count(text, "<tr>") > 30 {
		t.Errorf("%d rows are drawn", strings.Count(text, "<tr>"))
	}
	_, text = s.post(c, at, url.Values{"list": {"q=table_12"}, "matching": {"yes"}, "table": {"table_4999"}, "sync_mode": {"full_refresh"}, "enabled": {"false"}})
	contains(t, "after the change", text, "101 tables changed", "1–25 of 100")
	_, text = s.get(c, at+"?mode=full_refresh&copied=no&size=200")
	contains(t, "what was changed", text, "1–101 of 101", "table_4999", "table_1299")
}

func digits(n int) string {
	text := ""
	for ; n > 0 || text == ""; n /= 10 {
		text = string(rune('0'+n%10)) + text
	}
	return text
}

// TestHiddenTabsLetGo hides a tab, sees that it gives up its stream, and shows it
// again.
func TestHiddenTabsLetGo(t *testing.T) {
	t.Parallel()
	servers.Chromium(t)
	s := newSite(t)
	s.fillOrders()
	b := newBrowser(s, model.RoleViewer)
	b.theme("light")
	b.open("/runs")
	b.says("#runs", "Nothing has run yet")
	// The time is made short, and the state of the tab is what the test says.
	eval[bool](b, `(() => { const set = window.setTimeout; window.setTimeout = (fn, ms) => set(fn, Math.min(ms, 20)); window.state = "hidden";
		Object.defineProperty(document, "visibilityState", {get: () => window.state}); document.dispatchEvent(new Event("visibilitychange")); return true })()`)
	b.until(`document.body.classList.contains("resting")`)
	report, err := s.service.Run(s.admin, control.RunRequest{Pipeline: s.pipeline.ID})
	s.must(err)
	if eval[bool](b, `!!document.querySelector("#runs a[href='/runs/`+report.RunID+`']")`) {
		t.Error("a hidden tab still listens")
	}
	eval[bool](b, `(() => { window.state = "visible"; document.dispatchEvent(new Event("visibilitychange")); return true })()`)
	b.until(`document.querySelector("#runs a[href='/runs/` + report.RunID + `']")`)
	again, err := s.service.Run(s.admin, control.RunRequest{Pipeline: s.pipeline.ID})
	s.must(err)
	b.until(`document.querySelector("#runs a[href='/runs/` + again.RunID + `']")`)
}
