package control

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"arus/app/model"
	"arus/connectors"
)

func (im *importer) takeScripts(ctx context.Context) error {
	list, err := readRows[originalScript](ctx, im.from, "arus_config", "transform_scripts", "pipeline_id, name, id")
	if err != nil {
		return err
	}
	for _, row := range list {
		p, ok := im.pipelines[row.PipelineID]
		if !ok {
			im.left("script", row.Name, "its pipeline was not taken")
			continue
		}
		script := model.Script{ID: row.ID, PipelineID: p.ID, Name: row.Name, Description: row.Description, Content: row.Content}
		if faults := script.Validate(); len(faults) > 0 {
			im.left("script", p.Name+": "+row.Name, "%s", said(faults))
			continue
		}
		if _, err := im.refused("script", p.Name+": "+row.Name, im.tx.CreateScript(ctx, &script)); err != nil {
			return err
		}
	}
	return nil
}

// targetConfig reads the settings of a target, which are an object or a text that holds one.
func targetConfig(raw json.RawMessage) map[string]string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(text)
	}
	var fields map[string]any
	out := map[string]string{}
	if json.Unmarshal(raw, &fields) == nil {
		for key, value := range fields {
			if value != nil {
				out[key] = fmt.Sprint(value)
				if n, ok := value.(float64); ok { // a chat id
					out[key] = strconv.FormatFloat(n, 'f', -1, 64)
				}
			}
		}
	}
	return out
}

func (im *importer) takeTargets(ctx context.Context) error {
	list, err := readRows[originalTarget](ctx, im.from, "arus_config", "notification_targets", "name, id")
	if err != nil {
		return err
	}
	here, err := im.tx.ListTargets(ctx)
	if err != nil {
		return err
	}
	for _, row := range list {
		if slices.ContainsFunc(here, func(t model.NotificationTarget) bool { return t.ID == row.ID }) {
			im.targets[row.ID] = true
			im.left("notification target", row.Name, "is here already")
			continue
		}
		st := targetState{NotificationTarget: model.NotificationTarget{ID: row.ID, Type: model.TargetType(row.Type), Active: orTrue(cmp.Or(row.Active, row.IsActive)), Config: map[string]string{}}, secrets: map[string]string{}}
		st.Name = im.name("notification target", row.Name, func(n string) bool {
			return slices.ContainsFunc(here, func(t model.NotificationTarget) bool { return t.Name == n })
		})
		config := targetConfig(row.Config)
		for _, f := range model.TargetFields(st.Type) {
			if value, ok := config[f.Name]; ok && f.Secret {
				st.secrets[f.Name] = value
			} else if ok {
				st.Config[f.Name] = value
			}
		}
		if faults := st.Validate(st.secrets); len(faults) > 0 {
			im.left("notification target", row.Name, "%s", said(faults))
			continue
		}
		text, err := json.Marshal(st.secrets)
		if err != nil {
			return err
		}
		if st.SecretsEnc, err = im.Ring.Seal(string(text)); err != nil {
			return err
		}
		left, err := im.refused("notification target", row.Name, im.tx.CreateTarget(ctx, &st.NotificationTarget))
		if err != nil {
			return err
		}
		if !left {
			im.targets[row.ID] = true
			here = append(here, st.NotificationTarget)
		}
	}
	return nil
}

func (im *importer) takeLinks(ctx context.Context) error {
	list, err := readRows[originalLink](ctx, im.from, "arus_config", "pipeline_notifications", "pipeline_id, id")
	if err != nil {
		return err
	}
	for _, row := range list {
		p, ok := im.pipelines[row.PipelineID]
		if !ok || !im.targets[row.TargetID] {
			im.left("notification link", row.ID, "its pipeline or its target was not taken")
			continue
		}
		l := model.NotificationLink{ID: row.ID, PipelineID: p.ID, TargetID: row.TargetID}
		for _, e := range append(row.Events, row.EventTypes...) {
			if slices.Contains(model.NotifyEvents(), model.NotifyEvent(e)) {
				l.Events = append(l.Events, model.NotifyEvent(e))
			} else {
				im.changed("notification link", p.Name, "the event %q is not known", e)
			}
		}
		if len(l.Events) == 0 {
			im.left("notification link", p.Name, "it is for no event")
			continue
		}
		if _, err := im.refused("notification link", p.Name, im.tx.CreateLink(ctx, &l)); err != nil {
			return err
		}
	}
	return nil
}

