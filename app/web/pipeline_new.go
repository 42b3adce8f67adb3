package web

import (
	"net/http"
	"net/url"
	"strings"

	"arus/app/control"
	"arus/app/model"
	"arus/views/components"
	"arus/views/pages"
)

// pipelineNewPage is the form of a new pipeline; the address may name its source.
func pipelineNewPage(v *visit) error {
	values := url.Values{"source_id": {v.query("source")}}
	destinations, _, err := v.Control.ListDestinations(v.ctx, maxChoices, 0)
	if err != nil {
		return err
	}
	for _, d := range destinations {
		if d.IsDefault {
			values.Set("destination_id", d.ID)
		}
	}
	return v.pipelineForm(http.StatusOK, components.Form{Values: values})
}

func (v *visit) pipelineForm(status int, f components.Form) error {
	sources, destinations, err := v.endOptions()
	if err != nil {
		return err
	}
	view := pages.PipelineNewView{Form: f, Sources: sources, Destinations: destinations, CanSources: v.has("/sources")}
	return v.showAs(status, page{title: "New pipeline", crumbs: []components.Link{{Label: "Pipelines", Href: "/pipelines"}}}, pages.PipelineNew(view))
}

// pipelineNew makes a pipeline.
func pipelineNew(v *visit) error {
	p, err := v.Control.AddPipeline(v.ctx, control.PipelineInput{
		Name: v.value("name"), Source: v.value("source_id"), Destination: v.value("destination_id"), Tables: strings.Fields(v.value("tables")),
		TargetSchema: v.value("target_schema"), LoadMode: model.LoadMode(v.value("load_mode")), SyncMode: model.SyncMode(v.value("sync_mode")), Schedule: v.value("schedule"),
	})
	if err != nil {
		f, ok := v.form(err)
		if !ok {
			return err
		}
		return v.pipelineForm(http.StatusUnprocessableEntity, f)
	}
	return v.done("/pipelines/"+p.ID, "The pipeline is made. Run it now, or look at its tables first.")
}
