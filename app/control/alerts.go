package control

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"arus/app/auth"
	"arus/app/model"
	"arus/app/store"
)

// overdueGrace is how long after the second missed time a pipeline is overdue.
const overdueGrace = 5 * time.Minute

// alerts makes notifications out of what happened, within one transaction.
type alerts struct {
	s         *Service
	tx        *store.Store
	settings  model.Settings
	links     map[string][]model.NotificationLink // by pipeline, of targets that are active
	incidents map[string]map[model.NotifyEvent]model.Incident
	pipelines map[string]model.Pipeline
	names     map[string]string // of sources and destinations, by id
	queued    int
	news      AlertEvent
}

func (s *Service) newAlerts(ctx context.Context, tx *store.Store, settings model.Settings) (*alerts, error) {
	a := &alerts{
		s: s, tx: tx, settings: settings, links: map[string][]model.NotificationLink{}, incidents: map[string]map[model.NotifyEvent]model.Incident{},
		pipelines: map[string]model.Pipeline{}, names: map[string]string{},
	}
	targets, err := tx.ListTargets(ctx)
	if err != nil {
		return nil, err
	}
	links, err := tx.ListLinks(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		if slices.ContainsFunc(targets, func(t model.NotificationTarget) bool { return t.ID == l.TargetID && t.Active }) {
			a.links[l.PipelineID] = append(a.links[l.PipelineID], l)
		}
	}
	open, err := tx.Incidents(ctx)
	for _, i := range open {
		if a.incidents[i.PipelineID] == nil {
			a.incidents[i.PipelineID] = map[model.NotifyEvent]model.Incident{}
		}
		a.incidents[i.PipelineID][i.Kind] = i
	}
	return a, err
}

// hearAtOnce bounds the runs that one transaction hears of.
const hearAtOnce = 200

// HearRuns queues the notifications of the runs that ended since it was last
// called, and gives how many. What it has heard of and what it queued become
// durable together, so that nothing is told twice and nothing is left out.
func (s *Service) HearRuns(ctx context.Context) (queued int, err error) {
	if err := s.may(ctx, auth.Maintain); err != nil {
		return 0, err
	}
	for {
		settings, err := s.settings(ctx)
		if err != nil {
			return queued, err
		}
		runs, err := s.Store.UnheardRuns(ctx, hearAtOnce)
		if err != nil || len(runs) == 0 {
			return queued, err
		}
		var news AlertEvent
		err = s.Store.Atomically(ctx, func(tx *store.Store) error {
			a, err := s.newAlerts(ctx, tx, settings)
			if err != nil {
				return err
			}
			defer func() { news = a.news }()
			ids := make([]string, len(runs))
			for i, run := range runs {
				ids[i] = run.ID
				if err := a.hear(ctx, run); err != nil {
					return err
				}
			}
			queued += a.queued
			return tx.HearRuns(ctx, ids)
		})
		s.tellListeners(news, err)
		if err != nil || len(runs) < hearAtOnce {
			return queued, err
		}
	}
}

// hear makes of one run what is to be told.
func (a *alerts) hear(ctx context.Context, run model.Run) error {
	if run.Work != model.WorkCopy || run.Status != model.RunSuccess && run.Status != model.RunFailed {
		return nil
	}
	p, err := a.pipeline(ctx, run.PipelineID)
	if IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := a.hearOutcome(ctx, p, run); err != nil {
		return err
	}
	if err := a.hearDeadLetters(ctx, p, run); err != nil {
		return err
	}
	if len(a.links[p.ID]) == 0 {
		return nil
	}
	if err := a.hearQuality(ctx, p, run); err != nil {
		return err
	}
	return a.hearDrift(ctx, p, run)
}

