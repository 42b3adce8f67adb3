package control_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"arus/app/auth"
	"arus/app/control"
	"arus/app/control/controltest"
	"arus/app/model"
	"arus/app/store"
)

// TestARestoreUnderAServer backs up what is there, hands the backup over, and is
// told of by the service that begins again.
func TestARestoreUnderAServer(t *testing.T) {
	t.Parallel()
	ctx := controltest.Admin(t)
	dir := filepath.Join(t.TempDir(), "data")
	s := controltest.Open(t, dir, time.Now, quiet())
	declared(t, s)
	made, err := s.Backup(ctx, control.BackupOptions{Passphrase: "correct horse battery"})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(made.File)
	if err := s.StartRestore(ctx, control.RestoreRequest{File: name}); !errors.Is(err, control.ErrNoServer) {
		t.Errorf("under no server: %v", err)
	}
	var handed *control.LiveRestore
	s.OnRestore = func(l *control.LiveRestore) { handed = l }
	for _, file := range []string{"arus-backup-none.tar.gz", "../arus.key"} {
		if _, err := s.RestoreBackup(ctx, control.RestoreRequest{File: file}); !errors.Is(err, control.ErrNotFound) {
			t.Errorf("%s: %v", file, err)
		}
	}
	viewer := auth.WithActor(ctx, auth.Actor{Kind: auth.ActorUser, Name: "v", Role: model.RoleEditor})
	if err := s.StartRestore(viewer, control.RestoreRequest{File: name}); err == nil {
		t.Error("an editor restored")
	}
	if _, known, err := s.Restoring(ctx); known || err != nil {
		t.Errorf("a restore that nobody began: %v, %v", known, err)
	}

	// What fails says why, hands nothing over and can be tried again.
	if _, err := s.RestoreBackup(ctx, control.RestoreRequest{File: name, Passphrase: "wrong horse battery"}); err == nil || handed != nil {
		t.Fatalf("with a wrong passphrase: %v, %v", err, handed)
	}
	if st, known, err := s.Restoring(ctx); err != nil || !known || st.Active() || st.Phase != control.RestoreFailed || !strings.Contains(st.Fault, "does not open the key") || st.Saved != "" {
		t.Errorf("%+v, %v, %v", st, known, err)
	}
	before, err := s.ListBackups(ctx)
	if err != nil || len(before) != 1 {
		t.Fatalf("%v, %v", before, err)
	}

	r, err := s.RestoreBackup(ctx, control.RestoreRequest{File: name, Passphrase: "correct horse battery", Pause: true})
	if err != nil || handed == nil || r.Key != "backup" {
		t.Fatalf("%+v, %v, %v", r, err, handed)
	}
	st, _, err := s.Restoring(ctx)
	if err != nil || st.Phase != control.RestoreReplaces || st.Saved == "" || st.NotSaved != "" {
		t.Errorf("%+v, %v", st, err)
	}
	if after, err := s.ListBackups(ctx); err != nil || len(after) != 2 || after[0].File != st.Saved {
		t.Errorf("%v, %v, want %s", after, err, st.Saved)
	}
	if err := s.StartRestore(ctx, control.RestoreRequest{File: name}); !errors.Is(err, control.ErrRestoring) {
		t.Errorf("a second one at the same time: %v", err)
	}
	if _, err := handed.Do(ctx); !errors.Is(err, store.ErrLocked) {
		t.Errorf("while the directory is open: %v", err)
	}

	// As a server does: let go, put it in place, begin again.
	if err := errors.Join(s.Stop(ctx), s.Store.Close()); err != nil {
		t.Fatal(err)
	}
	done, err := handed.Do(ctx)
	if err != nil || done.Aside == "" {
		t.Fatalf("%+v, %v", done, err)
	}
	again := controltest.Open(t, dir, time.Now, quiet())
	if err := again.TakeUp(ctx, handed); err != nil {
		t.Fatal(err)
	}
	if st, known, err := again.Restoring(ctx); err != nil || !known || st.Phase != control.RestoreDone || st.Restored.Aside != done.Aside || st.Saved == "" {
		t.Errorf("%+v, %v, %v", st, known, err)
	}
	log, _, err := again.Store.ListAudit(ctx, store.AuditFilter{Action: "state.restored"})
	if err != nil || len(log) != 1 || log[0].ObjectName != name || log[0].ActorName != "test" {
		t.Errorf("the audit log: %+v, %v", log, err)
	}
	pipelines, n, err := again.Store.ListPipelines(ctx, store.PipelineFilter{})
	if err != nil || n == 0 {
		t.Fatalf("%d pipelines, %v", n, err)
	}
	for _, p := range pipelines {
		if p.Status != model.PipelinePaused {
			t.Errorf("%s is %s after a restore that pauses", p.Name, p.Status)
		}
	}
}

