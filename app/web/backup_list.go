package web

import (
	"errors"
	"strings"

	"arus/app/control"
	"arus/views/components"
	"arus/views/pages"
)

func backupCrumbs() []components.Link { return []components.Link{{Label: "Backups", Href: "/backups"}} }

// backupList is the backups that there are.
func backupList(v *visit) error { return v.backupsPage(nil) }

func (v *visit) backupsPage(verified *pages.VerifiedBackup) error {
	backups, err := v.Control.ListBackups(v.ctx)
	if err != nil {
		return err
	}
	settings, err := v.Control.Settings(v.ctx)
	if err != nil {
		return err
	}
	state, known, err := v.Control.Restoring(v.ctx)
	if err != nil {
		return err
	}
	view := pages.BackupsView{Keep: settings.BackupKeep, Verified: verified, Restoring: known && state.Active()}
	if settings.BackupSchedule != "" {
		view.Schedule = strings.ToLower(scheduleWords(settings.BackupSchedule))
	}
	for _, b := range backups {
		view.Backups = append(view.Backups, pages.BackupLine{File: b.File, Archive: strings.HasSuffix(b.File, ".tar.gz"), Bytes: b.Bytes, At: b.CreatedAt})
	}
	return v.show(page{title: "Backups"}, pages.Backups(view))
}

// backupVerify reads a backup as a restore does.
func backupVerify(v *visit) error {
	report, err := v.Control.VerifyBackup(v.ctx, v.path("file"))
	verified := &pages.VerifiedBackup{File: v.path("file")}
	if broken, ok := errors.AsType[*control.BackupError](err); ok {
		verified.Fault = broken.Err.Error()
	} else if err != nil {
		return err
	}
	verified.Pairs = backupPairs(report)
	return v.backupsPage(verified)
}

// backupPairs says what a backup holds.
func backupPairs(r control.BackupReport) []components.Pair {
	if !r.Whole {
		return []components.Pair{{Key: "Holds", Value: "the state file alone"}, {Key: "Version of the state", Value: components.Number(r.Version)}}
	}
	var size int64
	for _, f := range r.Files {
		size += f.Bytes
	}
	key := "not in it"
	if r.WithKey {
		key = "in it, sealed by a passphrase"
	}
	return []components.Pair{
		{Key: "Made", Content: components.ClockTime(r.CreatedAt)},
		{Key: "Tables of the warehouse", Value: components.Number(len(r.Tables))},
		{Key: "Files", Value: components.Number(len(r.Files)) + ", " + components.Bytes(size) + " unpacked"},
		{Key: "Version of the state", Value: components.Number(r.Version)},
		{Key: "Key", Value: key},
	}
}
