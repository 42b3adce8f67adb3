package web

import (
	"arus/app/control"
	"arus/app/model"
	"arus/views/components"
	"arus/views/pages"
)

// pipelineList is every pipeline.
func pipelineList(v *visit) error {
	list := v.list()
	list.Query.Del("part")
	f := control.PipelineFilter{
		Name: list.Filter("q"), SourceID: list.Filter("source"), DestinationID: list.Filter("destination"),
		Status: model.PipelineStatus(list.Filter("status")), Page: listPage(list),
	}
	if f.Status == "failing" {
		f.Status, f.Failing = "", true
	}
	pipelines, total, err := v.Control.Overviews(v.ctx, f)
	if err != nil {
		return err
	}
	list.Total = total
	view := pages.PipelinesView{List: list, Live: partOf(list, "list"), Back: list.AtPage(list.Page)}
	for _, o := range pipelines {
		view.Pipelines = append(view.Pipelines, v.pipelineRow(o))
	}
	if v.query("part") == "list" {
		return v.fragment(pages.PipelineList(view))
	}
	if view.Sources, view.Destinations, err = v.endOptions(); err != nil {
		return err
	}
	return v.show(page{title: "Pipelines"}, pages.Pipelines(view))
}

// maxChoices is how many ends a select offers.
const maxChoices = 500

// endOptions are the sources and destinations to choose from.
func (v *visit) endOptions() (sources, destinations []components.Option, err error) {
	from, _, err := v.Control.ListSources(v.ctx, maxChoices, 0)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range from {
		sources = append(sources, components.Option{Value: s.ID, Label: s.Name})
	}
	to, _, err := v.Control.ListDestinations(v.ctx, maxChoices, 0)
	for _, d := range to {
		destinations = append(destinations, components.Option{Value: d.ID, Label: d.Name})
	}
	return sources, destinations, err
}

func (v *visit) pipelineRow(o control.Overview) pages.PipelineRow {
	row := pages.PipelineRow{
		ID: o.ID, Name: o.Name, Status: string(o.Status), Source: o.SourceName, SourceType: string(o.SourceType), Destination: o.DestinationName,
		DestinationType: string(o.DestinationType), Schedule: scheduleWords(o.Schedule), Rows: o.Figures.Rows,
	}
	for _, t := range o.Tables {
		if t.Enabled {
			row.Tables++
		}
	}
	if o.LastRun != nil {
		row.LastRun, row.LastStatus, row.LastAt = o.LastRun.ID, string(o.LastRun.Status), o.LastRun.StartedAt
	}
	if o.Status == model.PipelineActive && o.Schedule != "" {
		if next, err := v.Control.NextTimes(v.ctx, o.Schedule, o.Options.Timezone, 1); err == nil && len(next) > 0 {
			row.NextAt = next[0]
		}
	}
	return row
}
