package web

import "arus/views/components"

// runCancelPage asks whether a run is to be cancelled.
func runCancelPage(v *visit) error {
	run, err := v.Control.GetRun(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	return v.confirm(page{title: "Cancel a run", crumbs: []components.Link{{Label: "Runs", Href: "/runs"}}}, components.Confirm{
		Title: "Cancel this run?", Text: "It ends within five seconds.",
		Consequences: []string{"Tables that are done keep their rows and their progress.", "Of a table that is not done nothing is kept but finished chunks.", "It can be retried later."},
		Action:       "/runs/" + run.ID + "/cancel", Submit: "Cancel the run", Back: "/runs/" + run.ID, Danger: true,
	})
}

// runCancel ends a run.
func runCancel(v *visit) error {
	if err := v.Control.CancelRun(v.ctx, v.path("id")); err != nil {
		return err
	}
	return v.done("/runs/"+v.path("id"), "The run is being cancelled.")
}
