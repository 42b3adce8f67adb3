package control

import (
	"context"
	"fmt"
	"slices"

	"arus/app/model"
)

// pipelines writes the pipelines of a file: first all of them, so that each may
// name any other, then they are held against each other.
func (a *applier) pipelines(ctx context.Context, before everything) error {
	ids := map[string]string{}
	for _, p := range before.pipelines {
		ids[p.Name] = p.ID
	}
	written := make([]model.Pipeline, len(a.file.Pipelines))
	for i, d := range a.file.Pipelines {
		path := fmt.Sprintf("pipelines[%d]", i)
		p, ok, err := a.pipeline(ctx, path, d, before)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if p.ID == "" {
			err = a.tx.CreatePipeline(ctx, &p)
		} else {
			err = a.tx.UpdatePipeline(ctx, &p)
		}
		bad := len(a.faults)
		if err := a.take(path, err); err != nil {
			return err
		}
		if len(a.faults) == bad {
			written[i], ids[p.Name] = p, p.ID
		}
	}
	for i, d := range a.file.Pipelines {
		path, p := fmt.Sprintf("pipelines[%d]", i), &written[i]
		if p.ID == "" {
			continue
		}
		p.DependsOn = ids[d.DependsOn]
		if d.DependsOn != "" && p.DependsOn == "" {
			a.fault(path+".depends_on", "there is no pipeline %q", d.DependsOn)
		}
		if err := a.take(path, a.tx.UpdatePipeline(ctx, p)); err != nil {
			return err
		}
	}
	for i, d := range a.file.Pipelines {
		path, p := fmt.Sprintf("pipelines[%d]", i), written[i]
		if p.ID == "" {
			continue
		}
		dst, err := a.tx.GetDestination(ctx, p.DestinationID)
		if err != nil {
			return err
		}
		if err := a.take(path, a.checkPipeline(ctx, a.tx, p, dst, nil)); err != nil {
			return err
		}
		if err := a.scripts(ctx, path, d, p, before); err != nil {
			return err
		}
		if err := a.links(ctx, path, d, p, before); err != nil {
			return err
		}
	}
	return nil
}

// pipeline is a pipeline as the file wants it, without the one it depends on.
// ok is false when it cannot be stored.
func (a *applier) pipeline(ctx context.Context, path string, d DeclaredPipeline, before everything) (p model.Pipeline, ok bool, err error) {
	bad := len(a.faults)
	p = model.NewPipeline(d.Name, "", "")
	at := slices.IndexFunc(before.pipelines, func(o model.Pipeline) bool { return o.Name == d.Name })
	if at >= 0 {
		old := before.pipelines[at]
		p.ID, p.CreatedAt = old.ID, old.CreatedAt
	}
	if src, err := a.tx.FindSource(ctx, d.Source); err == nil && src.Name == d.Source {
		p.SourceID = src.ID
	} else if err == nil || IsNotFound(err) {
		a.fault(path+".source", "there is no source %q", d.Source)
	} else {
		return p, false, err
	}
	if dst, err := a.tx.FindDestination(ctx, d.Destination); err == nil && dst.Name == d.Destination {
		p.DestinationID = dst.ID
	} else if err == nil || IsNotFound(err) {
		a.fault(path+".destination", "there is no destination %q", d.Destination)
	} else {
		return p, false, err
	}
	p.Status, p.Schedule, p.TargetSchema, p.LoadMode, p.SyncKey, p.Options = d.Status, d.Schedule, d.TargetSchema, d.LoadMode, d.SyncKey, d.Options
	set(&p.MaxRetries, d.MaxRetries)
	set(&p.TimeoutSeconds, d.TimeoutSeconds)
	for _, t := range d.Tables {
		p.Tables = append(p.Tables, model.PipelineTable{
			SourceTable: t.SourceTable, SourceSchema: t.SourceSchema, TargetSchema: t.TargetSchema, TargetTable: t.TargetTable, SyncMode: t.SyncMode,
			LoadMode: t.LoadMode, WatermarkColumn: t.WatermarkColumn, KeyColumns: t.KeyColumns, LookbackSeconds: t.LookbackSeconds,
			SoftDeleteColumn: t.SoftDeleteColumn, SoftDelete: t.SoftDelete, Deletes: t.Deletes, TransformConfig: t.TransformConfig, Enabled: orTrue(t.Enabled),
		})
	}
	p.SetDefaults()
	if at >= 0 { // a table keeps its id
		for i := range p.Tables {
			for _, old := range before.pipelines[at].Tables {
				if old.Key() == p.Tables[i].Key() {
					p.Tables[i].ID = old.ID
				}
			}
		}
	}
	for _, f := range (model.Pipeline{
		Name: p.Name, SourceID: "-", DestinationID: "-", Status: p.Status, Schedule: p.Schedule, MaxRetries: p.MaxRetries, TimeoutSeconds: p.TimeoutSeconds,
		DependsOn: d.DependsOn, TargetSchema: p.TargetSchema, LoadMode: p.LoadMode, Options: p.Options, Tables: p.Tables,
	}).Validate() {
		a.fault(path+"."+f.Field, "%s", f.Message)
	}
	return p, len(a.faults) == bad, nil
}

