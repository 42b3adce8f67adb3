package web

import (
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"time"

	"arus/app/api"
	"arus/app/control"
	"arus/views/components"
	"arus/views/pages"
)

// backupUpload is where a backup that was made elsewhere is sent to.
const backupUpload = "/backups/upload"

// backupUploadPage asks for a backup that was made elsewhere.
func backupUploadPage(v *visit) error { return v.uploadForm(components.Form{}) }

func (v *visit) uploadForm(f components.Form) error {
	return v.showAs(statusOf(f), page{title: "Upload a backup", crumbs: backupCrumbs()}, pages.BackupUpload(f))
}

// backupAdd takes a backup that was made elsewhere. It goes to the disk as it
// comes, whatever its size.
func backupAdd(v *visit) error {
	v.r.Body = http.MaxBytesReader(v.w, io.NopCloser(api.Patient(v.w, v.r.Body)), 1<<62)
	parts, err := v.r.MultipartReader()
	if err != nil {
		return v.uploadForm(components.Form{Message: "No file was sent."})
	}
	part, err := parts.NextPart()
	for err == nil && part.FormName() != "file" {
		part, err = parts.NextPart()
	}
	if errors.Is(err, io.EOF) || err == nil && part.FileName() == "" {
		return v.uploadForm(components.Form{Faults: map[string]string{"file": "is missing: choose one"}})
	}
	var info control.BackupInfo
	if err == nil {
		info, err = v.Control.AddBackup(v.ctx, part)
	}
	if err != nil {
		f, ok := v.form(err)
		if !ok {
			return err
		}
		return v.uploadForm(f)
	}
	_ = http.NewResponseController(v.w).SetReadDeadline(time.Time{})
	return v.done("/backups", "The backup "+filepath.Base(info.File)+" is here and whole: "+components.Bytes(info.Bytes)+", "+components.Plural(info.Tables, "table")+".")
}