// hearOutcome tells of the first failure, of the recovery, and of success.
func (a *alerts) hearOutcome(ctx context.Context, p model.Pipeline, run model.Run) error {
	if run.Status == model.RunFailed {
		first, err := a.open(ctx, p.ID, model.EventFailure, run.ID, run.FinishedAt)
		if err != nil || !first || !a.settings.NotifyPipelineFailures {
			return err
		}
		m := a.about(ctx, model.EventFailure, "Pipeline failed: "+p.Name, p, run)
		m.Cause = run.ErrorMessage
		return a.tell(ctx, p.ID, "run:"+run.ID+":outcome", m, nil)
	}
	var told []string
	failure, failed := a.incidents[p.ID][model.EventFailure]
	late, overdue := a.incidents[p.ID][model.EventOverdue]
	for kind, is := range map[model.NotifyEvent]bool{model.EventFailure: failed, model.EventOverdue: overdue} {
		if is {
			if err := a.end(ctx, p.ID, kind); err != nil {
				return err
			}
		}
	}
	if failed && a.settings.NotifyPipelineFailures || overdue {
		m := a.about(ctx, model.EventRecovery, "Pipeline recovered: "+p.Name, p, run)
		if failed {
			m.Add("Failing since", clock(failure.OpenedAt))
			m.Add("Failed runs", strconv.Itoa(failure.Runs))
		} else {
			m.Add("Overdue since", clock(late.OpenedAt))
		}
		a.counts(&m, run)
		if err := a.tell(ctx, p.ID, "run:"+run.ID+":outcome", m, nil); err != nil {
			return err
		}
		for _, l := range a.links[p.ID] { // a recovery says that the run succeeded
			if slices.Contains(l.Events, model.EventRecovery) {
				told = append(told, l.TargetID)
			}
		}
	}
	m := a.about(ctx, model.EventSuccess, "Pipeline succeeded: "+p.Name, p, run)
	a.counts(&m, run)
	return a.tell(ctx, p.ID, "run:"+run.ID+":outcome", m, told)
}

// hearDeadLetters tells when dead letters begin.
func (a *alerts) hearDeadLetters(ctx context.Context, p model.Pipeline, run model.Run) error {
	if run.Counts.DeadLetters == 0 {
		if run.Status == model.RunSuccess {
			return a.end(ctx, p.ID, model.EventDeadLetter)
		}
		return nil
	}
	first, err := a.open(ctx, p.ID, model.EventDeadLetter, run.ID, run.FinishedAt)
	if err != nil || !first || !a.settings.NotifyDeadLetter {
		return err
	}
	m := a.about(ctx, model.EventDeadLetter, "Rows became dead letters: "+p.Name, p, run)
	m.Add("Rejected rows", thousands(run.Counts.DeadLetters))
	full, err := a.tx.GetRun(ctx, run.ID)
	if err != nil {
		return err
	}
	tables := []string{}
	for _, t := range full.Tables {
		if t.RowsFailed > 0 {
			tables = append(tables, fmt.Sprintf("%s (%s)", t.TableName, thousands(t.RowsFailed)))
		}
	}
	m.Add("Tables", some(tables))
	return a.tell(ctx, p.ID, "run:"+run.ID+":dead_letter", m, nil)
}

// hearQuality tells when checks begin to fail.
func (a *alerts) hearQuality(ctx context.Context, p model.Pipeline, run model.Run) error {
	checks, _, err := a.tx.ListQuality(ctx, store.QualityFilter{RunID: run.ID, Status: model.CheckFailed, Page: store.Page{Limit: 100}})
	if err != nil {
		return err
	}
	if len(checks) == 0 {
		if run.Status == model.RunSuccess {
			return a.end(ctx, p.ID, model.EventQualityBreach)
		}
		return nil
	}
	first, err := a.open(ctx, p.ID, model.EventQualityBreach, run.ID, run.FinishedAt)
	if err != nil || !first {
		return err
	}
	m := a.about(ctx, model.EventQualityBreach, "Quality check failed: "+p.Name, p, run)
	tables, lines := []string{}, []string{}
	for _, c := range checks {
		if !slices.Contains(tables, c.TableName) {
			tables = append(tables, c.TableName)
		}
		lines = append(lines, fmt.Sprintf("%s: %s: %s", c.TableName, c.Type, c.Message))
	}
	m.Add("Tables", some(tables))
	m.Cause = strings.Join(lines, "\n")
	return a.tell(ctx, p.ID, "run:"+run.ID+":quality", m, nil)
}

