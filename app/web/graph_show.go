package web

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"arus/app/control"
	"arus/app/model"
	"arus/views/components"
	"arus/views/pages"
)

// How much of everything the graph draws: pipelines, tables that open by
// themselves, and tables of one pipeline.
const (
	graphPipelines = 200
	graphOpen      = 60
	graphTables    = 100
)

// graphShow draws what flows from where to where.
func graphShow(v *visit) error {
	list := v.list()
	for _, name := range []string{"part", "open", "show", "table"} {
		list.Query.Del(name)
	}
	f := control.PipelineFilter{
		Name: list.Filter("q"), SourceID: list.Filter("source"), DestinationID: list.Filter("destination"), Status: model.PipelineStatus(list.Filter("status")),
		Page: control.Page{Limit: graphPipelines},
	}
	if f.Status == "failing" {
		f.Status, f.Failing = "", true
	}
	pipelines, total, err := v.Control.Overviews(v.ctx, f)
	if err != nil {
		return err
	}
	g := &graph{visit: v, pipelines: pipelines, list: list, open: map[string]bool{}, flows: map[string]control.Flow{}}
	if err := g.read(); err != nil {
		return err
	}
	if v.query("part") == "details" {
		details, err := g.details()
		if err != nil {
			return err
		}
		return v.fragment(pages.GraphDetails(details))
	}
	view := pages.GraphView{List: list, Total: total, Shown: len(pipelines), Drawing: g.draw(), Live: g.address("part", "drawing")}
	if v.query("part") == "drawing" {
		return v.fragment(pages.GraphDrawing(view))
	}
	view.Groups = g.words()
	if v.query("show") != "" {
		details, err := g.details()
		if err != nil {
			return err
		}
		view.Details = &details
	}
	if view.Sources, view.Destinations, err = v.endOptions(); err != nil {
		return err
	}
	return v.show(page{title: "Graph", script: []string{"graph.js"}}, pages.Graph(view))
}

// graph is the drawing while it is made.
type graph struct {
	*visit
	pipelines []control.Overview
	list      components.List
	open      map[string]bool // pipelines whose tables are drawn
	chosen    bool            // the address says which
	flows     map[string]control.Flow
}

// read decides which pipelines show their tables, and reads these.
func (g *graph) read() error {
	if text, ok := g.r.URL.Query()["open"]; ok {
		g.chosen = true
		for id := range strings.SplitSeq(text[0], ",") {
			g.open[id] = true
		}
	} else {
		n := 0
		for _, p := range g.pipelines {
			n += len(p.Tables)
		}
		for _, p := range g.pipelines {
			g.open[p.ID] = n <= graphOpen
		}
	}
	for _, p := range g.pipelines {
		if !g.open[p.ID] {
			continue
		}
		f, err := g.Control.Flow(g.ctx, p)
		if err != nil {
			return err
		}
		g.flows[p.ID] = f
	}
	return nil
}

// address is the graph's with one thing set.
func (g *graph) address(name, value string) string {
	q := url.Values{}
	maps.Copy(q, g.list.Query)
	if g.chosen {
		q.Set("open", g.opened(""))
	}
	q.Set(name, value)
	return "/graph?" + q.Encode()
}

// opened lists the open pipelines, with one the other way round.
func (g *graph) opened(but string) string {
	var ids []string
	for _, p := range g.pipelines {
		if g.open[p.ID] != (p.ID == but) {
			ids = append(ids, p.ID)
		}
	}
	return strings.Join(ids, ",")
}

// The sizes of the drawing.
const (
	endWidth   = 190.0
	endHeight  = 58.0
	groupWidth = 520.0
	rowHeight  = 28.0
	tableLine  = 24.0
	groupPad   = 8.0
)

// group is the pipelines that lead from one source to one destination, as many
// steps after pipelines they depend on.
type graphGroup struct {
	source, destination string
	depth               int
	members             []control.Overview
}

