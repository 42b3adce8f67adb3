package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"arus/app/control"
	"arus/app/model"
	"arus/testdata/servers"
)

// TestAFactTableInABrowser declares a fact table, loads it, asks it and takes the
// answer along, with the keyboard where that is quicker.
func TestAFactTableInABrowser(t *testing.T) {
	t.Parallel()
	servers.Chromium(t)
	s := newSite(t)
	b := newBrowser(s, model.RoleEditor)
	b.expect("422 (Unprocessable Entity)") // what is refused on purpose

	// Refused at its field, then planned, then made.
	b.open("/warehouse")
	b.until(`document.querySelector(".empty-title").textContent === "No tables yet"`)
	b.open("/warehouse/new")
	b.fillIn("#field-name", "rides")
	b.fillIn(`[name="columns[2].name"]`, "city")
	b.fillIn(`[name="columns[2].type"]`, "Stadt")
	b.click("form#table-form .btn-primary")
	b.until(`[...document.querySelectorAll(".field-fault")].some(e => e.textContent.includes("type of the column above"))`)
	b.fillIn(`[name="columns[2].type"]`, "SmallEnum")
	b.fillIn(`[name="columns[3].name"]`, "fare")
	b.fillIn(`[name="columns[3].type"]`, "Decimal(10,2)")
	b.click("form#table-form .btn-primary")
	b.until(`document.body.innerText.includes("Nothing has been changed yet")`)
	if names, err := s.service.WarehouseTables(s.admin); err != nil || len(names) > 0 {
		t.Errorf("a plan made %v, %v", names, err)
	}
	b.click(`button[value=apply]`)
	b.until(`location.pathname === "/warehouse/rides"`)

	b.open("/warehouse/rides/load")
	day := s.now().Unix() / 86400 * 86400
	b.fillIn("#field-text", fmt.Sprintf("ts,id,city,fare\n%d,1,Jakarta,5.50\n%d,2,Bandung,7.25\n%d,3,Jakarta,1.00\n,4,Jakarta,9\n", day-100000, day-99000, day-1000))
	b.click("form[enctype] .btn-primary")
	b.until(`document.body.innerText.includes("missing_event_time")`) // the row without a time
	d, err := s.service.DescribeTable(s.admin, "rides")
	s.must(err)
	if d.Rows() != 3 {
		t.Errorf("%d rows are loaded, want 3", d.Rows())
	}

	// A mistake is shown where it is.
	b.open("/query")
	b.click("#sql")
	b.fillIn("#sql", "SELECT city,\n  sum(fares) FROM rides GROUP BY city")
	eval[bool](b, `document.querySelector("#query-form").requestSubmit(document.querySelector("[data-run]")), true`)
	b.until(`document.querySelector("[data-error-at]")`)
	if got := b.text("#result"); !strings.Contains(got, "Line 2, column 7") || !strings.Contains(got, "there is fare") {
		t.Errorf("the error card: %s", got)
	}
	b.until(`document.activeElement.id === "sql" && document.activeElement.value.slice(document.activeElement.selectionStart, document.activeElement.selectionEnd) === "fares"`)

	// Completion by the keyboard, running by the keyboard.
	eval[bool](b, `{ const a = document.querySelector("#sql"); a.value = "SELECT city, sum(fare) AS fares FROM ri"; a.setSelectionRange(a.value.length, a.value.length);
		a.dispatchEvent(new KeyboardEvent("keydown", {key: " ", ctrlKey: true, bubbles: true, cancelable: true})) }; true`)
	b.until(`[...document.querySelectorAll("#completion li")].some(e => e.textContent.startsWith("rides"))`)
	eval[bool](b, `document.querySelector("#sql").dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", bubbles: true, cancelable: true})), true`)
	b.until(`document.querySelector("#sql").value.endsWith("FROM rides")`)
	eval[bool](b, `{ const a = document.querySelector("#sql"); a.value += " GROUP BY city ORDER BY city";
		a.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", ctrlKey: true, bubbles: true, cancelable: true})) }; true`)
	b.until(`[...document.querySelectorAll("[data-answer] td")].map(e => e.textContent).join() === "Bandung,7.25,Jakarta,6.5"`)
	b.until(`document.querySelector("[data-query-chart] summary")`)
	b.click("[data-query-chart] summary")
	b.until(`document.querySelector(".chart-plot canvas")`)
	b.axe("an answer")
	b.click(`button[value=explain]`)
	b.until(`document.querySelector("#result").innerText.includes("by whole columns")`)

	// It is in the history, and goes into files.
	b.open("/query/history")
	b.until(`document.querySelectorAll("main tbody tr").length >= 3`)
	c := s.client(model.RoleEditor)
	for format, want := range map[string]string{"csv": "city,fare\nBandung,7.25\n", "ndjson": `{"city":"Bandung","fare":7.25}`, "parquet": "PAR1"} {
		status, text := s.post(c, "/query/export", url.Values{"sql": {"SELECT city, fare FROM rides WHERE id = 2"}, "format": {format}})
		if status != http.StatusOK || !strings.HasPrefix(text, want) {
			t.Errorf("the export as %s: %d %.60q", format, status, text)
		}
	}
}

// TestAViewerSeesButCannotAct looks for buttons that are not a viewer's, and
// sends what they would.
func TestAViewerSeesButCannotAct(t *testing.T) {
	t.Parallel()
	servers.Chromium(t)
	s := newSite(t)
	s.fill()
	_, before, err := s.service.ListRuns(s.admin, control.RunFilter{})
	s.must(err)
	b := newBrowser(s, model.RoleViewer)
	b.expect("403 (Forbidden)")
	for _, path := range []string{"/pipelines/" + s.pipeline.ID, "/warehouse/orders", "/notifications"} {
		b.open(path)
		if got := eval[int](b, `document.querySelectorAll("main form[method=post], main a[href$='/delete'], main a[href$='/edit'], main a[href$='/new']").length`); got != 0 {
			t.Errorf("%s offers a viewer %d things to do", path, got)
		}
	}
	b.open("/warehouse/orders/rows")
	b.until(`document.querySelector("main").innerText.includes("Not allowed")`)
	if status := eval[int](b, `fetch("/pipelines/`+s.pipeline.ID+`/run", {method: "POST"}).then(r => r.status)`); status != http.StatusForbidden {
		t.Errorf("running a pipeline: %d", status)
	}
	_, after, err := s.service.ListRuns(s.admin, control.RunFilter{})
	s.must(err)
	if after != before {
		t.Error("a viewer started a run")
	}
}
