package web

import (
	"fmt"

	"arus/app/control"
	"arus/views/components"
)

// sourceDeletePage asks whether a source is to go, and says what goes with it.
func sourceDeletePage(v *visit) error { return v.sourceDeleteForm(components.Form{}) }

func (v *visit) sourceDeleteForm(f components.Form) error {
	e, err := v.end(true)
	if err != nil {
		return err
	}
	pipelines, total, err := v.Control.Overviews(v.ctx, control.PipelineFilter{SourceID: e.id, Page: control.Page{Limit: 10}})
	if err != nil {
		return err
	}
	c := components.Confirm{
		Title: "Delete " + e.name + "?", Text: "No pipeline reads from this source.", Action: e.path() + "/delete", Submit: "Delete the source", Back: e.path(), Danger: true, Form: f,
		Consequences: []string{"Its settings and its password are forgotten.", "What was loaded from it stays at the destinations."},
	}
	if total > 0 {
		c.Text = "Its pipelines are deleted with it."
		c.Type = e.name
		var gone []string
		for _, p := range pipelines {
			gone = append(gone, fmt.Sprintf("Pipeline %s goes, with its %s, its watermarks, runs, dead letters and logs.", p.Name, components.Plural(len(p.Tables), "table")))
		}
		if total > len(pipelines) {
			gone = append(gone, components.Plural(total-len(pipelines), "further pipeline")+" too.")
		}
		c.Consequences = append(gone, c.Consequences...)
	}
	return v.confirm(e.page("Delete"), c)
}

// sourceDelete deletes a source with its pipelines.
func sourceDelete(v *visit) error {
	e, err := v.end(true)
	if err != nil {
		return err
	}
	_, total, err := v.Control.Overviews(v.ctx, control.PipelineFilter{SourceID: e.id, Page: control.Page{Limit: 1}})
	if err != nil {
		return err
	}
	if total > 0 && v.value("confirm") != e.name {
		return v.sourceDeleteForm(components.Form{Faults: map[string]string{"confirm": "is not the name of the source"}})
	}
	if err := v.Control.DeleteSource(v.ctx, e.id); err != nil {
		f, ok := v.form(err)
		if !ok {
			return err
		}
		return v.sourceDeleteForm(f)
	}
	return v.done(sourcesPath, e.name+" is deleted.")
}

// destinationDeletePage asks whether a destination is to go, or says what still
// loads into it.
func destinationDeletePage(v *visit) error { return v.destinationDeleteForm(components.Form{}) }

func (v *visit) destinationDeleteForm(f components.Form) error {
	e, err := v.end(false)
	if err != nil {
		return err
	}
	pipelines, total, err := v.Control.Overviews(v.ctx, control.PipelineFilter{DestinationID: e.id, Page: control.Page{Limit: 10}})
	if err != nil {
		return err
	}
	c := components.Confirm{
		Title: "Delete " + e.name + "?", Text: "No pipeline loads into it.", Action: e.path() + "/delete", Submit: "Delete the destination", Back: e.path(), Danger: true, Form: f,
		Consequences: []string{"Its settings and its password are forgotten.", "The tables in it stay as they are."},
	}
	if total > 0 {
		c.Text, c.Danger = "It cannot be deleted while pipelines load into it. Delete these first, or give them another destination:", false
		c.Consequences = nil
		for _, p := range pipelines {
			c.Consequences = append(c.Consequences, "Pipeline "+p.Name)
		}
		if total > len(pipelines) {
			c.Consequences = append(c.Consequences, components.Plural(total-len(pipelines), "further pipeline"))
		}
		c.Action, c.Submit = "", ""
	}
	return v.confirm(e.page("Delete"), c)
}

// destinationDelete deletes a destination that nothing loads into.
func destinationDelete(v *visit) error {
	e, err := v.end(false)
	if err != nil {
		return err
	}
	if err := v.Control.DeleteDestination(v.ctx, e.id); err != nil {
		f, ok := v.form(err)
		if !ok {
			return err
		}
		return v.destinationDeleteForm(f)
	}
	return v.done(destinationsPath, e.name+" is deleted.")
}
