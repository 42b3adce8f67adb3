package web

import (
	"net/url"
	"strings"

	"arus/app/model"
	"arus/views/components"
	"arus/views/pages"
)

// welcomeRunPage is the first run as it goes on.
func welcomeRunPage(v *visit) error {
	w, err := v.wizard()
	if err != nil {
		return err
	}
	if w.pipeline.ID == "" {
		return v.redirect("/welcome", components.Flash{})
	}
	view := pages.WelcomeRunView{Head: w.head(stepRun), Pipeline: w.pipeline.Name, PipelineID: w.pipeline.ID, Target: w.target.name, Live: stepRun + "?part=run"}
	p := wizardPage()
	if w.run.ID != "" {
		run := v.runView(w.run, w.pipeline)
		view.Run = &run
		view.Event = "sse:run-" + w.run.ID + ", every 2s"
		for _, t := range run.Tables {
			row := pages.WelcomeRunTable{TableOfRun: t}
			if schema, name, ok := strings.Cut(t.Target, "."); ok && t.Status == string(model.RunSuccess) && w.target.id != "" {
				row.Rows = w.target.path() + "/table?" + url.Values{"schema": {schema}, "name": {name}, "rows": {"yes"}}.Encode() + "#rows"
			}
			if row.Rows != "" && t.Loaded > 0 && (view.FirstTable == "" || t.Name < view.FirstTable) {
				view.FirstRows, view.FirstTable = row.Rows, t.Name
			}
			view.Tables = append(view.Tables, row)
		}
		if active(w.run) {
			p.icon, p.status = "busy", "running"
		}
	}
	if v.query("part") == "run" {
		return v.fragment(pages.WelcomeRunState(view))
	}
	return v.show(p, pages.WelcomeRun(view))
}

// welcomeRun starts the run once more.
func welcomeRun(v *visit) error {
	w, err := v.wizard()
	if err != nil {
		return err
	}
	if w.pipeline.ID == "" {
		return v.redirect("/welcome", components.Flash{})
	}
	return v.firstRun(w.draft)
}
