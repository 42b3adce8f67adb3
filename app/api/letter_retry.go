package api

import "arus/app/control"

// lettersBody says which dead letters are meant: these, those of a table or a
// run, or all.
type lettersBody struct {
	IDs   []string `json:"ids"`
	Table string   `json:"table"`
	RunID string   `json:"run_id"`
	All   bool     `json:"all"`
}

// filter is the dead letters that are meant. Nothing said is not all of them.
func (c *call) lettersFilter() (f control.LetterFilter, err error) {
	id, err := c.id("id")
	if err != nil {
		return f, err
	}
	var body lettersBody
	if err := c.decode(&body); err != nil {
		return f, err
	}
	if !body.All && len(body.IDs) == 0 && body.Table == "" && body.RunID == "" {
		c.fault("ids", "say which: ids, table, run_id, or all=true")
	}
	return control.LetterFilter{Pipeline: id, Table: body.Table, RunID: body.RunID, IDs: body.IDs}, c.err()
}

// letterRetry loads dead letters again and answers when that is over.
func letterRetry(c *call) (any, error) {
	filter, err := c.lettersFilter()
	if err != nil {
		return nil, err
	}
	report, err := c.Control.RetryLetters(c.ctx, filter, nil)
	if err != nil {
		return nil, err
	}
	run, err := c.Control.GetRun(c.ctx, report.RunID)
	return outcome(report, run), err
}
