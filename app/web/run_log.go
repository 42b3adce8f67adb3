package web

import (
	"bufio"
	"fmt"
	"net/http"
	"slices"
	"time"

	"arus/app/control"
	"arus/app/model"
	"arus/views/pages"
)

// logSize is how many lines of a log a page has.
const logSize = 200

// levelsFrom are a level and those that are worse; all of them for another word.
func levelsFrom(level string) []model.LogLevel {
	all := model.LogLevels()
	if at := slices.Index(all, model.LogLevel(level)); at > 0 {
		return all[at:]
	}
	return nil
}

// runLog is a page of the log of a run: the last one where the address does not
// say which.
func (v *visit) runLog(run model.Run) (pages.LogView, error) {
	list := v.list()
	list.Query.Del("part")
	list.Size = logSize
	f := control.LogFilter{RunID: run.ID, Levels: levelsFrom(list.Filter("level")), Page: control.Page{Limit: 1}}
	_, total, err := v.Control.RunLogPage(v.ctx, f)
	if err != nil {
		return pages.LogView{}, err
	}
	list.Total = total
	view := pages.LogView{Level: list.Filter("level"), Save: "/runs/" + run.ID + "/log?level=" + list.Filter("level")}
	list.Query.Del("size")
	if v.query("page") == "" {
		view.Live = list.Path + "?part=log&level=" + view.Level
		if active(run) {
			view.Event = "sse:run-" + run.ID
		}
		list.Page = list.Pages()
	}
	f.Page = listPage(list)
	lines, _, err := v.Control.RunLogPage(v.ctx, f)
	if err != nil {
		return view, err
	}
	for _, l := range lines {
		view.Lines = append(view.Lines, pages.LogLine{At: l.Timestamp, Level: string(l.Level), Message: l.Message})
	}
	view.List = list
	return view, nil
}

// runLogSave is the whole log as a file.
func runLogSave(v *visit) error {
	run, err := v.Control.GetRun(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	levels := levelsFrom(v.query("level"))
	v.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	v.w.Header().Set("Content-Disposition", `attachment; filename="run-`+run.ID+`.log"`)
	out := bufio.NewWriter(v.w)
	for after := int64(0); ; {
		lines, err := v.Control.RunLogs(v.ctx, run.ID, after, 1000)
		if err != nil {
			v.Log.ErrorContext(v.ctx, "a download ended early", "run", run.ID, "error", err)
			panic(http.ErrAbortHandler) // half a log must not look like a whole one
		}
		for _, l := range lines {
			after = l.ID
			if levels == nil || slices.Contains(levels, l.Level) {
				_, _ = fmt.Fprintf(out, "%s %-7s %s\n", l.Timestamp.UTC().Format(time.RFC3339Nano), l.Level, l.Message)
			}
		}
		if len(lines) == 0 {
			_ = out.Flush() // the browser is gone
			return nil
		}
	}
}