func (a *applier) scripts(ctx context.Context, path string, d DeclaredPipeline, p model.Pipeline, before everything) error {
	known := before.scripts[p.ID]
	for i, ds := range d.Scripts {
		at := fmt.Sprintf("%s.scripts[%d]", path, i)
		script := model.Script{PipelineID: p.ID}
		k := slices.IndexFunc(known, func(o model.Script) bool { return o.Name == ds.Name })
		if k >= 0 {
			script = known[k]
		}
		old := script
		script.Name, script.Description, script.Content = ds.Name, ds.Description, ds.Content
		if faults := script.Validate(); len(faults) > 0 {
			a.add(at, faults)
			continue
		}
		var err error
		switch {
		case k < 0:
			err = a.tx.CreateScript(ctx, &script)
		case script != old:
			err = a.tx.UpdateScript(ctx, &script)
		}
		if err := a.take(at, err); err != nil {
			return err
		}
	}
	for _, old := range known {
		if a.prune && !slices.ContainsFunc(d.Scripts, func(o DeclaredScript) bool { return o.Name == old.Name }) {
			if err := a.take(path+".scripts", a.tx.DeleteScript(ctx, p.ID, old.ID)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *applier) links(ctx context.Context, path string, d DeclaredPipeline, p model.Pipeline, before everything) error {
	targets, err := a.tx.ListTargets(ctx)
	if err != nil {
		return err
	}
	known := before.links[p.ID]
	for i, dl := range d.Notifications {
		at := fmt.Sprintf("%s.notifications[%d]", path, i)
		t := slices.IndexFunc(targets, func(o model.NotificationTarget) bool { return o.Name == dl.Target })
		if t < 0 {
			a.fault(at+".target", "there is no notification target %q", dl.Target)
			continue
		}
		l := model.NotificationLink{PipelineID: p.ID, TargetID: targets[t].ID, Events: dl.Events}
		if faults := l.Validate(); len(faults) > 0 {
			a.add(at, faults)
			continue
		}
		k := slices.IndexFunc(known, func(o model.NotificationLink) bool { return o.TargetID == l.TargetID })
		switch {
		case k < 0:
			err = a.tx.CreateLink(ctx, &l)
		case !slices.Equal(known[k].Events, l.Events):
			err = a.tx.SetLinkEvents(ctx, known[k].ID, l.Events)
		default:
			err = nil
		}
		if err := a.take(at, err); err != nil {
			return err
		}
	}
	for _, old := range known {
		if a.prune && !slices.ContainsFunc(d.Notifications, func(o DeclaredLink) bool { return o.Target == old.TargetName }) {
			if err := a.take(path+".notifications", a.tx.DeleteLink(ctx, old.ID)); err != nil {
				return err
			}
		}
	}
	return nil
}
