package web

import (
	"net/http"
	"strings"

	"arus/views/components"
)

// warehouseCasesAdd adds cases to an enum column, one a line.
func warehouseCasesAdd(v *visit) error {
	t, err := v.Control.WarehouseTable(v.ctx, v.path("table"))
	if err != nil {
		return err
	}
	id, err := enumColumn(t, v.path("column"))
	if err != nil {
		return err
	}
	var cases []string
	for line := range strings.Lines(v.value("cases")) {
		if line = strings.TrimSpace(line); line != "" {
			cases = append(cases, line)
		}
	}
	if len(cases) == 0 {
		return v.casesPage(http.StatusUnprocessableEntity, components.Form{Values: v.r.PostForm, Faults: map[string]string{"cases": "names none"}})
	}
	if _, err := v.Control.AddWarehouseCases(v.ctx, t.Name, t.Columns[id].Name, cases); err != nil {
		f, ok := v.form(err)
		if !ok {
			return err
		}
		f.Faults, f.Message = map[string]string{"cases": f.Message}, ""
		return v.casesPage(http.StatusUnprocessableEntity, f)
	}
	return v.done(v.r.URL.Path, components.Plural(len(cases), "case")+" named; those that were new are added.")
}
