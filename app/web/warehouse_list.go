package web

import (
	"strings"

	"arus/views/components"
	"arus/views/pages"
)

// tableKind is what a table is called.
func tableKind(fact bool) string {
	if fact {
		return "fact"
	}
	return "dimension"
}

// warehouseList is the tables of the built-in warehouse. Only those of the page
// are looked at, unless a kind is asked for, which nobody knows before.
func warehouseList(v *visit) error {
	list := v.list()
	list.Query.Del("part")
	names, err := v.Control.WarehouseTables(v.ctx)
	if err != nil {
		return err
	}
	last, err := v.Control.LastTableJobs(v.ctx)
	if err != nil {
		return err
	}
	kind, q := list.Filter("kind"), strings.ToLower(list.Filter("q"))
	view := pages.WarehouseView{}
	var lines []pages.TableLine
	for _, name := range names {
		if !strings.Contains(strings.ToLower(name), q) {
			continue
		}
		line := pages.TableLine{Name: name}
		if kind != "" || len(lines) >= list.Offset() && len(lines) < list.Offset()+list.Size {
			v.tableLine(&line)
		}
		if kind != "" && line.Kind != kind {
			continue
		}
		if job, ok := last[name]; ok {
			line.Job, line.JobAt, line.JobError = job.Job, job.At, job.Error
		}
		lines = append(lines, line)
	}
	list.Total = len(lines)
	view.List = list
	view.Tables = lines[min(list.Offset(), len(lines)):min(list.Offset()+list.Size, len(lines))]
	if v.query("part") == "list" {
		return v.fragment(pages.WarehouseList(view))
	}
	views, err := v.Control.WarehouseViews(v.ctx)
	if err != nil {
		return err
	}
	for _, w := range views {
		view.Views = append(view.Views, w.Name)
	}
	return v.show(page{title: "Warehouse"}, pages.Warehouse(view))
}

// tableLine fills in what a look at a table says. One that cannot be read has
// its fault in its line.
func (v *visit) tableLine(line *pages.TableLine) {
	d, err := v.Control.DescribeTable(v.ctx, line.Name)
	if err != nil {
		line.Fault = err.Error()
		return
	}
	line.Kind, line.Rows, line.Bytes, line.Days = tableKind(d.Table.IsFactTable), d.Rows(), d.Bytes(), len(d.Days)
	for _, c := range d.Table.Columns {
		if !c.Deleted {
			line.Columns++
		}
	}
}

// tablePage is what surrounds a page of a table.
func tablePage(name, title string) page {
	p := page{title: title, crumbs: []components.Link{{Label: "Warehouse", Href: "/warehouse"}}}
	if title != name {
		p.crumbs = append(p.crumbs, components.Link{Label: name, Href: "/warehouse/" + name})
	}
	return p
}