// draw places everything.
func (g *graph) draw() pages.Drawing {
	groups := g.groups()
	var boxes []graphBox
	var edges [][2]int
	ends := map[string]int{} // by id of the source or destination
	var d pages.Drawing
	var nodes []pages.GraphNode
	end := func(id, name, kind, href string, source bool) int {
		at, ok := ends[id]
		if !ok {
			at = len(boxes)
			ends[id] = at
			boxes = append(boxes, graphBox{width: endWidth, height: endHeight})
			nodes = append(nodes, pages.GraphNode{Kind: "end", Title: cutText(name, 24), Full: name, Note: components.DatabaseName(kind), Source: source, Href: href, Width: endWidth, Height: endHeight})
		}
		return at
	}
	at := map[string][2]int{} // pipeline: box and row
	for _, group := range groups {
		first := group.members[0]
		from := end("source:"+group.source, first.SourceName, string(first.SourceType), g.endLink("/sources/", group.source), true)
		to := end("destination:"+group.destination, first.DestinationName, string(first.DestinationType), g.endLink("/destinations/", group.destination), false)
		node := pages.GraphNode{Kind: "group", Width: groupWidth}
		box := len(boxes)
		y := groupPad
		for i, p := range group.members {
			at[p.ID] = [2]int{box, i}
			row := g.row(p, y)
			y += row.Height
			node.Rows = append(node.Rows, row)
		}
		node.Height = y + groupPad
		boxes = append(boxes, graphBox{width: groupWidth, height: node.Height})
		nodes = append(nodes, node)
		edges = append(edges, [2]int{from, box}, [2]int{box, to})
	}
	plain := len(edges)
	for _, p := range g.pipelines {
		if up, ok := at[p.DependsOn]; ok && p.DependsOn != "" {
			edges = append(edges, [2]int{up[0], at[p.ID][0]})
		}
	}
	d.Width, d.Height = layOut(boxes, edges)
	for i := range nodes {
		nodes[i].X, nodes[i].Y = boxes[i].x, boxes[i].y
	}
	for _, e := range edges[:plain] {
		a, b := boxes[e[0]], boxes[e[1]]
		d.Edges = append(d.Edges, pages.GraphEdge{Kind: "flow", Path: curve(a.x+a.width, a.y+a.height/2, b.x, b.y+b.height/2)})
	}
	for _, p := range g.pipelines {
		up, ok := at[p.DependsOn]
		if !ok || p.DependsOn == "" {
			continue
		}
		here := at[p.ID]
		a, b := nodes[up[0]], nodes[here[0]]
		y1, y2 := a.Y+a.Rows[up[1]].Y+rowHeight/2, b.Y+b.Rows[here[1]].Y+rowHeight/2
		path := curve(a.X+a.Width, y1, b.X, y2)
		if b.X < a.X+a.Width { // beside or before it: around the left side
			path = fmt.Sprintf("M%.0f %.0f C%.0f %.0f %.0f %.0f %.0f %.0f", a.X, y1, min(a.X, b.X)-50, y1, min(a.X, b.X)-50, y2, b.X, y2)
		}
		d.Edges = append(d.Edges, pages.GraphEdge{Kind: "depends", Path: path})
	}
	d.Nodes = nodes
	return d
}

// curve leads from the right side of a box to the left side of another.
func curve(x1, y1, x2, y2 float64) string {
	mid := (x1 + x2) / 2
	return fmt.Sprintf("M%.0f %.0f C%.0f %.0f %.0f %.0f %.0f %.0f", x1, y1, mid, y1, mid, y2, x2, y2)
}

// groups puts the pipelines together that lead the same way, the worst first.
func (g *graph) groups() []*graphGroup {
	by := map[string]control.Overview{}
	for _, p := range g.pipelines {
		by[p.ID] = p
	}
	depth := func(p control.Overview) int {
		n := 0
		for seen := map[string]bool{}; p.DependsOn != "" && !seen[p.ID]; n++ {
			seen[p.ID] = true
			up, ok := by[p.DependsOn]
			if !ok {
				break
			}
			p = up
		}
		return n
	}
	var list []*graphGroup
	found := map[string]*graphGroup{}
	for _, p := range g.pipelines {
		n := depth(p)
		key := fmt.Sprintf("%s %s %d", p.SourceID, p.DestinationID, n)
		group := found[key]
		if group == nil {
			group = &graphGroup{source: p.SourceID, destination: p.DestinationID, depth: n}
			found[key] = group
			list = append(list, group)
		}
		group.members = append(group.members, p)
	}
	for _, group := range list {
		slices.SortStableFunc(group.members, func(a, b control.Overview) int {
			return cmp.Or(cmp.Compare(flowRank(a), flowRank(b)), cmp.Compare(a.Name, b.Name))
		})
	}
	return list
}

// flowStatus is a pipeline's state in one word.
func flowStatus(p control.Overview) string {
	switch {
	case p.LastRun != nil && p.LastRun.Status == model.RunRunning:
		return "running"
	case p.Queued:
		return "queued"
	case p.LastRun != nil && p.LastRun.Status == model.RunFailed:
		return "failed"
	case p.Status != model.PipelineActive:
		return string(p.Status)
	case p.LastRun == nil:
		return control.AssetNotStarted
	}
	return string(p.LastRun.Status)
}

// flowRank orders pipelines: what failed, what goes on, and the rest.
func flowRank(p control.Overview) int {
	switch flowStatus(p) {
	case "failed":
		return 0
	case "running", "queued":
		return 1
	}
	return 2
}