var (
	wholeNumber = regexp.MustCompile(`^-?[0-9]{1,18}$`)
	hexID       = regexp.MustCompile(`^[0-9a-f]{24}$`)
)

// watermarkOf gives a watermark its type and exact form. The original kept texts
// without types: a guess that the column does not confirm makes the next run
// read everything, which loses nothing.
func watermarkOf(text string, mongo bool) (kind connectors.Kind, value string, ok bool) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return 0, "", false
	case wholeNumber.MatchString(text):
		return connectors.Int64, text, true
	case hexID.MatchString(text):
		return connectors.Text, text, true
	}
	at, zoned, err := connectors.ParseTimestamp(text)
	if err != nil {
		return connectors.Text, text, true
	}
	if day, derr := connectors.ParseDate(text); derr == nil && len(text) == len("2006-01-02") {
		return connectors.Date, string(connectors.AppendDate(nil, day)), true
	}
	value = string(connectors.AppendTimestamp(nil, at, 'T'))
	if zoned || mongo {
		return connectors.TimestampTZ, value + "Z", true
	}
	return connectors.Timestamp, value, true
}

func (im *importer) takeWatermarks(ctx context.Context) error {
	// The original had no constraint: of several rows the newest counts.
	list, err := readRows[originalWatermark](ctx, im.from, "arus_state", "watermarks", "pipeline_id, source_table, updated_at DESC NULLS LAST")
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, row := range list {
		p, ok := im.pipelines[row.PipelineID]
		if !ok {
			im.left("watermark", row.SourceTable, "its pipeline was not taken")
			continue
		}
		at := slices.IndexFunc(p.Tables, func(t model.PipelineTable) bool {
			return t.SourceTable == row.SourceTable || t.SourceSchema+"."+t.SourceTable == row.SourceTable
		})
		if at < 0 {
			im.left("watermark", p.Name+": "+row.SourceTable, "the pipeline has no such table")
			continue
		}
		key := p.Tables[at].Key()
		name := p.Name + ": " + key
		if seen[p.ID+" "+key] {
			im.left("watermark", name, "there is a newer one")
			continue
		}
		seen[p.ID+" "+key] = true
		if _, err := im.tx.GetWatermark(ctx, p.ID, key); err == nil {
			im.left("watermark", name, "is here already")
			continue
		}
		kind, value, ok := watermarkOf(row.Value, im.sources[p.SourceID].Type == model.SourceMongoDB)
		if !ok || row.Column == "" {
			im.left("watermark", name, "it is empty: the table is read from the beginning")
			continue
		}
		w := model.Watermark{
			ID: row.ID, PipelineID: p.ID, SourceTable: key, Column: row.Column, Value: value, Type: kind.String(), RowCount: row.RowCount,
			LastRunID: row.LastRunID, LastSyncedAt: timeOf(row.LastSyncedAt),
		}
		if err := im.tx.SetWatermark(ctx, &w); err != nil {
			return err
		}
		if value != row.Value {
			im.changed("watermark", name, "%s is %s of type %s now", row.Value, value, kind)
		}
		im.took("watermark")
	}
	return nil
}

// unfinished is what is said of a run whose end the original never wrote down.
const unfinished = "taken over from another installation, which never wrote down how this run ended"

