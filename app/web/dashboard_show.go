package web

import (
	"arus/views/pages"
)

// dashboardShow is the first page.
func dashboardShow(v *visit) error {
	sum, err := v.Control.Summarize(v.ctx)
	if err != nil {
		return err
	}
	return v.show(page{title: "Dashboard"}, pages.Dashboard(pages.DashboardView{Pipelines: sum.TotalPipelines, Failing: sum.DegradedPipelines}))
}
