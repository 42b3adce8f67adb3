package web

import (
	"fmt"
	"net/http"
	"time"

	"arus/views/components"
)

// backupDownload sends a backup.
func backupDownload(v *visit) error {
	f, err := v.Control.OpenBackup(v.ctx, v.path("file"))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	v.w.Header().Set("Content-Type", "application/octet-stream")
	v.w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", v.path("file")))
	http.ServeContent(v.w, v.r, "", time.Time{}, f)
	return nil
}

// backupDeletePage asks whether a backup is to be deleted.
func backupDeletePage(v *visit) error {
	file := v.path("file")
	return v.confirm(page{title: "Delete", crumbs: backupCrumbs()}, components.Confirm{
		Title: "Delete the backup?", Text: file + " is deleted for good.", Consequences: []string{"What it holds cannot be brought back by it any more."},
		Action: "/backups/" + file + "/delete", Submit: "Delete the backup", Back: "/backups", Danger: true,
	})
}

// backupDelete deletes a backup.
func backupDelete(v *visit) error {
	if err := v.Control.DeleteBackup(v.ctx, v.path("file")); err != nil {
		return err
	}
	return v.done("/backups", v.path("file")+" is deleted.")
}
