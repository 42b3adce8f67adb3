package web

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"arus/app/model"
	"arus/testdata/servers"
)

// pageList is every page that somebody signed in can open, with a site that is
// filled and furnished: all of them are opened by TestPages, read by
// TestWhatIsNotAllowedIsNotOffered and drawn by TestScreenshots.
func pageList(s *site, f furnished) []struct{ name, path string } {
	return append(managePages(f), []struct{ name, path string }{
		{"dashboard", "/"},
		{"alerts", "/alerts"},
		{"search", "/search?q=shop"},
		{"about", "/about"},
		{"runs", "/runs"},
		{"run", "/runs/" + s.run},
		{"run-failed", "/runs/" + s.failedRun},
		{"run-compare", "/runs/" + s.run + "/compare"},
		{"graph", "/graph"},
		{"graph-details", "/graph?show=" + s.pipeline.ID + "&table=orders"},
		{"pipelines", "/pipelines"},
		{"pipeline", "/pipelines/" + s.pipeline.ID},
		{"pipeline-new", "/pipelines/new"},
		{"pipeline-runs", "/pipelines/" + s.pipeline.ID + "/runs"},
		{"pipeline-dead-letters", "/pipelines/" + s.pipeline.ID + "/dead-letters"},
		{"pipeline-quality", "/pipelines/" + s.pipeline.ID + "/quality"},
		{"pipeline-schema-changes", "/pipelines/" + s.pipeline.ID + "/schema-changes"},
		{"pipeline-watermarks", "/pipelines/" + s.pipeline.ID + "/watermarks"},
		{"pipeline-tables", "/pipelines/" + s.pipeline.ID + "/tables"},
		{"pipeline-transforms", "/pipelines/" + s.pipeline.ID + "/transforms"},
		{"pipeline-notifications", "/pipelines/" + s.pipeline.ID + "/notifications"},
		{"pipeline-scripts", "/pipelines/" + s.pipeline.ID + "/scripts"},
		{"pipeline-script-new", "/pipelines/" + s.pipeline.ID + "/scripts/new"},
		{"pipeline-settings", "/pipelines/" + s.pipeline.ID + "/settings"},
		{"pipeline-backfill", "/pipelines/" + s.pipeline.ID + "/backfill"},
		{"welcome", "/welcome/source?new=yes"},
		{"welcome-source", "/welcome/source"},
		{"welcome-destination", "/welcome/destination?choose=yes"},
		{"welcome-destination-new", "/welcome/destination?new=yes"},
		{"welcome-tables", "/welcome/tables"},
		{"welcome-schedule", "/welcome/schedule"},
		{"welcome-run", "/welcome/run"},
		{"sources", "/sources"},
		{"source", "/sources/" + s.source.ID},
		{"source-failing", "/sources/" + s.broken.ID},
		{"source-new", "/sources/new"},
		{"source-edit", "/sources/" + s.broken.ID + "/edit"},
		{"source-delete", "/sources/" + s.source.ID + "/delete"},
		{"source-table", "/sources/" + s.source.ID + "/table?schema=&name=orders&rows=yes"},
		{"destinations", "/destinations"},
		{"destination", "/destinations/" + s.target.ID},
		{"destination-new", "/destinations/new?type=clickhouse"},
		{"destination-delete", "/destinations/" + s.target.ID + "/delete"},
		{"close", "/close"},
		{"source-clone", "/sources/" + s.source.ID + "/clone"},
		{"destination-clone", "/destinations/" + s.target.ID + "/clone"},
		{"destination-edit", "/destinations/" + s.target.ID + "/edit"},
		{"destination-table", "/destinations/" + s.target.ID + "/table?name=orders"},
		{"pipeline-full-refresh", "/pipelines/" + s.pipeline.ID + "/full-refresh"},
		{"pipeline-clone", "/pipelines/" + s.pipeline.ID + "/clone"},
		{"pipeline-delete", "/pipelines/" + s.pipeline.ID + "/delete"},
		{"pipeline-script", "/pipelines/" + s.pipeline.ID + "/scripts/" + f.script.ID},
		{"pipeline-script-delete", "/pipelines/" + s.pipeline.ID + "/scripts/" + f.script.ID + "/delete"},
		{"pipeline-watermark-reset", "/pipelines/" + s.pipeline.ID + "/watermarks/reset"},
		{"run-cancel", "/runs/" + s.run + "/cancel"},
		{"not-found", "/nowhere"},
	}...)
}

// browser is a real Chromium that a test steers, signed in to a site.
type browser struct {
	*site
	ctx context.Context

	mu       sync.Mutex
	problems []string
	expected []string // parts of what is no problem here
}

