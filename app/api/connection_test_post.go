package api

import (
	"arus/app/control"
	"arus/connectors"
)

// connectionTestBody is a connection that is tested before it is stored.
type connectionTestBody struct {
	connectionBody
	As      string   `json:"as"` // source (default) or destination
	Schemas []string `json:"schemas"`
}

// connectionTest tests a connection that is not stored.
func connectionTest(c *call) (any, error) {
	var body connectionTestBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	var cfg connectors.Config
	if err := body.apply(c.Control.Registry, &cfg); err != nil {
		return nil, err
	}
	opts := connectors.CheckOptions{Source: true, Tables: connectors.TableFilter{Schemas: body.Schemas}}
	if body.As == "destination" {
		opts = connectors.CheckOptions{Destination: true, Targets: body.Schemas}
	}
	r, err := c.Control.CheckNew(c.ctx, cfg, opts)
	return testView(r), err
}

// testAnswer is the outcome of a connection test.
type testAnswer struct {
	Connected     bool               `json:"connected"`
	LatencyMS     int64              `json:"latency_ms"`
	ServerVersion string             `json:"server_version,omitempty"`
	Error         string             `json:"error,omitempty"`
	Stages        []connectors.Stage `json:"stages"`
}

func testView(r control.TestResult) testAnswer {
	return testAnswer{Connected: r.Connected, LatencyMS: r.LatencyMS, ServerVersion: r.ServerVersion, Error: r.Error, Stages: list(r.Stages)}
}
