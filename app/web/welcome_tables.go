package web

import (
	"net/http"
	"net/url"

	"arus/app/control"
	"arus/connectors"
	"arus/views/components"
	"arus/views/pages"
)

// welcomeTablesPage is where tables are ticked: a page of them at a time, the
// ticks of all pages being kept in the draft.
func welcomeTablesPage(v *visit) error {
	w, err := v.wizard()
	if err != nil {
		return err
	}
	if w.source.id == "" || w.target.id == "" {
		return v.redirect(w.next(), components.Flash{})
	}
	return v.welcomeTables(http.StatusOK, w, "")
}

func (v *visit) welcomeTables(status int, w wizard, fault string) error {
	catalogue, err := v.Control.Catalogue(v.ctx, w.source.id)
	if err != nil {
		return err
	}
	copied, err := v.Control.CopiedTables(v.ctx, w.source.id)
	if err != nil {
		return err
	}
	list := v.list()
	list.Path = stepTables
	if v.query("size") == "" {
		list.Size = components.Sizes()[1]
	}
	picked := pickedTables(w.draft)
	tables := v.matching(catalogue, list, picked)
	sortTables(tables, list)
	list.Total = len(tables)
	view := pages.WelcomeTablesView{
		Head: w.head(stepTables), List: list, Here: list.AtPage(list.Page), Fault: fault, Seen: catalogue.At, All: len(catalogue.Tables), Matching: len(tables),
		Picked: pickedSum(catalogue, picked),
	}
	for _, t := range onPage(tables, list) {
		row := pages.PickTable{FoundTable: foundTable(t), ID: tableID(t.TableRef), Picked: picked[tableID(t.TableRef)]}
		row.Copied = copied[tableKey(t)]
		view.Tables = append(view.Tables, row)
	}
	return v.showAs(status, wizardPage(), pages.WelcomeTables(view))
}

// matching are the tables that the filters of a list let through.
func (v *visit) matching(c control.Catalogue, l components.List, picked map[string]bool) []connectors.Table {
	show := l.Filter("show")
	switch show {
	case "picked":
		show = "copied"
	case "left":
		show = "other"
	case "copied", "other":
		show = ""
	}
	return filterTables(c.Tables, l.Filter("q"), show, func(t connectors.Table) bool { return picked[tableID(t.TableRef)] })
}

func pickedTables(d control.Draft) map[string]bool {
	picked := make(map[string]bool, len(d.Tables))
	for _, t := range d.Tables {
		picked[tableID(t)] = true
	}
	return picked
}

// pickedSum is how many tables are ticked and how many rows these have.
func pickedSum(c control.Catalogue, picked map[string]bool) pages.PickedView {
	sum := pages.PickedView{All: len(c.Tables)}
	for _, t := range c.Tables {
		if !picked[tableID(t.TableRef)] {
			continue
		}
		sum.Tables++
		if t.RowEstimate < 0 {
			sum.Unknown++
		} else {
			sum.Rows += t.RowEstimate
		}
		sum.Bytes += max(t.Bytes, 0)
	}
	return sum
}

// welcomeTables keeps the ticks of the page; do says what else: all or none of
// the tables that match, or to go on.
func welcomeTables(v *visit) error {
	w, err := v.wizard()
	if err != nil {
		return err
	}
	if w.source.id == "" || w.target.id == "" {
		return v.redirect(w.next(), components.Flash{})
	}
	catalogue, err := v.Control.Catalogue(v.ctx, w.source.id)
	if err != nil {
		return err
	}
	list := v.list()
	do := v.value("do")
	w.draft, err = v.Control.ChangeDraft(v.ctx, func(d *control.Draft) {
		picked := pickedTables(*d)
		set := func(id string, on bool) {
			if delete(picked, id); on {
				picked[id] = true
			}
		}
		if do == "all" || do == "none" {
			for _, t := range v.matching(catalogue, list, picked) {
				set(tableID(t.TableRef), do == "all")
			}
		} else {
			for _, id := range v.r.PostForm["shown"] {
				set(id, false)
			}
			for _, id := range v.r.PostForm["table"] {
				set(id, true)
			}
		}
		d.Tables, d.Picked = nil, true
		for _, t := range catalogue.Tables {
			if picked[tableID(t.TableRef)] {
				d.Tables = append(d.Tables, t.TableRef)
			}
		}
	})
	if err != nil {
		return err
	}
	switch {
	case v.partial():
		return v.fragment(pages.Picked(pickedSum(catalogue, pickedTables(w.draft))))
	case do == "next" && len(w.draft.Tables) == 0:
		return v.welcomeTables(http.StatusUnprocessableEntity, w, "Tick at least one table.")
	case do == "next":
		return v.redirect(stepSchedule, components.Flash{})
	}
	to := url.URL{Path: stepTables, RawQuery: v.r.URL.RawQuery}
	return v.redirect(to.String(), components.Flash{})
}