// newBrowser starts a browser and signs in, unless role is empty. What the pages
// do wrong fails the test when it ends.
func newBrowser(s *site, role model.Role) *browser {
	s.t.Helper()
	options := append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...)
	options = append(options, chromedp.ExecPath(servers.Chromium(s.t)), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("lang", "en-GB"),
		chromedp.UserDataDir(s.t.TempDir()), chromedp.WindowSize(1280, 900), chromedp.WSURLReadTimeout(time.Minute))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, end := chromedp.NewContext(allocator)
	ctx, cancel := context.WithTimeout(ctx, 25*time.Minute)
	b := &browser{site: s, ctx: ctx}
	s.t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits until it is gone
		cancel()
		end()
		stop()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, p := range b.problems {
			s.t.Error(p)
		}
	})
	s.must(chromedp.Listen(ctx, b.observe))
	call(b, network.Enable, network.EnableParams{})
	call(b, log.Enable, cdp.Empty{})
	call(b, runtime.Enable, cdp.Empty{})
	call(b, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Europe/Berlin"})
	if role != "" {
		b.open("/sign-in")
		b.fillIn("#field-email", string(role)+"@example.com")
		b.fillIn("#field-password", sitePassword.Reveal())
		b.click(".btn-primary")
		b.wait(".sidebar")
	}
	return b
}

// observe gathers what pages do wrong: errors of scripts, violations of the
// content security policy, failed requests, requests to other hosts.
func (b *browser) observe(event any) {
	say := func(format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, e := range b.expected {
			if strings.Contains(text, e) {
				return
			}
		}
		b.problems = append(b.problems, text)
	}
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		say("a script failed: %s", e.ExceptionDetails.Text+" "+said(e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			parts := make([]string, len(e.Args))
			for i, a := range e.Args {
				parts[i] = said(a)
			}
			say("the console says: %s", strings.Join(parts, " "))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			say("the browser says: %s (%s)", e.Entry.Text, e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		u, err := url.Parse(e.Request.URL)
		if err == nil && u.Scheme != "data" && u.Scheme != "blob" && u.Scheme+"://"+u.Host != b.url {
			say("a request to another host: %s", e.Request.URL)
		}
	}
}

// said is what a value of the page looks like.
func said(o *runtime.RemoteObject) string {
	if o == nil {
		return ""
	}
	return o.Description + string(o.Value)
}

// expect says that a problem with this text in it is meant to be.
func (b *browser) expect(part string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = append(b.expected, part)
}

// call sends a command of the browser's protocol.
func call[P, R any](b *browser, command cdp.Command[P, R], params P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, command, params); err != nil {
		b.t.Fatalf("%s: %v", command.Method, err)
	}
}

// take runs an action of the browser and gives its value; it may take a
// minute.
func take[T any](b *browser, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		where, _ := chromedp.Run(b.ctx, chromedp.Location())
		b.t.Fatalf("at %s: %v", where, err)
	}
	return value
}

// open goes to a page.
func (b *browser) open(path string) {
	b.t.Helper()
	take(b, chromedp.Navigate(b.url+path))
	b.wait("main")
}

// wait waits until something is to be seen.
func (b *browser) wait(selector string) {
	b.t.Helper()
	take(b, chromedp.WaitVisible(chromedp.CSS(selector)))
}

// click clicks on something.
func (b *browser) click(selector string) {
	b.t.Helper()
	take(b, chromedp.Click(chromedp.CSS(selector)))
}

// fillIn puts a text into a field.
func (b *browser) fillIn(selector, text string) {
	b.t.Helper()
	take(b, chromedp.SetValue(chromedp.CSS(selector), text))
}

// press types keys, see chromedp's package kb for those without a letter.
func (b *browser) press(keys string) {
	b.t.Helper()
	take(b, chromedp.KeyEvent(keys))
}

// text is what an element says.
func (b *browser) text(selector string) string {
	b.t.Helper()
	return take(b, chromedp.Text(chromedp.CSS(selector)))
}

// eval is the value of an expression of JavaScript, or of its promise.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	return take(b, chromedp.Evaluate[T](expression, func(p *runtime.EvaluateParams) { p.AwaitPromise = new(true) }))
}

// until waits until an expression of JavaScript is true, across pages.
func (b *browser) until(expression string) {
	b.t.Helper()
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-tick.C {
		ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
		yes, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+expression+")"))
		cancel()
		if err == nil && yes {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("it does not become true: %s (%v)\n%s", expression, err, b.text("body"))
		}
	}
}

// theme makes the system's colours light or dark.
func (b *browser) theme(name string) {
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

// size makes the window so large.
func (b *browser) size(width, height int64) {
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 600})
}

// axe fails the test when axe-core finds something serious on the page; with
// rules it looks at these alone.
func (b *browser) axe(where string, rules ...string) {
	b.t.Helper()
	if !eval[bool](b, `"axe" in window`) {
		eval[bool](b, axeScript(b.t)+`;true`)
	}
	only := ""
	if len(rules) > 0 {
		only = `, runOnly: ["` + strings.Join(rules, `", "`) + `"]`
	}
	answer := eval[string](b, `axe.run(document, {resultTypes: ["violations"]`+only+`}).then(r => JSON.stringify(r.violations.map(v => ({
		id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.slice(0, 3).map(n => n.html.slice(0, 200) + " :: " + n.failureSummary.slice(0, 300))}))))`)
	var found []struct {
		ID, Impact, Help string
		Nodes            []string
	}
	b.must(json.Unmarshal([]byte(answer), &found))
	for _, v := range found {
		if v.Impact == "serious" || v.Impact == "critical" {
			b.t.Errorf("%s: %s (%s): %s\n%s", where, v.ID, v.Impact, v.Help, strings.Join(v.Nodes, "\n"))
		} else {
			b.t.Logf("%s: %s (%s): %s\n%s", where, v.ID, v.Impact, v.Help, strings.Join(v.Nodes, "\n"))
		}
	}
}