// row is a pipeline in its group, with its tables where they are open.
func (g *graph) row(p control.Overview, y float64) pages.GraphRow {
	row := pages.GraphRow{
		Y: y, Height: rowHeight, Name: cutText(p.Name, 40), Full: p.Name, Status: flowStatus(p), Open: g.open[p.ID], Tables: enabledTables(p),
		Details: g.address("show", p.ID),
	}
	toggle := url.Values{}
	maps.Copy(toggle, g.list.Query)
	toggle.Set("open", g.opened(p.ID))
	row.Toggle = "/graph?" + toggle.Encode()
	flow, ok := g.flows[p.ID]
	if !ok {
		return row
	}
	lines := map[string]int{} // by table
	left := map[string]bool{}
	for _, a := range flow.Assets {
		at, ok := lines[a.Table]
		if !ok && len(row.Lines) == graphTables {
			left[a.Table] = true
			continue
		}
		if !ok {
			at = len(row.Lines)
			lines[a.Table] = at
			row.Lines = append(row.Lines, pages.GraphTable{Y: row.Height, Status: a.Status, Details: g.address("show", p.ID) + "&table=" + url.QueryEscape(a.Table)})
			row.Height += tableLine
		}
		line := &row.Lines[at]
		switch a.Layer {
		case "source":
			line.From, line.Full = cutText(a.Name, 22), a.Table
		case "raw":
			line.Raw = cutText(a.Name, 18)
		case "target":
			line.To = cutText(a.Schema+"."+a.Name, 26)
			line.Full += " to " + a.Schema + "." + a.Name
		}
	}
	row.More = len(left)
	if row.More > 0 {
		row.Height += tableLine
	}
	if len(row.Lines) > 0 {
		row.Height += 6
	}
	return row
}

func enabledTables(p control.Overview) int {
	n := 0
	for _, t := range p.Tables {
		if t.Enabled {
			n++
		}
	}
	return n
}

// cutText cuts a text to so many letters.
func cutText(text string, n int) string {
	letters := []rune(text)
	if len(letters) <= n {
		return text
	}
	return string(letters[:n-1]) + "…"
}

func (g *graph) endLink(path, id string) string {
	if g.has(path + "{id}") {
		return path + id
	}
	return ""
}

// words is the same as a list, for those who do not see the drawing.
func (g *graph) words() []pages.GraphGroup {
	var list []pages.GraphGroup
	names := map[string]string{}
	for _, p := range g.pipelines {
		names[p.ID] = p.Name
	}
	for _, group := range g.groups() {
		out := pages.GraphGroup{From: group.members[0].SourceName, To: group.members[0].DestinationName}
		for _, p := range group.members {
			item := pages.GraphItem{Name: p.Name, Href: "/pipelines/" + p.ID, Status: flowStatus(p), Tables: enabledTables(p), After: names[p.DependsOn]}
			for _, a := range g.flows[p.ID].Assets {
				if a.Layer == "target" {
					item.Lines = append(item.Lines, pages.GraphLine{Table: a.Table, Target: a.Schema + "." + a.Name, Status: a.Status})
				}
			}
			out.Items = append(out.Items, item)
		}
		list = append(list, out)
	}
	return list
}

// details say more of a pipeline, or of one of its tables.
func (g *graph) details() (pages.GraphDetail, error) {
	o, err := g.Control.Overview(g.ctx, g.query("show"))
	if err != nil {
		return pages.GraphDetail{}, err
	}
	table := g.query("table")
	d := pages.GraphDetail{
		Name: o.Name, Href: "/pipelines/" + o.ID, Status: flowStatus(o), From: o.SourceName, To: o.DestinationName, Tables: enabledTables(o),
		Schedule: scheduleWords(o.Schedule), Rows: o.Figures.Rows, LastSuccess: o.Figures.LastSuccess, Close: g.address("show", ""),
	}
	names, err := g.Control.PipelineNames(g.ctx)
	if err != nil {
		return d, err
	}
	if o.DependsOn != "" {
		d.Before = append(d.Before, components.Link{Label: names[o.DependsOn], Href: "/pipelines/" + o.DependsOn})
	}
	for _, p := range g.pipelines {
		if p.DependsOn == o.ID {
			d.After = append(d.After, components.Link{Label: p.Name, Href: "/pipelines/" + p.ID})
		}
	}
	if table != "" {
		flow, err := g.Control.Flow(g.ctx, o)
		if err != nil {
			return d, err
		}
		if !slices.ContainsFunc(flow.Assets, func(a control.Asset) bool { return a.Table == table }) {
			return d, control.ErrNotFound
		}
		d.Table = table
		for _, a := range flow.Assets {
			if a.Table != table {
				continue
			}
			d.Status = a.Status
			name := a.Schema + "." + a.Name
			if a.Schema == "" || a.Layer == "source" && a.Schema == model.UnsetSchema {
				name = a.Name
			}
			d.Layers = append(d.Layers, pages.GraphLayer{Layer: a.Layer, Name: name, Kind: components.DatabaseName(a.Type)})
			if a.Last != nil {
				d.Mode, d.Rows, d.Took = string(a.Last.Mode), max(a.Last.RowsLoadedAnalytics, a.Last.RowsLoadedRaw), time.Duration(a.Last.DurationMS)*time.Millisecond
				d.Error, _ = splitHint(a.Last.ErrorMessage)
			}
		}
	}
	runs, _, err := g.Control.ListRuns(g.ctx, control.RunFilter{Pipeline: o.ID, Table: table, Page: control.Page{Limit: 5}})
	if err != nil {
		return d, err
	}
	d.Runs = g.runRows(runs, nil)
	return d, nil
}
