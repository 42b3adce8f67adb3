package api

import (
	"arus/app/control"
	"arus/app/model"
)

// pipelineBody is a pipeline to make or to change.
type pipelineBody struct {
	Name           *string                `json:"name"`
	SourceID       *string                `json:"source_id"`
	DestinationID  *string                `json:"destination_id"`
	Status         *model.PipelineStatus  `json:"status"`
	Schedule       *string                `json:"schedule"`
	TargetSchema   *string                `json:"target_schema"`
	LoadMode       *model.LoadMode        `json:"load_mode"`
	SyncMode       *model.SyncMode        `json:"sync_mode"`
	Tables         *[]tableBody           `json:"tables"`
	DependsOn      *string                `json:"depends_on"`
	MaxRetries     *int                   `json:"max_retries"`
	TimeoutSeconds *int                   `json:"timeout_seconds"`
	Options        *model.PipelineOptions `json:"options"`
}

// schedule is the schedule that is meant: "manual" is the absence of one.
func (b pipelineBody) schedule() *string {
	if b.Schedule != nil && *b.Schedule == model.ManualSchedule {
		none := ""
		return &none
	}
	return b.Schedule
}

func pipelineCreate(c *call) (any, error) {
	var body pipelineBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	in := control.PipelineInput{
		Name: value(body.Name), Source: value(body.SourceID), Destination: value(body.DestinationID), TargetSchema: value(body.TargetSchema),
		LoadMode: value(body.LoadMode), SyncMode: value(body.SyncMode), DependsOn: value(body.DependsOn), MaxRetries: body.MaxRetries,
		TimeoutSeconds: body.TimeoutSeconds, Options: value(body.Options), Choices: convert(value(body.Tables), tableBody.choice),
	}
	if body.Schedule == nil {
		settings, err := c.Control.Settings(c.ctx)
		if err != nil {
			return nil, err
		}
		body.Schedule = &settings.DefaultSchedule
	}
	in.Schedule = value(body.schedule())
	p, err := c.Control.AddPipeline(c.ctx, in)
	return created(idAnswer{p.ID}), err
}
