package api

import "arus/app/control"

type verifyBody struct {
	Tables []string `json:"tables"`
}

type verifyAnswer struct {
	Equal  bool                   `json:"equal"`
	Tables []control.Verification `json:"tables"`
}

// pipelineVerify compares every enabled table, or only some, with its target and
// answers when that is over.
func pipelineVerify(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	var body verifyBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	results, err := c.Control.Verify(c.ctx, id, body.Tables...)
	if err != nil {
		return nil, err
	}
	v := verifyAnswer{Equal: true, Tables: list(results)}
	for _, t := range results {
		v.Equal = v.Equal && t.Equal
	}
	return v, nil
}
