package web

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"arus/app/control"
	"arus/connectors"
	"arus/views/components"
	"arus/views/pages"
)

// backupRestorePage says what a restore of a backup does, and asks whether it is
// to be done.
func backupRestorePage(v *visit) error { return v.restoreForm(components.Form{}) }

func (v *visit) restoreForm(f components.Form) error {
	file := v.path("file")
	report, err := v.Control.VerifyBackup(v.ctx, file)
	view := pages.RestoreView{File: file, Form: f, Keyless: v.query("keyless") != "" || f.Value("without_key") != ""}
	if broken, ok := errors.AsType[*control.BackupError](err); ok {
		view.Fault = broken.Err.Error()
	} else if err != nil {
		return err
	}
	now, tables, err := v.Control.Contents(v.ctx)
	if err != nil {
		return err
	}
	view.At, view.Pairs, view.WithKey, view.Whole = report.CreatedAt, backupPairs(report), report.WithKey, report.Whole
	view.Lines = restoreLines(now, report.Contents)
	if report.Whole {
		view.Lines = append(view.Lines, pages.RestoreLine{What: "Tables of the warehouse", Now: int64(tables), Then: int64(len(report.Tables))})
	}
	view.Live = v.Control.OnRestore != nil
	view.Commands = restoreCommands(v.Control.DataDir(v.ctx), file, report.WithKey)
	return v.showAs(statusOf(f), page{title: "Restore", crumbs: backupCrumbs()}, pages.Restore(view))
}

func restoreLines(now, then control.Contents) []pages.RestoreLine {
	return []pages.RestoreLine{
		{What: "Accounts", Now: now.Users, Then: then.Users},
		{What: "Sources", Now: now.Sources, Then: then.Sources},
		{What: "Destinations", Now: now.Destinations, Then: then.Destinations},
		{What: "Pipelines", Now: now.Pipelines, Then: then.Pipelines},
		{What: "Runs", Now: now.Runs, Then: then.Runs},
	}
}

// restoreCommands is how the same is done where the console is out of reach.
func restoreCommands(dir, file string, withKey bool) string {
	flag := ""
	if withKey {
		flag = " --with-key"
	}
	return fmt.Sprintf("arus restore --data %s --force%s %s\narus serve --data %s", shellQuoted(dir), flag, shellQuoted(filepath.Join(dir, "backups", file)), shellQuoted(dir))
}

// backupRestore begins a restore.
func backupRestore(v *visit) error {
	file := v.path("file")
	if v.value("confirm") != file {
		return v.restoreForm(components.Form{Values: v.r.PostForm, Faults: map[string]string{"confirm": "must be the name of the backup, " + file}})
	}
	err := v.Control.StartRestore(v.ctx, control.RestoreRequest{
		File: file, Passphrase: connectors.Secret(v.r.PostForm.Get("passphrase")), WithoutKey: v.checked("without_key"), Pause: v.checked("pause"),
	})
	if err != nil {
		f, ok := v.form(err)
		if !ok {
			return err
		}
		return v.restoreForm(f)
	}
	return v.redirect("/backups/restore", components.Flash{})
}

// backupProgress is how far a restore is, and how it went: the page goes on
// asking while the server ends and begins again.
func backupProgress(v *visit) error {
	state, known, err := v.Control.Restoring(v.ctx)
	if err != nil {
		return err
	}
	if !known {
		return v.redirect("/backups", components.Flash{})
	}
	view := pages.RestoringView{
		File: state.File, Active: state.Active(), Saved: state.Saved, NotSaved: state.NotSaved, Aside: state.Restored.Aside, Fault: state.Fault,
		Tables: state.Restored.Tables, At: state.Restored.CreatedAt, Keyless: state.Restored.Key == "none",
	}
	if state.Keyless {
		view.Again = "?keyless=yes"
		view.Fault = "its passwords were sealed with a key that is not here, and no passphrase opened one in it"
	}
	phases := []control.RestorePhase{control.RestoreChecking, control.RestoreSaving, control.RestoreReplaces}
	at := len(phases)
	for i, p := range phases {
		if p == state.Phase {
			at = i
		}
	}
	for i, text := range []string{"Check every byte of the backup", "Back up what is there", "End what runs at its checkpoint, put the backup in place, begin again"} {
		view.Steps = append(view.Steps, pages.RestoreStep{Text: text, Done: i < at, Now: i == at})
	}
	p := page{title: "Restore", crumbs: backupCrumbs()}
	switch {
	case view.Active:
		p.icon, p.status = "busy", "restoring"
	case view.Fault != "":
		p.icon = "bad"
	}
	if v.query("part") != "" {
		return v.live(p, pages.RestoringPart(view))
	}
	return v.show(p, pages.Restoring(view))
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
