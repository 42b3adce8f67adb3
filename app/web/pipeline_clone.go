package web

import (
	"net/url"

	"arus/app/control"
	"arus/app/model"
	"arus/views/components"
	"arus/views/pages"
)

// pipelineClonePage asks for the name of a copy.
func pipelineClonePage(v *visit) error {
	p, err := v.Control.Pipeline(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	return v.cloneForm(p, components.Form{Values: url.Values{"name": {p.Name + "-copy"}, "target_schema": {"copy"}}})
}

func (v *visit) cloneForm(p model.Pipeline, f components.Form) error {
	return v.confirm(pipelinePage(p, "Clone"), components.Confirm{
		Title: "Clone " + p.Name, Text: "The copy has the same ends, tables, transforms and settings, and is paused.",
		Consequences: []string{"It shares no watermark: its first run reads everything.", "It writes into a schema of its own."},
		Action:       "/pipelines/" + p.ID + "/clone", Submit: "Make the copy", Back: "/pipelines/" + p.ID, Form: f, Extra: pages.Clone(f),
	})
}

// pipelineClone makes a copy of a pipeline, paused.
func pipelineClone(v *visit) error {
	p, err := v.Control.Pipeline(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	scripts, _, err := v.Control.ListScripts(v.ctx, p.ID, control.Page{Limit: maxChoices})
	if err != nil {
		return err
	}
	schema := v.value("target_schema")
	choices := choicesOf(p)
	for i := range choices {
		choices[i].TargetSchema = &schema
	}
	clone, err := v.Control.AddPipeline(v.ctx, control.PipelineInput{
		Name: v.value("name"), Source: p.SourceID, Destination: p.DestinationID, Choices: choices, TargetSchema: schema, LoadMode: p.LoadMode,
		Schedule: p.Schedule, DependsOn: p.DependsOn, MaxRetries: &p.MaxRetries, TimeoutSeconds: &p.TimeoutSeconds, Options: p.Options,
	})
	if err != nil {
		f, ok := v.form(err)
		if !ok {
			return err
		}
		return v.cloneForm(p, f)
	}
	if _, err := v.Control.PausePipeline(v.ctx, clone.ID); err != nil {
		return err
	}
	for _, s := range scripts {
		if _, err := v.Control.AddScript(v.ctx, clone.ID, control.ScriptInput{Name: &s.Name, Description: &s.Description, Content: &s.Content}); err != nil {
			return err
		}
	}
	return v.done("/pipelines/"+clone.ID, "The copy is made and paused.")
}

// choicesOf are the tables of a pipeline as they are, to be changed or copied.
func choicesOf(p model.Pipeline) []control.TableChoice {
	list := make([]control.TableChoice, len(p.Tables))
	for i, t := range p.Tables {
		list[i] = control.TableChoice{
			Schema: t.SourceSchema, Name: t.SourceTable, TargetSchema: &t.TargetSchema, LoadMode: &t.LoadMode, SyncMode: &t.SyncMode, WatermarkColumn: &t.WatermarkColumn,
			TargetTable: &t.TargetTable, KeyColumns: &t.KeyColumns, LookbackSeconds: &t.LookbackSeconds, SoftDeleteColumn: &t.SoftDeleteColumn,
			SoftDelete: &t.SoftDelete, Deletes: &t.Deletes, Transform: &t.TransformConfig, Enabled: &t.Enabled,
		}
	}
	return list
}
