package web

import (
	"strings"

	"arus/app/control"
	"arus/app/transform"
	"arus/views/components"
	"arus/views/pages"
)

// scriptList are the scripts of a pipeline, with the tables that use them.
func scriptList(v *visit) error {
	list := v.list()
	o, err := v.Control.Overview(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	scripts, total, err := v.Control.ListScripts(v.ctx, o.ID, listPage(list))
	if err != nil {
		return err
	}
	list.Total = total
	used := scriptUsers(o)
	head, surround := v.pipelineHead(o, "/transforms")
	surround.crumbs = append(surround.crumbs, components.Link{Label: "Transforms", Href: "/pipelines/" + o.ID + "/transforms"})
	surround.title = "Scripts"
	view := pages.ScriptsView{Head: head, List: list}
	for _, s := range scripts {
		view.Scripts = append(view.Scripts, pages.ScriptRow{ID: s.ID, Name: s.Name, Description: s.Description, Used: strings.Join(used[s.Name], ", "), Changed: s.UpdatedAt})
	}
	return v.show(surround, pages.Scripts(view))
}

// scriptUsers are the tables of a pipeline by the scripts that they call.
func scriptUsers(o control.Overview) map[string][]string {
	used := map[string][]string{}
	for _, t := range o.Tables {
		steps, _ := transform.Parse(t.TransformConfig)
		for _, name := range transform.ScriptNames(steps) {
			used[name] = append(used[name], t.Key())
		}
	}
	return used
}

// scriptDeletePage asks whether a script is to be deleted.
func scriptDeletePage(v *visit) error {
	o, err := v.Control.Overview(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	s, err := v.Control.Script(v.ctx, o.ID, v.path("script"))
	if err != nil {
		return err
	}
	at := "/pipelines/" + o.ID + "/scripts"
	c := components.Confirm{
		Title: "Delete the script " + s.Name + "?", Text: "Its text is gone for good.", Action: at + "/" + s.ID + "/delete", Submit: "Delete the script", Back: at + "/" + s.ID, Danger: true,
	}
	if tables := scriptUsers(o)[s.Name]; len(tables) > 0 {
		c.Consequences = []string{"These tables call it and fail until their steps are changed: " + strings.Join(tables[:min(len(tables), 10)], ", ") + "."}
	}
	return v.confirm(pipelinePage(o.Pipeline, "Delete a script"), c)
}

// scriptDelete deletes a script.
func scriptDelete(v *visit) error {
	if err := v.Control.DeleteScript(v.ctx, v.path("id"), v.path("script")); err != nil {
		return err
	}
	return v.done("/pipelines/"+v.path("id")+"/scripts", "The script is deleted.")
}
