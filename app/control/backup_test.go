package control_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"arus/app/control"
	"arus/app/control/controltest"
	"arus/app/engine"
	"arus/app/model"
	"arus/app/store"
	"arus/connectors"
	"arus/embed/sample"
)

func sampleShop(t *testing.T, rows int) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "shop.db")
	if err := sample.Create(t.Context(), file, rows); err != nil {
		t.Fatal(err)
	}
	return file
}

func shopSync(file string) control.SyncRequest {
	return control.SyncRequest{
		From: connectors.Config{Type: "sqlite", Database: file}, To: connectors.Config{Type: "embedded"},
		Mode: model.SyncAuto, LoadMode: model.LoadDirect, Progress: func(engine.Event) {},
	}
}

// TestRestoreOfABackupTakenDuringARun: backups are taken at many moments of a
// running sync; each restores to a state whose next run makes the warehouse
// equal to the source, with nothing lost and nothing doubled.
func TestRestoreOfABackupTakenDuringARun(t *testing.T) {
	t.Parallel()
	ctx := controltest.Admin(t)
	dir, shop := t.TempDir(), sampleShop(t, 20_000)
	s := controltest.Open(t, dir, time.Now, quiet())
	out := t.TempDir()
	var files []string
	taken := func(when string) {
		info, err := s.Backup(ctx, control.BackupOptions{File: filepath.Join(out, when+".tar.gz")})
		if err != nil {
			t.Errorf("back up at %s: %v", when, err)
			return
		}
		files = append(files, info.File)
	}
	run := func(name string) {
		req := shopSync(shop)
		var mu sync.Mutex // tables tell of their progress at the same time
		n := 0
		req.Progress = func(engine.Event) { // the run waits for it
			mu.Lock()
			defer mu.Unlock()
			if n++; slices.Contains([]int{1, 2, 5, 10}, n) {
				taken(fmt.Sprint(name, n))
			}
		}
		report, err := s.Sync(ctx, req)
		if err != nil || report.Status != model.RunSuccess {
			t.Fatalf("%s: %v %s %v", name, err, report.Status, report.Error)
		}
	}
	run("first")
	if _, err := sample.Change(ctx, shop, 1); err != nil {
		t.Fatal(err)
	}
	run("second")
	if len(files) < 4 {
		t.Fatalf("only %d backups were taken", len(files))
	}
	if _, err := sample.Change(ctx, shop, 2); err != nil {
		t.Fatal(err)
	}
	running := 0
	for _, file := range files {
		to := filepath.Join(t.TempDir(), "data")
		r, err := control.Restore(ctx, control.RestoreOptions{File: file, Dir: to, WithoutKey: true, Now: time.Now()})
		if err != nil {
			t.Fatalf("%s: %v", filepath.Base(file), err)
		}
		again := controltest.Open(t, to, time.Now, quiet())
		runs, _, err := again.Store.ListRuns(ctx, store.RunFilter{})
		if err != nil {
			t.Fatal(err)
		}
		if len(runs) > 0 && runs[0].Status == model.RunRunning {
			running++
		}
		if err := again.Rescue(ctx); err != nil {
			t.Fatal(err)
		}
		report, err := again.Sync(ctx, shopSync(shop))
		if err != nil || report.Status != model.RunSuccess {
			t.Fatalf("%s with %d tables: %v %s %s", filepath.Base(file), r.Tables, err, report.Status, report.Error)
		}
		results, err := again.Verify(ctx, report.Pipeline)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range results {
			if !v.Equal {
				t.Errorf("%s: %s: missing %d, extra %d, changed %d of %d rows", filepath.Base(file), v.Table, v.Missing, v.Extra, v.Changed, v.Rows)
			}
		}
	}
	t.Logf("%d backups, %d of them with a run going on", len(files), running)
	if running == 0 {
		t.Error("no backup was taken during a run")
	}
}

