package web

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"arus/app/control"
	"arus/views/components"
	"arus/views/pages"
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

// backupRestore says what a restore of a backup does and how it is done: the
// program must not run meanwhile.
func backupRestore(v *visit) error {
	file := v.path("file")
	report, err := v.Control.VerifyBackup(v.ctx, file)
	view := pages.RestoreView{File: file}
	if broken, ok := errors.AsType[*control.BackupError](err); ok {
		view.Fault = broken.Err.Error()
	} else if err != nil {
		return err
	}
	view.At, view.Pairs, view.WithKey = report.CreatedAt, backupPairs(report), report.WithKey
	flag := ""
	if report.WithKey {
		flag = " --with-key"
	}
	dir := v.Control.DataDir(v.ctx)
	view.Commands = fmt.Sprintf("arus restore --data %s --force%s %s\narus serve --data %s", shellQuoted(dir), flag, shellQuoted(filepath.Join(dir, "backups", file)), shellQuoted(dir))
	return v.show(page{title: "Restore", crumbs: backupCrumbs()}, pages.Restore(view))
}

// shellQuoted is a text as one word of a command.
func shellQuoted(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool {
		plain := r == '/' || r == '-' || r == '_' || r == '.' || r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z'
		return !plain
	}) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
