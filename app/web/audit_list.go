package web

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"arus/app/control"
	"arus/app/model"
	"arus/views/components"
	"arus/views/pages"
)

// auditObjects are the kinds of object that the audit log knows.
func auditObjects() []string {
	return []string{
		"destination", "notification_link", "notification_target", "pipeline", "run", "schema_change", "script", "session", "settings", "setup", "source", "state", "table", "token",
		"user", "view", "watermark",
	}
}

// auditFilter is what the address narrows the log by. Days are the visitor's.
func (v *visit) auditFilter(list components.List) (control.AuditFilter, error) {
	f := control.AuditFilter{ActorID: list.Filter("actor"), Action: list.Filter("action"), ObjectType: list.Filter("object"), Page: listPage(list)}
	for name, at := range map[string]*time.Time{"since": &f.Since, "until": &f.Until} {
		text := list.Filter(name)
		if text == "" {
			continue
		}
		day, err := time.ParseInLocation(time.DateOnly, text, v.zone())
		if err != nil {
			return f, &control.InvalidError{What: "the filter", Faults: []model.FieldError{{Field: name, Message: "must be a day such as 2026-01-31"}}}
		}
		if *at = day; name == "until" {
			*at = day.AddDate(0, 0, 1) // that day too
		}
	}
	return f, nil
}

// auditList is who changed what.
func auditList(v *visit) error {
	list := v.list()
	f, err := v.auditFilter(list)
	if err != nil {
		return err
	}
	entries, total, err := v.Control.ListAudit(v.ctx, f)
	if err != nil {
		return err
	}
	users, err := v.Control.ListUserNames(v.ctx)
	if err != nil {
		return err
	}
	list.Total = total
	export := list.With("size", "")
	if strings.Contains(export, "?") {
		export = strings.Replace(export, "?", "/export?", 1) + "&"
	} else {
		export += "/export?"
	}
	view := pages.AuditView{List: list, Since: list.Filter("since"), Until: list.Filter("until"), Export: export}
	view.Filters = []components.Filter{
		{Name: "action", Label: "Action, such as pipeline.update"},
		{Name: "object", Label: "Any object", Options: components.Options(auditObjects()...)},
		{Name: "actor", Label: "Anybody", Options: nameOptions(users)},
	}
	for _, e := range entries {
		view.Lines = append(view.Lines, auditLine(e))
	}
	return v.show(page{title: "Audit log"}, pages.Audit(view))
}

func auditLine(e model.AuditEntry) pages.AuditLine {
	l := pages.AuditLine{
		At: e.At, Actor: e.ActorName, Kind: e.ActorKind, Address: e.Address, Action: e.Action, Object: e.ObjectName, ObjectID: e.ObjectID, Changes: fieldChanges(e.Before, e.After),
	}
	if strings.HasSuffix(e.Action, ".delete") || e.ObjectID == "" {
		return l
	}
	for kind, path := range map[string]string{"pipeline": "/pipelines/", "source": "/sources/", "destination": "/destinations/", "user": "/users/", "notification_target": "/notifications/", "run": "/runs/", "table": "/warehouse/"} {
		if e.ObjectType == kind && l.Object != "" {
			l.Href = path + e.ObjectID
		}
	}
	return l
}

// fieldChanges sets the fields of two objects beside each other.
func fieldChanges(before, after model.JSON) []pages.FieldChange {
	was, is := auditFields(before), auditFields(after)
	names := map[string]bool{}
	for name := range was {
		names[name] = true
	}
	for name := range is {
		names[name] = true
	}
	var list []pages.FieldChange
	for _, name := range slices.Sorted(maps.Keys(names)) {
		list = append(list, pages.FieldChange{Name: name, Before: was[name], After: is[name]})
	}
	return list
}

// auditFields are the fields of an object as text; a text without its quotes.
func auditFields(object model.JSON) map[string]string {
	var raw map[string]json.RawMessage
	if json.Unmarshal(object, &raw) != nil {
		return nil
	}
	fields := make(map[string]string, len(raw))
	for name, value := range raw {
		var text string
		if json.Unmarshal(value, &text) != nil {
			var b bytes.Buffer
			if json.Compact(&b, value) != nil {
				continue
			}
			text = b.String()
		}
		if text != "" && text != "null" && name != "id" && name != "created_at" {
			fields[name] = text
		}
	}
	return fields
}

// auditStep is how many entries of an export are read at a time.
const auditStep = 500

// auditExport sends all entries that the address selects as a file, the newest first.
func auditExport(v *visit) error {
	f, err := v.auditFilter(v.list())
	if err != nil {
		return err
	}
	f.Limit, f.Offset = auditStep, 0
	f.Until = earlier(f.Until, v.Now()) // what is written meanwhile would move the pages
	entries, total, err := v.Control.ListAudit(v.ctx, f)
	if err != nil {
		return err
	}
	asCSV := v.query("format") != "ndjson"
	kind, suffix := "application/x-ndjson", "ndjson"
	if asCSV {
		kind, suffix = "text/csv; charset=utf-8", "csv"
	}
	v.w.Header().Set("Content-Type", kind)
	v.w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", "arus-audit-"+v.Now().UTC().Format("20060102")+"."+suffix))
	lines, objects := csv.NewWriter(v.w), json.NewEncoder(v.w)
	if asCSV {
		err = lines.Write([]string{"at", "actor_kind", "actor", "address", "action", "object_type", "object_id", "object_name", "before", "after"})
	}
	for err == nil && len(entries) > 0 {
		for _, e := range entries {
			if asCSV {
				err = errors.Join(err, lines.Write([]string{e.At.UTC().Format(time.RFC3339Nano), e.ActorKind, e.ActorName, e.Address, e.Action, e.ObjectType, e.ObjectID, e.ObjectName, string(e.Before), string(e.After)}))
			} else {
				err = errors.Join(err, objects.Encode(e))
			}
		}
		if lines.Flush(); err != nil || f.Offset+len(entries) >= total {
			break
		}
		f.Offset += len(entries)
		entries, _, err = v.Control.ListAudit(v.ctx, f)
	}
	if err = errors.Join(err, lines.Error()); err != nil {
		panic(http.ErrAbortHandler) // only its end can say that the file is not whole
	}
	return nil
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || a.After(b) {
		return b
	}
	return a
}