// TestRestoreRefuses what is damaged, what would be lost, what is newer, and
// secrets that nothing opens.
func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	ctx := controltest.Admin(t)
	dir := t.TempDir()
	s := controltest.Open(t, dir, time.Now, quiet())
	declared(t, s)
	plain := filepath.Join(t.TempDir(), "plain.tar.gz")
	if _, err := s.Backup(ctx, control.BackupOptions{File: plain}); err != nil {
		t.Fatal(err)
	}
	sealed := filepath.Join(t.TempDir(), "sealed.tar.gz")
	if _, err := s.Backup(ctx, control.BackupOptions{File: sealed, Passphrase: "correct horse battery"}); err != nil {
		t.Fatal(err)
	}
	restore := func(opts control.RestoreOptions) (control.Restored, error) {
		opts.Now = time.Now()
		if opts.Dir == "" {
			opts.Dir = filepath.Join(t.TempDir(), "data")
		}
		return control.Restore(ctx, opts)
	}
	if _, err := restore(control.RestoreOptions{File: plain}); !errors.Is(err, control.ErrNoKey) {
		t.Errorf("without a key: %v", err)
	}
	if _, err := restore(control.RestoreOptions{File: sealed, Passphrase: "wrong horse battery"}); !errors.Is(err, control.ErrPassphrase) {
		t.Errorf("with a wrong passphrase: %v", err)
	}
	if _, err := restore(control.RestoreOptions{File: sealed, Dir: dir}); !errors.Is(err, control.ErrNotEmpty) {
		t.Errorf("over a data directory: %v", err)
	}
	if _, err := restore(control.RestoreOptions{File: sealed, Dir: dir, Force: true, Passphrase: "correct horse battery"}); !errors.Is(err, store.ErrLocked) {
		t.Errorf("over one that is open: %v", err)
	}
	whole, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"short": whole[:len(whole)-100], "flipped": flipped(whole)} {
		bad := filepath.Join(t.TempDir(), name+".tar.gz")
		if err := os.WriteFile(bad, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := restore(control.RestoreOptions{File: bad, WithoutKey: true}); err == nil {
			t.Errorf("a %s backup was restored", name)
		}
	}

	// With its key everything opens; with force what was there goes aside.
	to := filepath.Join(t.TempDir(), "data")
	if r, err := restore(control.RestoreOptions{File: sealed, Dir: to, Passphrase: "correct horse battery"}); err != nil || r.Key != "backup" {
		t.Fatalf("%+v, %v", r, err)
	}
	r, err := restore(control.RestoreOptions{File: plain, Dir: to, Force: true})
	if err != nil || r.Key != "kept" || r.Aside == "" {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := os.Stat(filepath.Join(r.Aside, store.FileName)); err != nil {
		t.Error(err)
	}
	again := controltest.Open(t, to, time.Now, quiet())
	src, err := again.Store.FindSource(ctx, "shop-a")
	if err != nil {
		t.Fatal(err)
	}
	if password, err := again.Ring.Open(src.PasswordEnc); err != nil || password != "s3cret-two" {
		t.Errorf("the password is %q, %v", password, err)
	}
	if text := exported(t, again); text != exported(t, s) {
		t.Error("the restored configuration differs")
	}
}

func flipped(text []byte) []byte {
	out := append([]byte{}, text...)
	out[len(out)/2] ^= 0x40
	return out
}

// TestScheduledBackups: one when its time has come, the old ones go.
func TestScheduledBackups(t *testing.T) {
	t.Parallel()
	ctx := controltest.Admin(t)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := controltest.Open(t, t.TempDir(), func() time.Time { return now }, quiet())
	if made, err := s.BackupIfDue(ctx, now.AddDate(0, 0, -9)); made != nil || err != nil {
		t.Errorf("a backup that nobody asked for: %v, %v", made, err)
	}
	if err := s.ChangeSettings(ctx, map[string]string{"backup_schedule": "0 3 * * *", "backup_keep": "2"}, nil); err != nil {
		t.Fatal(err)
	}
	started := now
	for day := range 4 {
		if made, err := s.BackupIfDue(ctx, started); made != nil || err != nil {
			t.Errorf("day %d: a backup before its time: %v, %v", day, made, err)
		}
		now = now.AddDate(0, 0, 1)
		if made, err := s.BackupIfDue(ctx, started); made == nil || err != nil {
			t.Errorf("day %d: no backup: %v", day, err)
		}
	}
	list, err := s.ListBackups(ctx)
	if err != nil || len(list) != 2 || !list[0].CreatedAt.Equal(now) {
		t.Fatalf("%v, %v", list, err)
	}
	f, err := s.OpenBackup(ctx, list[0].File)
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	for _, name := range []string{"../arus.key", "arus.key", "arus-backup-x.tar.gz"} {
		if _, err := s.OpenBackup(ctx, name); !errors.Is(err, control.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
