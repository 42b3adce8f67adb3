package web

import (
	"path/filepath"
	"strings"
	"unicode/utf8"

	"arus/app/auth"
	"arus/app/control"
	"arus/connectors"
	"arus/views/components"
	"arus/views/pages"
)

// backupNewPage asks how a backup is made.
func backupNewPage(v *visit) error { return v.backupNewForm(components.Form{}) }

func (v *visit) backupNewForm(f components.Form) error {
	return v.showAs(statusOf(f), page{title: "Make a backup", crumbs: backupCrumbs()}, pages.BackupNew(f))
}

// backupNew makes a backup now.
func backupNew(v *visit) error {
	passphrase := v.r.PostForm.Get("passphrase")
	if passphrase != "" && utf8.RuneCountInString(passphrase) < auth.MinPassword {
		return v.backupNewForm(components.Form{Faults: map[string]string{"passphrase": "needs at least 12 characters: whoever has the backup can try as many as they like"}})
	}
	info, err := v.Control.Backup(v.ctx, control.BackupOptions{Passphrase: connectors.Secret(passphrase)})
	if err != nil {
		return err
	}
	said := "The backup " + filepath.Base(info.File) + " is made: " + components.Bytes(info.Bytes) + ", " + components.Plural(info.Tables, "table") + "."
	if len(info.Outside) > 0 {
		return v.redirect("/backups", components.Flash{Kind: "warning", Text: said + " The warehouses of these destinations lie elsewhere and are not in it: " + strings.Join(info.Outside, ", ") + "."})
	}
	return v.done("/backups", said)
}