func axeScript(t testing.TB) string {
	t.Helper()
	packed, err := os.ReadFile(filepath.Join("..", "..", "testdata", "assets", "axe.js.gz"))
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// shot is a picture of the whole page.
func (b *browser) shot(file string) {
	b.t.Helper()
	take(b, chromedp.FullScreenshot(10)) // the first one makes the page draw what was below the window
	picture, err := fewColours(take(b, chromedp.FullScreenshot(100)))
	b.must(err)
	b.must(os.WriteFile(file, picture, 0o644))
}

// fewColours writes a picture with the 256 colours that it has most of: a third
// of its size, and nobody sees the difference.
func fewColours(picture []byte) ([]byte, error) {
	from, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		return nil, err
	}
	size := from.Bounds()
	counts := map[color.RGBA]int{}
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(from.At(x, y)).(color.RGBA) }
	for y := size.Min.Y; y < size.Max.Y; y++ {
		for x := size.Min.X; x < size.Max.X; x++ {
			counts[at(x, y)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(counts), func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	var palette color.Palette
	for _, c := range colours[:min(len(colours), 256)] {
		palette = append(palette, c)
	}
	places := map[color.RGBA]uint8{}
	for _, c := range colours {
		places[c] = uint8(palette.Index(c))
	}
	to := image.NewPaletted(size, palette)
	for y := size.Min.Y; y < size.Max.Y; y++ {
		for x := size.Min.X; x < size.Max.X; x++ {
			to.SetColorIndex(x, y, places[at(x, y)])
		}
	}
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, to)
	return out.Bytes(), err
}

// TestPages opens every page once and looks at it in both themes and narrow.
func TestPages(t *testing.T) {
	t.Parallel()
	servers.Chromium(t)
	s, f := fullSite(t)
	b := newBrowser(s, model.RoleAdmin)
	b.expect("404 (Not Found)")
	for _, p := range pageList(s, f) {
		b.theme("light")
		b.open(p.path)
		b.axe(p.name + " light")
		// What a theme changes is colours.
		b.theme("dark")
		b.until(`document.documentElement.getAttribute("data-bs-theme") === "dark"`)
		b.axe(p.name+" dark", "color-contrast")
		b.size(360, 740)
		if width := eval[int](b, `document.scrollingElement.scrollWidth`); width > 360 {
			t.Errorf("%s: %d px wide on a screen of 360, by %s", p.name, width, eval[string](b, widest))
		}
		b.size(1280, 900)
	}
}

// widest names the elements that are beyond the right edge of the window.
const widest = `[...document.querySelectorAll("main *, header *")].filter(e => e.getBoundingClientRect().right > 361 && !e.closest(".table-responsive, .log, pre, .tabs")).slice(0, 3).map(e => e.outerHTML.slice(0, 120)).join(" | ")`

// TestScreenshots draws every page into the directory that ARUS_SCREENSHOTS
// names.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("ARUS_SCREENSHOTS")
	if dir == "" {
		t.Skip("ARUS_SCREENSHOTS names no directory: `go tool task screenshots` does")
	}
	only := os.Getenv("ARUS_SCREENSHOTS_ONLY")
	s, f := fullSite(t)
	b := newBrowser(s, model.RoleAdmin)
	b.expect("404 (Not Found)")
	b.must(os.MkdirAll(dir, 0o755))
	for _, p := range pageList(s, f) {
		if !regexp.MustCompile(only).MatchString(p.name) {
			continue
		}
		for _, theme := range []string{"light", "dark"} {
			b.theme(theme)
			b.size(1280, 900)
			b.open(p.path)
			s.show(b, p.name)
			b.until(`document.readyState === "complete" && [...document.querySelectorAll("[data-chart]")].every(c => c.querySelector("canvas"))`)
			b.shot(filepath.Join(dir, p.name+"-"+theme+".png"))
		}
		b.theme("light")
		b.size(360, 740)
		b.open(p.path)
		s.show(b, p.name)
		b.shot(filepath.Join(dir, p.name+"-phone.png"))
	}
}

// show does on a page what somebody would see there: an answer below a query.
func (s *site) show(b *browser, name string) {
	if name != "query" {
		return
	}
	b.fillIn("#sql", "SELECT city, count(*) AS trips, sum(fare) AS fares, round(avg(distance_km), 1) AS km\nFROM trips\nWHERE request_at > unixepoch('now', '-5 days')\nGROUP BY city\nORDER BY fares DESC")
	b.click("[data-run]")
	b.wait("[data-query-chart] summary")
	b.click("[data-query-chart] summary")
	b.wait(".chart-plot canvas")
}