func (im *importer) takeHistory(ctx context.Context) error {
	runs, err := readRows[originalRun](ctx, im.from, "arus_run_logs", "runs", "started_at, id")
	if err != nil {
		return err
	}
	stats, err := readRows[originalStat](ctx, im.from, "arus_run_logs", "run_table_stats", "run_id, id")
	if err != nil {
		return err
	}
	byRun := map[string][]originalStat{}
	for _, st := range stats {
		byRun[st.RunID] = append(byRun[st.RunID], st)
	}
	var out []model.Run
	gone, open := 0, 0
	for _, row := range runs {
		if _, ok := im.pipelines[row.PipelineID]; !ok {
			gone++
			continue
		}
		r := model.Run{
			ID: row.ID, PipelineID: row.PipelineID, Status: model.RunStatus(row.Status), Trigger: model.TriggerType(row.Trigger), StartedAt: timeOf(row.StartedAt),
			FinishedAt: timeOf(row.FinishedAt), DurationMS: row.DurationMS, RowsSynced: row.RowsSynced, ErrorMessage: row.ErrorMessage, CreatedAt: timeOf(row.CreatedAt),
			Counts: model.RunCounts{Read: row.RowsSynced, Loaded: row.RowsSynced},
		}
		if !slices.Contains(model.TriggerTypes(), r.Trigger) {
			r.Trigger = model.TriggerManual
		}
		if !slices.Contains(model.RunStatuses(), r.Status) || !r.Status.Final() {
			r.Status, r.ErrorMessage = model.RunCancelled, unfinished
			open++
		}
		if r.FinishedAt.IsZero() {
			r.FinishedAt = r.StartedAt
		}
		for _, st := range byRun[row.ID] {
			t := model.RunTableStat{
				ID: st.ID, RunID: r.ID, TableName: st.TableName, Status: model.RunSuccess, RowsExtracted: st.RowsExtracted, RowsLoadedRaw: st.RowsRaw,
				RowsLoadedAnalytics: st.RowsAnalytics, RowsFailed: st.RowsFailed, WatermarkBefore: st.WatermarkBefore, WatermarkAfter: st.WatermarkAfter,
				DurationMS: st.DurationMS, ErrorMessage: st.ErrorMessage,
			}
			if st.ErrorMessage != "" {
				t.Status = model.RunFailed
			}
			r.Tables = append(r.Tables, t)
		}
		im.runs[r.ID] = true
		out = append(out, r)
	}
	lines, err := im.logs(ctx)
	if err != nil {
		return err
	}
	added, err := im.tx.AddHistory(ctx, out, lines)
	if err != nil {
		return err
	}
	im.report.Taken["run"] += added
	if gone > 0 {
		im.left("run", fmt.Sprintf("%d runs", gone), "their pipelines are gone")
	}
	if had := len(out) - added; had > 0 {
		im.left("run", fmt.Sprintf("%d runs", had), "are here already")
	}
	if open > 0 {
		im.changed("run", fmt.Sprintf("%d runs", open), "their end was never written down: they are cancelled here")
	}
	return nil
}

func (im *importer) logs(ctx context.Context) ([]model.RunLog, error) {
	list, err := readRows[originalLog](ctx, im.from, "arus_run_logs", "run_logs", "id")
	if err != nil {
		return nil, err
	}
	var lines []model.RunLog
	for _, row := range list {
		if !im.runs[row.RunID] {
			continue
		}
		l := model.RunLog{RunID: row.RunID, Timestamp: timeOf(row.Timestamp), Level: model.LogLevel(strings.ToUpper(row.Level)), Message: row.Message}
		if l.Level == "WARN" {
			l.Level = model.LogWarning
		}
		if !slices.Contains(model.LogLevels(), l.Level) {
			l.Level = model.LogInfo
		}
		lines = append(lines, l)
		im.took("log line")
	}
	return lines, nil
}

// leaveLetters counts the dead letters, which here belong to the destinations.
func (im *importer) leaveLetters(ctx context.Context) error {
	there, err := im.from.has(ctx, "staging", "_dead_letters")
	if err != nil || !there {
		return err
	}
	var n int64
	if err := im.from.tx.QueryRow(ctx, `SELECT count(*) FROM staging._dead_letters`).Scan(&n); err != nil || n == 0 {
		return err
	}
	im.left("dead letter", fmt.Sprintf("%d dead letters", n), "stay where they are: here they are kept at each destination")
	return nil
}
