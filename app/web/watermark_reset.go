package web

import "arus/views/components"

// watermarkResetPage asks whether a table, or every one, is to be read from the
// beginning, and says from where it would have been.
func watermarkResetPage(v *visit) error {
	p, err := v.Control.Pipeline(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	marks, err := v.Control.Watermarks(v.ctx, p.ID)
	if err != nil {
		return err
	}
	table := v.query("table")
	back := "/pipelines/" + p.ID + "/watermarks"
	c := components.Confirm{
		Title: "Read from the beginning?", Text: "The next run reads these tables as a whole.", Action: back + "/reset", Submit: "Reset", Back: back, Danger: true,
		Fields: []components.Pair{{Key: "table", Value: table}}, Consequences: []string{"What is in the targets stays readable until the new rows are complete."},
	}
	for _, m := range marks {
		if (table == "" || table == m.SourceTable) && m.Value != "" {
			c.Consequences = append(c.Consequences, m.SourceTable+" would otherwise go on from "+m.Column+" = "+m.Value+".")
		}
	}
	if n := len(c.Consequences); n > 21 {
		c.Consequences = append(c.Consequences[:21], "And "+components.Plural(n-21, "table")+" more.")
	}
	return v.confirm(pipelinePage(p, "Reset watermarks"), c)
}

// watermarkReset lets the next run read from the beginning.
func watermarkReset(v *visit) error {
	if err := v.Control.ResetWatermark(v.ctx, v.path("id"), v.value("table")); err != nil {
		return err
	}
	return v.done("/pipelines/"+v.path("id")+"/watermarks", "The next run reads from the beginning.")
}