// hearDrift tells of each change of a schema once: the run that found it first
// is the one that tells.
func (a *alerts) hearDrift(ctx context.Context, p model.Pipeline, run model.Run) error {
	if !a.settings.NotifySchemaDrift {
		return nil
	}
	changes, err := a.tx.ChangesFoundBy(ctx, p.ID, run.ID)
	if err != nil || len(changes) == 0 {
		return err
	}
	m := a.about(ctx, model.EventSchemaDrift, "Schema changed: "+p.Name, p, run)
	tables, lines := []string{}, []string{}
	for _, c := range changes {
		if !slices.Contains(tables, c.SourceTable) {
			tables = append(tables, c.SourceTable)
		}
		line := c.SourceTable + ": " + strings.ReplaceAll(string(c.Kind), "_", " ")
		if c.Column != "" {
			line += " " + c.Column
		}
		if c.From != "" || c.To != "" {
			line += fmt.Sprintf(" (%s -> %s)", orDash(c.From), orDash(c.To))
		}
		lines = append(lines, line+", "+string(c.Status))
	}
	m.Add("Tables", some(tables))
	m.Cause = strings.Join(lines, "\n")
	return a.tell(ctx, p.ID, "run:"+run.ID+":drift", m, nil)
}

// CheckOverdue queues notifications of the pipelines that have not succeeded for
// too long: for the pipeline's overdue_seconds, or else since five minutes
// before the second of its times that passed without a success.
func (s *Service) CheckOverdue(ctx context.Context) error {
	if err := s.may(ctx, auth.Maintain); err != nil {
		return err
	}
	list, err := s.ScheduledPipelines(ctx)
	if err != nil || len(list) == 0 {
		return err
	}
	settings, err := s.settings(ctx)
	if err != nil {
		return err
	}
	figures, err := s.Store.PipelineFigures(ctx)
	if err != nil {
		return err
	}
	now := s.Now()
	list = slices.DeleteFunc(list, func(p ScheduledPipeline) bool {
		deadline := overdueAt(p, figures[p.ID].LastSuccess)
		return deadline.IsZero() || now.Before(deadline)
	})
	if len(list) == 0 {
		return nil
	}
	var news AlertEvent
	err = s.Store.Atomically(ctx, func(tx *store.Store) error {
		a, err := s.newAlerts(ctx, tx, settings)
		if err != nil {
			return err
		}
		defer func() { news = a.news }()
		for _, p := range list {
			if _, open := a.incidents[p.ID][model.EventOverdue]; open {
				continue
			}
			if _, err := a.open(ctx, p.ID, model.EventOverdue, "", now); err != nil {
				return err
			}
			a.pipelines[p.ID] = p.Pipeline
			m := a.about(ctx, model.EventOverdue, "Pipeline overdue: "+p.Name, p.Pipeline, model.Run{FinishedAt: now})
			last := "never"
			if at := figures[p.ID].LastSuccess; !at.IsZero() {
				last = clock(at)
			}
			m.Add("Last success", last)
			if err := a.tell(ctx, p.ID, "overdue:"+p.ID+":"+now.UTC().Format(time.RFC3339), m, nil); err != nil {
				return err
			}
		}
		return nil
	})
	s.tellListeners(news, err)
	return err
}

// tellListeners tells those who listen which incidents began and ended, once that is durable.
func (s *Service) tellListeners(news AlertEvent, err error) {
	if err == nil && len(news.Opened)+len(news.Closed) > 0 {
		s.Events.Emit(Event{Type: AlertsChanged, Data: news})
	}
}

// overdueAt is when a pipeline is overdue without another success.
func overdueAt(p ScheduledPipeline, success time.Time) time.Time {
	since := p.State.Since
	if since.IsZero() {
		return time.Time{}
	}
	if success.After(since) {
		since = success
	}
	if p.Options.OverdueSeconds > 0 {
		return since.Add(time.Duration(p.Options.OverdueSeconds) * time.Second)
	}
	times := p.Times.NextTimes(since, 2)
	if len(times) < 2 {
		return time.Time{}
	}
	return times[1].Add(overdueGrace)
}

