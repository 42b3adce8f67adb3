package web

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"arus/app/api"
	"arus/app/control"
	"arus/app/model"
	"arus/testdata/servers"
)

func apiFault() api.Error {
	return api.Error{Code: "INTERNAL_ERROR", Message: "a fault of the program"}
}

// TestShellInABrowser uses what surrounds every page: the keyboard, the search,
// menus, the theme, and what draws itself anew.
func TestShellInABrowser(t *testing.T) {
	t.Parallel()
	servers.Chromium(t)
	s := newSite(t)
	s.fill()
	b := newBrowser(s, model.RoleAdmin)

	b.open("/")
	b.until(`document.title.startsWith("(1 failing)")`)
	b.until(`document.querySelector("#favicon").href.includes("favicon-bad")`)
	if got := b.text("#dashboard-lists"); !strings.Contains(got, "shop-to-warehouse") {
		t.Errorf("freshness: %s", got)
	}

	// It is live: a run that ends shows without a reload.
	before := eval[int](b, `document.querySelectorAll("#dashboard-lists .card:last-child tbody tr a[href*='`+s.run+`']").length`)
	report, err := s.service.Run(s.admin, control.RunRequest{Pipeline: s.pipeline.ID})
	s.must(err)
	b.until(`document.querySelector("#dashboard-lists a[href='/runs/` + report.RunID + `']")`)
	if before != 1 {
		t.Errorf("the run before was there %d times", before)
	}

	// Searching with the keyboard alone.
	b.press("/")
	b.until(`document.activeElement.id === "search"`)
	b.press(kb.Backspace) // a test's key is typed also where a person's would not be
	b.press("archive")
	b.until(`document.querySelector("#search-results a")`)
	b.press(kb.ArrowDown)
	b.until(`document.activeElement.textContent.includes("shop-archive")`)
	b.press(kb.Escape)
	b.until(`!document.querySelector("#search-results a")`)

	// Going by keys, and the help.
	b.open("/about")
	b.press("g")
	b.press("l")
	b.until(`location.pathname === "/alerts"`)
	b.wait("main h1")
	b.press("?")
	b.until(`document.querySelector("#shortcuts").open`)
	if got := b.text("#shortcut-list"); !strings.Contains(got, "Dashboard") || !strings.Contains(got, "Search") {
		t.Errorf("the help: %s", got)
	}
	b.axe("help sheet")
	b.press(kb.Escape)
	b.until(`!document.querySelector("#shortcuts").open`)

	// The theme as the system, then by choice.
	b.theme("dark")
	b.until(`document.documentElement.getAttribute("data-bs-theme") === "dark"`)
	b.click("summary[aria-label=Theme]")
	b.wait("button[value=light]")
	b.click("button[value=light]")
	b.until(`document.documentElement.dataset.theme === "light" && document.documentElement.getAttribute("data-bs-theme") === "light"`)

	// Times are the viewer's.
	b.open("/alerts")
	if title := eval[string](b, `document.querySelector("main time").title`); !strings.HasSuffix(title, "CET") && !strings.HasSuffix(title, "CEST") {
		t.Errorf("a time in full: %q", title)
	}

	// The menu of a narrow screen.
	b.size(360, 740)
	b.open("/about")
	b.click(".sidebar-open")
	b.wait(".sidebar a[href='/alerts']")
	b.click(".sidebar a[href='/alerts']")
	b.until(`location.pathname === "/alerts"`)
	b.size(1280, 900)

	b.click(".user-button")
	b.wait("form[action='/sign-out'] button")
	b.click("form[action='/sign-out'] button")
	b.wait("#field-email")
	b.axe("sign-in")
}
