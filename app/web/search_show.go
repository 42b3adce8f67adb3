package web

import (
	"net/url"
	"strings"

	"arus/views/pages"
)

// searchLimit is how many of a kind are shown while somebody types, and on the
// page of a search.
const (
	searchLimit     = 5
	searchPageLimit = 50
)

// searchShow finds sources, destinations, pipelines, tables and runs: below the
// search box while somebody types, else as a page.
func searchShow(v *visit) error {
	text := strings.TrimSpace(v.query("q"))
	limit := searchPageLimit
	if v.partial() {
		limit = searchLimit
	}
	found, err := v.Control.Search(v.ctx, text, limit)
	if err != nil {
		return err
	}
	view := pages.SearchView{Text: text, Short: v.partial()}
	for _, f := range found {
		hit := pages.Hit{Name: f.Name, Detail: f.Detail}
		switch f.Kind {
		case "source":
			hit.Group, hit.Icon, hit.Href, hit.Database = "Sources", "database-export", "/sources/"+f.ID, true
		case "destination":
			hit.Group, hit.Icon, hit.Href, hit.Database = "Destinations", "database-import", "/destinations/"+f.ID, true
		case "pipeline":
			hit.Group, hit.Icon, hit.Href = "Pipelines", "route", "/pipelines/"+f.ID
		case "table":
			hit.Group, hit.Icon, hit.Href = "Tables", "table", "/pipelines/"+f.ID+"/tables?q="+url.QueryEscape(f.Name)
		case "run":
			hit.Group, hit.Icon, hit.Href, hit.Name = "Runs", "history", "/runs/"+f.ID, f.Name+" · "+f.ID[:min(13, len(f.ID))]
		}
		view.Hits = append(view.Hits, hit)
	}
	if v.partial() {
		return v.fragment(pages.SearchResults(view))
	}
	return v.show(page{title: "Search"}, pages.Search(view))
}
