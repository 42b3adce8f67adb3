package web

import (
	"bytes"
	"encoding/json"
	"fmt"

	"arus/app/control"
	"arus/app/model"
	"arus/views/components"
	"arus/views/pages"
)

// letterList are the dead letters of a pipeline.
func letterList(v *visit) error {
	list := v.list()
	o, err := v.Control.Overview(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	head, surround := v.pipelineHead(o, "/dead-letters")
	view := pages.LettersView{Head: head, Tables: tableOptions(o.Pipeline)}
	letters, total, err := v.Control.ListLetters(v.ctx, control.LetterFilter{Pipeline: o.ID, Table: list.Filter("table"), RunID: list.Filter("run"), Page: listPage(list)})
	if err != nil {
		return err
	}
	list.Total = total
	view.List = list
	view.Which = []components.Pair{{Key: "table", Value: list.Filter("table")}, {Key: "run", Value: list.Filter("run")}}
	for _, l := range letters {
		view.Letters = append(view.Letters, pages.DeadLetter{ID: l.ID, Table: l.Table, Reason: l.Reason, Row: indented(l.Row), RunID: l.RunID, At: l.FailedAt})
	}
	return v.show(surround, pages.DeadLetters(view))
}

// indented writes JSON for reading; what is none stays as it is.
func indented(text []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, text, "", "  ") != nil {
		return string(text)
	}
	return b.String()
}

func tableOptions(p model.Pipeline) []components.Option {
	list := make([]components.Option, len(p.Tables))
	for i, t := range p.Tables {
		list[i] = components.Option{Value: t.Key(), Label: t.Key()}
	}
	return list
}

// letterDecide retries or drops dead letters: those that were ticked, or all
// that the filters select. Dropping is asked about first.
func letterDecide(v *visit) error {
	p, err := v.Control.Pipeline(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	back := "/pipelines/" + p.ID + "/dead-letters"
	f := control.LetterFilter{Pipeline: p.ID, Table: v.value("table"), RunID: v.value("run"), IDs: v.r.PostForm["letter"]}
	action := v.value("do")
	switch {
	case action == "retry-all" || action == "drop-all":
		f.IDs = nil
	case len(f.IDs) == 0:
		return v.redirect(back, components.Flash{Kind: "warning", Text: "Nothing was done: tick the letters first."})
	}
	switch action {
	case "retry", "retry-all":
		started, err := v.Control.StartLetters(v.ctx, f)
		if err != nil {
			return err
		}
		return v.done("/runs/"+started.RunID, "The dead letters are loaded again. Those that come through are gone afterwards.")
	case "drop", "drop-all":
		if v.value("sure") == "" {
			return v.letterDropPage(p, f, action)
		}
		n, err := v.Control.DropLetters(v.ctx, f)
		if err != nil {
			return err
		}
		return v.done(back, fmt.Sprintf("%s dropped.", components.Plural(n, "dead letter")))
	}
	return &control.InvalidError{What: "the request", Faults: []model.FieldError{{Field: "do", Message: "must be retry or drop"}}}
}

func (v *visit) letterDropPage(p model.Pipeline, f control.LetterFilter, action string) error {
	back := "/pipelines/" + p.ID + "/dead-letters"
	fields := []components.Pair{{Key: "do", Value: action}, {Key: "sure", Value: "yes"}, {Key: "table", Value: f.Table}, {Key: "run", Value: f.RunID}}
	what := "All dead letters of " + p.Name
	if f.Table != "" {
		what += ", table " + f.Table
	}
	if f.RunID != "" {
		what += ", run " + f.RunID
	}
	if len(f.IDs) > 0 {
		what = components.Plural(len(f.IDs), "dead letter") + " of " + p.Name
		for _, id := range f.IDs {
			fields = append(fields, components.Pair{Key: "letter", Value: id})
		}
	}
	return v.confirm(pipelinePage(p, "Drop dead letters"), components.Confirm{
		Title: "Drop dead letters?", Text: what + " are deleted for good.",
		Consequences: []string{"The rows are not in the target and cannot be retried afterwards.", "The source still has them, unless they changed."},
		Action:       back, Submit: "Drop them", Back: back, Danger: true, Fields: fields,
	})
}
