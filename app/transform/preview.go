package transform

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// Preview is what the steps do to some rows, one after the other.
type Preview struct {
	Columns []PreviewColumn `json:"columns"`
	Rows    []PreviewRow    `json:"rows"`
	Steps   []PreviewStep   `json:"steps"`
}

// PreviewStep is what one step left of the rows before it.
type PreviewStep struct {
	Step    int             `json:"step"` // from 1
	Type    string          `json:"type"`
	Columns []PreviewColumn `json:"columns"`
	Rows    []PreviewRow    `json:"rows"`
	Dropped []int           `json:"dropped,omitempty"` // source rows
	Failed  []PreviewFault  `json:"failed,omitempty"`
	Printed []string        `json:"printed,omitempty"`
	Took    time.Duration   `json:"took_ns"`
}

// PreviewColumn is a column with its type in words.
type PreviewColumn struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// PreviewRow is a row as exact JSON, with its place among the source's rows.
type PreviewRow struct {
	Source int             `json:"source"`
	Data   json.RawMessage `json:"data"`
}

// PreviewFault is a source row on which a step failed.
type PreviewFault struct {
	Source int    `json:"source"`
	Reason string `json:"reason"`
}

// Preview carries a batch through the steps and shows every one of them. The
// plan is used up by it: what it remembers is of these rows. When a step ends
// the table, the steps before it are shown with the error.
func (p *Plan) Preview(ctx context.Context, batch arrow.RecordBatch) (Preview, error) {
	f := newFrame(batch)
	defer func() { f.release() }()
	view := Preview{Columns: previewColumns(p.in), Rows: previewRows(f, p.in)}
	for i := 0; i < len(p.steps); i++ {
		s := p.steps[i]
		before := make([]int, f.n)
		for k := range before {
			before[k] = f.row(k)
		}
		f.failed, f.printed = nil, nil
		started := time.Now()
		if f.n > 0 {
			if err := p.step(ctx, f, i); err != nil {
				return view, err
			}
		} else if s.out == nil {
			if err := p.learn(ctx, nil); err != nil {
				return view, err
			}
		}
		if h, ok := s.runner.(holder); ok {
			rest := f
			err := h.finish(ctx, func(held *frame) error {
				if rest != f {
					return fmt.Errorf("transform step %d (%s) gave more than one batch for one", s.number+1, s.Type)
				}
				rest = held
				return nil
			})
			if err != nil {
				return view, err
			}
			if rest != f {
				rest.failed, rest.printed = f.failed, f.printed
				f = rest
			}
		}
		step := PreviewStep{Step: s.number + 1, Type: s.Type, Printed: f.printed, Took: time.Since(started)}
		for _, x := range f.failed {
			step.Failed = append(step.Failed, PreviewFault{x.Row, x.Reason})
			before = slices.DeleteFunc(before, func(row int) bool { return row == x.Row })
		}
		for k := range f.n {
			before = slices.DeleteFunc(before, func(row int) bool { return row == f.row(k) })
		}
		step.Dropped = before
		if s.out == nil { // a script that dropped every row has not said its columns
			view.Steps = append(view.Steps, step)
			break
		}
		columns := plainColumns(s.out)
		step.Columns, step.Rows = previewColumns(columns), previewRows(f, columns)
		view.Steps = append(view.Steps, step)
	}
	return view, nil
}

func previewColumns(columns []connectors.Column) []PreviewColumn {
	list := make([]PreviewColumn, len(columns))
	for i, c := range columns {
		list[i] = PreviewColumn{c.Name, c.Type.String()}
	}
	return list
}

func previewRows(f *frame, columns []connectors.Column) []PreviewRow {
	rows := make([]PreviewRow, f.n)
	if f.n == 0 {
		return rows
	}
	batch := f.batch(connectors.Schema(columns))
	defer batch.Release()
	for i := range rows {
		rows[i] = PreviewRow{f.row(i), connectors.AppendRowJSON(nil, batch, columns, i)}
	}
	return rows
}