// TestARestoreEndsWithTheProgram: one that is being checked leaves the state as
// it is when the program stops.
func TestARestoreEndsWithTheProgram(t *testing.T) {
	t.Parallel()
	ctx := controltest.Admin(t)
	dir := filepath.Join(t.TempDir(), "data")
	s := controltest.Open(t, dir, time.Now, quiet())
	declared(t, s)
	made, err := s.Backup(ctx, control.BackupOptions{})
	if err != nil {
		t.Fatal(err)
	}
	handed := make(chan *control.LiveRestore, 1)
	s.OnRestore = func(l *control.LiveRestore) { handed <- l }
	if err := s.StartRestore(ctx, control.RestoreRequest{File: filepath.Base(made.File)}); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(ctx); err != nil { // waits for it: it was handed over before, or was ended
		t.Fatal(err)
	}
	st, _, err := s.Restoring(ctx)
	if err != nil || st.Phase != control.RestoreReplaces && st.Phase != control.RestoreFailed || (st.Phase == control.RestoreReplaces) != (len(handed) == 1) {
		t.Errorf("%+v, %v, handed over %d", st, err, len(handed))
	}
	if err := s.StartRestore(ctx, control.RestoreRequest{File: filepath.Base(made.File)}); !errors.Is(err, control.ErrStopping) && !errors.Is(err, control.ErrRestoring) {
		t.Errorf("after the stop: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, store.BackupsDir, ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("what is left over: %v, %v", left, err)
	}
}

// TestBackupsFromElsewhere are taken when they are whole, and nothing is kept of
// the others.
func TestBackupsFromElsewhere(t *testing.T) {
	t.Parallel()
	ctx := controltest.Admin(t)
	there := controltest.Open(t, filepath.Join(t.TempDir(), "there"), time.Now, quiet())
	declared(t, there)
	made, err := there.Backup(ctx, control.BackupOptions{})
	if err != nil {
		t.Fatal(err)
	}
	copied, err := there.Store.Backup(ctx)
	if err != nil {
		t.Fatal(err)
	}
	archive, err := os.ReadFile(made.File)
	if err != nil {
		t.Fatal(err)
	}
	state, err := os.ReadFile(copied)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "here")
	s := controltest.Open(t, dir, time.Now, quiet())
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte("no archive"))
	_ = z.Close()
	for what, text := range map[string][]byte{
		"nothing": nil, "a word": []byte("word"), "half": archive[:len(archive)/2], "flipped": flipped(archive), "zipped": zipped.Bytes(),
		"half a state": state[:len(state)/2], "a header": []byte("SQLite format 3\x00"),
	} {
		if info, err := s.AddBackup(ctx, bytes.NewReader(text)); !invalidOf(err) {
			t.Errorf("%s: %+v, %v", what, info, err)
		} else if strings.Contains(err.Error(), dir) {
			t.Errorf("%s: names a place that is gone: %v", what, err)
		}
	}
	torn := io.MultiReader(bytes.NewReader(archive[:len(archive)/2]), &broken{})
	if _, err := s.AddBackup(ctx, torn); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a connection that breaks: %v", err)
	}
	if list, err := s.ListBackups(ctx); err != nil || len(list) != 0 {
		t.Fatalf("kept: %v, %v", list, err)
	}
	info, err := s.AddBackup(ctx, bytes.NewReader(archive))
	if err != nil || filepath.Base(info.File) != filepath.Base(made.File) || info.Bytes != int64(len(archive)) {
		t.Fatalf("%+v, %v, want %+v", info, err, made)
	}
	if _, err := s.AddBackup(ctx, bytes.NewReader(archive)); !errors.Is(err, control.ErrConflict) {
		t.Errorf("twice: %v", err)
	}
	plain, err := s.AddBackup(ctx, bytes.NewReader(state))
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.ListBackups(ctx)
	if err != nil || len(list) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	report, err := s.VerifyBackup(ctx, filepath.Base(plain.File))
	if err != nil || report.Whole || report.Contents.Pipelines == 0 || report.Contents.Sources == 0 {
		t.Errorf("%+v, %v", report, err)
	}
	now, _, err := s.Contents(ctx)
	if err != nil || now != (store.Contents{}) {
		t.Errorf("%+v, %v", now, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, store.BackupsDir, ".*")); err != nil || len(left) > 0 {
		t.Errorf("what is left over: %v, %v", left, err)
	}
}

func invalidOf(err error) bool {
	_, ok := errors.AsType[*control.InvalidError](err)
	return ok
}

// broken is a connection that breaks.
type broken struct{}

func (*broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
