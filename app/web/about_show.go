package web

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"arus/app/auth"
	"arus/views/components"
	"arus/views/pages"
)

// aboutShow says what this is and how it does, so that it can be copied into a
// report: no names, no addresses, no secrets.
func aboutShow(v *visit) error {
	view, err := v.about()
	if err != nil {
		return err
	}
	return v.show(page{title: "About"}, pages.About(view))
}

func (v *visit) about() (pages.AboutView, error) {
	vitals, err := v.Control.StateSize(v.ctx)
	if err != nil {
		return pages.AboutView{}, err
	}
	sums, err := v.sums.get(v.ctx, 7)
	if err != nil {
		return pages.AboutView{}, err
	}
	sum := sums.summary
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	ready := "yes"
	if err := v.Control.Ready(v.ctx); err != nil {
		ready = "no: the state file does not answer"
	}
	pairs := []components.Pair{
		{Key: "Version", Value: v.Version},
		{Key: "Platform", Value: runtime.GOOS + "/" + runtime.GOARCH + ", " + runtime.Version()},
		{Key: "Running for", Value: components.Duration(v.Now().Sub(v.Started).Truncate(time.Second))},
		{Key: "State file answers", Value: ready},
		{Key: "State file", Value: components.Bytes(vitals.FileBytes) + ", log " + components.Bytes(vitals.LogBytes)},
		{Key: "Memory in use", Value: components.Bytes(int64(memory.HeapInuse + memory.StackInuse))},
		{Key: "Runs", Value: fmt.Sprintf("%d running, %d waiting", vitals.Running, vitals.Waiting)},
		{Key: "Sources", Value: components.Number(sum.TotalSources)},
		{Key: "Destinations", Value: components.Number(sum.TotalDestinations)},
		{Key: "Pipelines", Value: fmt.Sprintf("%s, %s active, %s failing", components.Number(sum.TotalPipelines), components.Number(sum.ActivePipelines), components.Number(sum.DegradedPipelines))},
		{Key: "Runs in 24 h", Value: fmt.Sprintf("%s, %s failed", components.Number(sum.TotalRuns24h), components.Number(sum.FailedRuns24h))},
	}
	var report strings.Builder
	for _, p := range pairs {
		fmt.Fprintf(&report, "%-20s %s\n", p.Key, p.Value)
	}
	view := pages.AboutView{Pairs: pairs, Report: report.String(), Closable: v.Close != nil && v.can(auth.Maintain)}
	if info, ok := debug.ReadBuildInfo(); ok && v.can(auth.Maintain) {
		for _, m := range info.Deps {
			view.Modules = append(view.Modules, components.Pair{Key: m.Path, Value: m.Version})
		}
	}
	if f, ok := v.assets.files["LICENSES"]; ok {
		view.Licenses = string(f.text)
	}
	return view, nil
}
