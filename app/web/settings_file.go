package web

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"arus/app/control"
	"arus/views/components"
	"arus/views/pages"
)

// filledPipelines is how many pipelines the page shows without being asked to: a
// large configuration is drawn slowly, and mostly a part of it is to be applied.
const filledPipelines = 100

// settingsFile is the configuration as a file, to be changed and applied.
func settingsFile(v *visit) error {
	all, err := v.Control.Summarize(v.ctx)
	if err != nil {
		return err
	}
	if all.TotalPipelines > filledPipelines && v.query("fill") == "" {
		return v.filePage(pages.ConfigurationView{Large: true})
	}
	text, err := v.exported()
	if err != nil {
		return err
	}
	return v.filePage(pages.ConfigurationView{Form: components.Form{Values: url.Values{"text": {string(text)}}}})
}

func (v *visit) exported() ([]byte, error) {
	d, err := v.Control.Export(v.ctx)
	if err != nil {
		return nil, err
	}
	return d.YAML()
}

func (v *visit) filePage(view pages.ConfigurationView) error {
	view.Tabs = v.settingTabs("/settings/configuration")
	return v.showAs(statusOf(view.Form), page{title: "Configuration", crumbs: []components.Link{{Label: "Settings", Href: "/settings"}}}, pages.Configuration(view))
}

// settingsExport sends the configuration as a file.
func settingsExport(v *visit) error {
	text, err := v.exported()
	if err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "application/yaml")
	v.w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", "arus-"+v.Now().UTC().Format("20060102")+".yaml"))
	_, _ = v.w.Write(text) // the browser is gone
	return nil
}

// settingsApply plans what a file says, and does it when the plan was looked at.
func settingsApply(v *visit) error {
	view := pages.ConfigurationView{Form: components.Form{Values: v.r.PostForm}}
	file, err := control.ReadDeclaration(strings.NewReader(strings.ReplaceAll(v.r.PostForm.Get("text"), "\r\n", "\n")))
	var plan control.ConfigPlan
	if err == nil {
		plan, err = v.Control.PlanDeclaration(v.ctx, file, v.checked("prune"))
	}
	if err != nil {
		f, ok := v.fileFaults(err)
		if !ok {
			return err
		}
		view.Form = f
		return v.filePage(view)
	}
	view.Planned, view.Plan, view.Unset = true, configChanges(plan), plan.Unset
	view.Token = planToken(view.Plan)
	apply, changed := v.planned(view.Token)
	if changed {
		view.Form.Message = "The plan is not what it was when it was shown: look at it again."
	}
	if !apply || len(view.Plan) == 0 {
		return v.filePage(view)
	}
	if plan, err = v.Control.ApplyDeclaration(v.ctx, file, v.checked("prune")); err != nil {
		f, ok := v.fileFaults(err)
		if !ok {
			return err
		}
		view.Form, view.Planned = f, false
		return v.filePage(view)
	}
	return v.done("/settings/configuration", "The configuration is what the file says: "+components.Plural(len(plan.Changes), "object")+" changed.")
}

// fileFaults says all that is wrong with a file.
func (v *visit) fileFaults(err error) (components.Form, bool) {
	f, ok := v.form(err)
	if invalid, is := errors.AsType[*control.InvalidError](err); is {
		f.Faults = map[string]string{}
		for _, fault := range invalid.Faults {
			f.Faults[fault.Field] += fault.Message
		}
	}
	return f, ok
}

func configChanges(plan control.ConfigPlan) []pages.ConfigChange {
	list := make([]pages.ConfigChange, len(plan.Changes))
	for i, c := range plan.Changes {
		list[i] = pages.ConfigChange{Action: string(c.Action), Kind: c.Kind, Name: c.Name}
		for _, field := range c.Fields {
			list[i].Fields = append(list[i].Fields, pages.FieldChange{Name: field.Path, Before: string(field.Before), After: string(field.After)})
		}
	}
	return list
}
