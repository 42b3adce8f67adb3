package web

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"time"

	"arus/app/control"
	"arus/app/engine"
	"arus/app/model"
)

// letterExport is every dead letter that the filters select as a file: CSV, or
// a JSON object a line.
func letterExport(v *visit) error {
	p, err := v.Control.Pipeline(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	format := v.query("format")
	var begin func(*bufio.Writer) func(engine.Letter) error
	switch format {
	case "csv":
		begin = lettersCSV
	case "ndjson":
		begin = lettersNDJSON
	default:
		return &control.InvalidError{What: "the export", Faults: []model.FieldError{{Field: "format", Message: "must be csv or ndjson"}}}
	}
	var out *bufio.Writer
	var write func(engine.Letter) error
	start := func() { // once it is known that they can be read
		kind := map[string]string{"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson"}[format]
		v.w.Header().Set("Content-Type", kind)
		v.w.Header().Set("Content-Disposition", `attachment; filename="dead-letters.`+format+`"`)
		out = bufio.NewWriter(v.w)
		write = begin(out)
	}
	err = v.Control.EachLetter(v.ctx, control.LetterFilter{Pipeline: p.ID, Table: v.query("table"), RunID: v.query("run")}, func(l engine.Letter) error {
		if out == nil {
			start()
		}
		return write(l)
	})
	switch {
	case err != nil && out == nil:
		return err
	case err != nil:
		v.Log.ErrorContext(v.ctx, "a download ended early", "pipeline", p.Name, "error", err)
		panic(http.ErrAbortHandler) // half a file must not look like a whole one
	case out == nil:
		start()
	}
	_ = out.Flush() // the browser is gone
	return nil
}

func lettersCSV(out *bufio.Writer) func(engine.Letter) error {
	w := csv.NewWriter(out)
	_ = w.Write([]string{"id", "table", "failed_at", "run_id", "reason", "row"}) // an error stays
	w.Flush()
	return func(l engine.Letter) error {
		_ = w.Write([]string{l.ID, l.Table, l.FailedAt.UTC().Format(time.RFC3339Nano), l.RunID, l.Reason, string(l.Row)})
		w.Flush()
		return w.Error()
	}
}

func lettersNDJSON(out *bufio.Writer) func(engine.Letter) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	return func(l engine.Letter) error {
		row := json.RawMessage(l.Row)
		if !json.Valid(row) {
			row = quoted(string(l.Row))
		}
		return e.Encode(struct {
			ID       string          `json:"id"`
			Table    string          `json:"table"`
			FailedAt time.Time       `json:"failed_at"`
			RunID    string          `json:"run_id"`
			Reason   string          `json:"reason"`
			Row      json.RawMessage `json:"row"`
		}{l.ID, l.Table, l.FailedAt.UTC(), l.RunID, l.Reason, row})
	}
}
