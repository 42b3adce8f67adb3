package web

import (
	"arus/app/engine"
	"arus/views/components"
)

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
	known := map[string]int64{} // rows, as far as the source is known
	if found, err := v.Control.Catalogue(v.ctx, p.SourceID); err == nil {
		for _, t := range found.Tables {
			for _, cfg := range p.Tables {
				if engine.Matches(cfg, t) && t.RowEstimate >= 0 {
					known[cfg.Key()] = t.RowEstimate
				}
			}
		}
	}
	for _, m := range marks {
		if table != "" && table != m.SourceTable {
			continue
		}
		text := "read as a whole"
		if rows, ok := known[m.SourceTable]; ok {
			text += ": about " + components.Plural(rows, "row")
		}
		if m.Value != "" {
			text += "; it would otherwise go on from " + m.Column + " = " + m.Value
		}
		c.Consequences = append(c.Consequences, m.SourceTable+": "+text+".")
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
