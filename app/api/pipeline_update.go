package api

import (
	"encoding/json"

	"arus/app/control"
)

func pipelineUpdate(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	// A null takes a schedule or a dependency away; a field that is absent stays as it is.
	var body struct {
		pipelineBody
		RawSchedule  json.RawMessage `json:"schedule"`
		RawDependsOn json.RawMessage `json:"depends_on"`
	}
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	none := ""
	for _, f := range []struct {
		name string
		raw  json.RawMessage
		into **string
	}{{"schedule", body.RawSchedule, &body.Schedule}, {"depends_on", body.RawDependsOn, &body.DependsOn}} {
		switch {
		case f.raw == nil:
		case string(f.raw) == "null":
			*f.into = &none
		case json.Unmarshal(f.raw, f.into) != nil:
			c.fault(f.name, "must be a text or null")
		}
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	in := control.PipelineUpdate{
		Name: body.Name, Status: body.Status, Schedule: body.schedule(), DependsOn: body.DependsOn, TargetSchema: body.TargetSchema,
		LoadMode: body.LoadMode, MaxRetries: body.MaxRetries, TimeoutSeconds: body.TimeoutSeconds, Options: body.Options,
	}
	if body.Tables != nil {
		choices := convert(*body.Tables, tableBody.choice)
		in.Choices = &choices
	}
	_, err = c.Control.UpdatePipeline(c.ctx, id, in)
	return updatedAnswer{true}, err
}
