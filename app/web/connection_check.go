package web

import (
	"context"
	"time"

	"arus/app/control"
	"arus/connectors"
	"arus/views/pages"
)

// checkPatience is how long a form waits for a test before its page is shown
// with the test still going on.
const checkPatience = 700 * time.Millisecond

// await waits a moment for a test, so that a quick one is over when its page is
// drawn.
func (v *visit) await(p *control.Probe) {
	ctx, cancel := context.WithTimeout(v.ctx, checkPatience)
	defer cancel()
	p.Wait(ctx)
}

// checkView is how the latest test of a source or destination stands. Without
// one it has no stages.
func (v *visit) checkView(id, kind, address string, source bool) (pages.CheckView, error) {
	view := pages.CheckView{Live: address + "?part=check", Test: address}
	probe, err := v.Control.LastTest(v.ctx, id)
	if err != nil || probe == nil {
		return view, err
	}
	state := probe.State()
	view.Started, view.Running = state.Started, state.Running
	if state.Err != nil {
		view.Error = state.Err.Error()
	}
	seen := map[string]int{}
	for _, s := range state.Stages {
		seen[s.Name]++
		view.Stages = append(view.Stages, pages.CheckStage{
			Name: stageName(s.Name), Status: string(s.Status), Detail: s.Detail, Hint: s.Hint, Fix: s.Fix, MS: s.DurationMS,
		})
	}
	if !state.Running {
		view.Passed, view.Took, view.Version = state.Err == nil && state.Result.Connected, state.Result.LatencyMS, state.Result.ServerVersion
		return view, nil
	}
	status := "running"
	for _, name := range v.expectedStages(kind, source) {
		if seen[name] == 0 {
			view.Stages = append(view.Stages, pages.CheckStage{Name: stageName(name), Status: status})
			status = "waiting"
		}
	}
	return view, nil
}

// expectedStages are the stages that a test of a kind goes through.
func (v *visit) expectedStages(kind string, source bool) []string {
	switch {
	case !v.Control.Registry[kind].File:
		return []string{
			connectors.StageName, connectors.StageTCP, connectors.StageTLS, connectors.StageLogin, connectors.StageDatabase, connectors.StagePrivileges,
			connectors.StageVersion, connectors.StageClock,
		}
	case kind == "sqlite":
		return []string{connectors.StageFile, connectors.StageOpen, connectors.StageRead}
	case source:
		return []string{connectors.StageDirectory, connectors.StageRead, connectors.StageSpace}
	}
	return []string{connectors.StageDirectory, connectors.StageWrite, connectors.StageSpace}
}

// stageName is what a stage of a test does.
func stageName(name string) string {
	switch name {
	case connectors.StageSettings:
		return "Settings"
	case connectors.StageName:
		return "Find the server (DNS)"
	case connectors.StageTCP:
		return "Reach it (TCP)"
	case connectors.StageTLS:
		return "Encrypt (TLS)"
	case connectors.StageLogin:
		return "Sign in"
	case connectors.StageDatabase:
		return "Open the database"
	case connectors.StagePrivileges:
		return "Permissions"
	case connectors.StageVersion:
		return "Version"
	case connectors.StageClock:
		return "Clock"
	case connectors.StageFile:
		return "Find the file"
	case connectors.StageDirectory:
		return "Find the directory"
	case connectors.StageOpen:
		return "Open it"
	case connectors.StageRead:
		return "Read its tables"
	case connectors.StageWrite:
		return "Write to it"
	case connectors.StageSpace:
		return "Free space"
	}
	return name
}
