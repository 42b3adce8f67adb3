package web

import (
	"fmt"
	"strings"

	"arus/app/control"
	"arus/views/pages"
)

// aboutCheck looks at everything that the program needs, as arus doctor does, and
// tests every connection.
func aboutCheck(v *visit) error {
	findings, err := v.Control.Examine(v.ctx)
	if err != nil {
		return err
	}
	view, err := v.about()
	if err != nil {
		return err
	}
	var report strings.Builder
	for i, f := range findings {
		view.Checks = append(view.Checks, pages.CheckLine{Name: f.Name, Status: string(f.Status), Detail: f.Detail, Hint: f.Hint})
		name, detail := f.Name, f.Detail
		if f.Status == control.FindingOK {
			detail = ""
		}
		// What is copied names neither sources nor directories.
		for _, kind := range []string{"source", "destination"} {
			if strings.HasPrefix(name, kind+" ") {
				name, detail = fmt.Sprintf("%s %d", kind, i+1), ""
			}
		}
		if name == "data directory" {
			detail = ""
		}
		fmt.Fprintf(&report, "%-20s %-8s %s\n", name, f.Status, detail)
	}
	view.Checked = view.Report + "\n" + report.String()
	return v.show(page{title: "About"}, pages.About(view))
}