// open opens an incident, or lets it last; first says that it is new.
func (a *alerts) open(ctx context.Context, pipelineID string, kind model.NotifyEvent, runID string, at time.Time) (first bool, err error) {
	i, lasts := a.incidents[pipelineID][kind]
	if !lasts {
		i = model.Incident{PipelineID: pipelineID, Kind: kind, RunID: runID, OpenedAt: at.UTC(), Runs: 0}
	}
	i.Runs++
	if a.incidents[pipelineID] == nil {
		a.incidents[pipelineID] = map[model.NotifyEvent]model.Incident{}
	}
	a.incidents[pipelineID][kind] = i
	if !lasts {
		a.news.Opened = append(a.news.Opened, i)
	}
	return !lasts, a.tx.SaveIncident(ctx, i)
}

// end closes an incident, where there is one.
func (a *alerts) end(ctx context.Context, pipelineID string, kind model.NotifyEvent) error {
	i, open := a.incidents[pipelineID][kind]
	if !open {
		return nil
	}
	a.news.Closed = append(a.news.Closed, i)
	delete(a.incidents[pipelineID], kind)
	return a.tx.CloseIncident(ctx, pipelineID, kind)
}

// tell queues a message to the targets that want its event, but those in told.
func (a *alerts) tell(ctx context.Context, pipelineID, dedupe string, m model.Message, told []string) error {
	for _, l := range a.links[pipelineID] {
		if !slices.Contains(l.Events, m.Event) || slices.Contains(told, l.TargetID) {
			continue
		}
		n := model.Notification{
			TargetID: l.TargetID, TargetName: l.TargetName, TargetType: l.TargetType, PipelineID: pipelineID, RunID: m.RunID, Event: m.Event, Dedupe: dedupe, Message: m,
		}
		if err := a.tx.Enqueue(ctx, &n); err != nil {
			return err
		}
		a.queued++
	}
	return nil
}

// about begins a message of a run, or of a pipeline where the run has no id.
func (a *alerts) about(ctx context.Context, event model.NotifyEvent, title string, p model.Pipeline, run model.Run) model.Message {
	m := model.Message{Event: event, Title: title, Pipeline: p.Name, PipelineID: p.ID, RunID: run.ID, Fields: []model.MessageField{}, At: run.FinishedAt.UTC()}
	m.Add("Pipeline", p.Name)
	m.Add("Source", a.name(ctx, p.SourceID, func() (string, error) { v, err := a.tx.GetSource(ctx, p.SourceID); return v.Name, err }))
	m.Add("Destination", a.name(ctx, p.DestinationID, func() (string, error) { v, err := a.tx.GetDestination(ctx, p.DestinationID); return v.Name, err }))
	m.Add("Schedule", p.Schedule)
	m.Add("Run", run.ID)
	if base := a.settings.BaseURL; base != "" {
		m.Link = base + "/pipelines/" + p.ID
		if run.ID != "" {
			m.Link = base + "/runs/" + run.ID
		}
	}
	return m
}

func (a *alerts) counts(m *model.Message, run model.Run) {
	m.Add("Rows", thousands(run.Counts.Loaded))
	m.Add("Duration", (time.Duration(run.DurationMS) * time.Millisecond).String())
}

func (a *alerts) pipeline(ctx context.Context, id string) (model.Pipeline, error) {
	if p, ok := a.pipelines[id]; ok {
		return p, nil
	}
	p, err := a.tx.GetPipeline(ctx, id)
	if err == nil {
		a.pipelines[id] = p
	}
	return p, err
}

// name is the name of a source or destination; a message goes without one that cannot be read.
func (a *alerts) name(ctx context.Context, id string, get func() (string, error)) string {
	if name, ok := a.names[id]; ok {
		return name
	}
	name, err := get()
	if err != nil {
		a.s.Log.WarnContext(ctx, "name an end of a pipeline in a notification", "id", id, "error", err)
	}
	a.names[id] = name
	return name
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// thousands writes a number with separators.
func thousands(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// some lists the first few.
func some(names []string) string {
	const few = 10
	if len(names) > few {
		return strings.Join(names[:few], ", ") + fmt.Sprintf(" and %d more", len(names)-few)
	}
	return strings.Join(names, ", ")
}
