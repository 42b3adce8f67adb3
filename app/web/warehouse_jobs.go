package web

import (
	"fmt"
	"net/http"

	"arus/app/control"
	"arus/app/model"
	"arus/connectors/warehouse"
	"arus/views/components"
	"arus/views/pages"
)

// warehouseJobs is the log of a table's jobs.
func warehouseJobs(v *visit) error { return v.jobsPage(http.StatusOK, components.Form{}) }

func (v *visit) jobsPage(status int, f components.Form) error {
	d, head, err := v.tableHead("jobs")
	if err != nil {
		return err
	}
	list := v.list()
	jobs, total, err := v.Control.ListTableJobs(v.ctx, head.Name, listPage(list))
	if err != nil {
		return err
	}
	list.Total = total
	view := pages.TableJobsView{Head: head, Form: f, List: list}
	for _, j := range jobs {
		view.Jobs = append(view.Jobs, pages.TableJobLine{Job: j.Job, Actor: j.Actor, Detail: j.Detail, Error: j.Error, At: j.At, Rows: j.Rows, Files: j.Files})
	}
	if head.Kind == "fact" {
		view.Due = []components.Pair{{Key: "Archiving", Content: components.Time(d.Archived)}, {Key: "Backfill", Content: components.Time(d.Backfilled)}, {Key: "Retention", Content: components.Time(d.Purged)}}
	} else {
		view.Due = []components.Pair{{Key: "Snapshot", Content: components.Time(d.Snapshot)}, {Key: "Changes since", Value: components.Number(d.Upserts)}}
	}
	return v.showAs(status, tablePage(head.Name, "Jobs"), pages.TableJobs(view))
}

// warehouseJobRun does one job of a table now.
func warehouseJobRun(v *visit) error {
	table, name := v.path("table"), v.value("job")
	var do func() (warehouse.Done, error)
	switch name {
	case warehouse.JobArchiving:
		do = func() (warehouse.Done, error) { return v.Control.ArchiveWarehouse(v.ctx, table, 0) }
	case warehouse.JobBackfill:
		do = func() (warehouse.Done, error) { return v.Control.BackfillWarehouse(v.ctx, table) }
	case warehouse.JobSnapshot:
		do = func() (warehouse.Done, error) { return v.Control.SnapshotWarehouse(v.ctx, table) }
	case warehouse.JobRetention:
		do = func() (warehouse.Done, error) { return v.Control.PurgeWarehouse(v.ctx, table, 0, 0, true) }
	case warehouse.JobCompaction:
		do = func() (warehouse.Done, error) { return v.Control.CompactWarehouse(v.ctx, table) }
	default:
		return &control.InvalidError{What: "the request", Faults: []model.FieldError{{Field: "job", Message: "is not known"}}}
	}
	done, err := do()
	if err != nil {
		f, ok := v.form(err)
		if !ok {
			return err
		}
		return v.jobsPage(http.StatusUnprocessableEntity, f)
	}
	return v.done("/warehouse/"+table+"/jobs", fmt.Sprintf("The job %s is done: %s, %s.", done.Job, components.Plural(done.Rows, "row"), components.Plural(done.Files, "file")))
}
