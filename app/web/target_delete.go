package web

import (
	"strings"

	"arus/views/components"
)

// targetDeletePage asks whether a target is to be deleted.
func targetDeletePage(v *visit) error {
	t, err := v.Control.Target(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	links, err := v.Control.ListAllLinks(v.ctx)
	if err != nil {
		return err
	}
	names, err := v.Control.PipelineNames(v.ctx)
	if err != nil {
		return err
	}
	var told []string
	for _, l := range links {
		if l.TargetID == t.ID {
			told = append(told, names[l.PipelineID])
		}
	}
	c := components.Confirm{
		Title: "Delete " + t.Name + "?", Text: "Nothing is sent there any more. The history of messages stays.",
		Action: "/notifications/" + t.ID + "/delete", Submit: "Delete the target", Back: "/notifications/" + t.ID, Danger: true,
	}
	if len(told) > 0 {
		c.Consequences = []string{"These pipelines tell nobody there any more: " + strings.Join(told, ", ") + "."}
	}
	return v.confirm(page{title: "Delete " + t.Name, crumbs: targetCrumbs()}, c)
}

// targetDelete deletes a target.
func targetDelete(v *visit) error {
	if err := v.Control.DeleteTarget(v.ctx, v.path("id")); err != nil {
		return err
	}
	return v.done("/notifications", "The target is deleted.")
}
