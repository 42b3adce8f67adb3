package control

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"arus/app/auth"
	"arus/app/model"
	"arus/app/secret"
	"arus/app/store"
	"arus/connectors"
	"arus/connectors/warehouse"
)

const (
	backupPrefix = "arus-backup-"
	backupSuffix = ".tar.gz"
	backupStamp  = "20060102T150405.000Z"

	backupManifest = "manifest.json" // the last file of an archive
	backupKey      = "key.sealed.json"
	backupSettings = "arus.yaml"
	backupForm     = 1
)

// BackupManifest says what an archive holds.
type BackupManifest struct {
	Form      int          `json:"form"`
	CreatedAt time.Time    `json:"created_at"`
	Version   int64        `json:"state_version"`
	Tables    []string     `json:"warehouse_tables"`
	WithKey   bool         `json:"with_key"`
	Files     []BackupFile `json:"files"`
}

// BackupFile is a file of an archive.
type BackupFile struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// BackupOptions are the choices of a backup.
type BackupOptions struct {
	File       string            // empty: a file in the backups folder
	Passphrase connectors.Secret // seals the key into the archive; empty: the key stays out
}

// BackupInfo is a backup that lies in the backups folder or elsewhere.
type BackupInfo struct {
	File      string    `json:"file"`
	Bytes     int64     `json:"bytes"`
	CreatedAt time.Time `json:"created_at"`
	Tables    int       `json:"warehouse_tables"`
	Outside   []string  `json:"outside"` // embedded destinations that lie elsewhere and are not in it
}

// Backup writes the state file and the built-in warehouse into one archive,
// while runs may go on: first the state, then each table as it stands, so that a
// watermark in the archive never passes rows that are not in it.
func (s *Service) Backup(ctx context.Context, opts BackupOptions) (BackupInfo, error) {
	if err := s.may(ctx, auth.Maintain); err != nil {
		return BackupInfo{}, err
	}
	info, err := s.backup(ctx, opts)
	if err != nil {
		return info, err
	}
	return info, s.audit(ctx, s.Store, Change{Action: "state.backup", Name: info.File})
}

func (s *Service) backup(ctx context.Context, opts BackupOptions) (info BackupInfo, err error) {
	dir := filepath.Join(s.Store.Dir(), store.BackupsDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return info, fmt.Errorf("make the backups folder: %w", err)
	}
	now := s.Now().UTC()
	if opts.File == "" {
		opts.File = filepath.Join(dir, backupPrefix+now.Format(backupStamp)+backupSuffix)
	}
	staged, err := os.MkdirTemp(dir, ".backup-")
	if err != nil {
		return info, fmt.Errorf("make room for the backup: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(staged)) }()

	m := BackupManifest{Form: backupForm, CreatedAt: now.Truncate(time.Millisecond), Tables: []string{}}
	state := filepath.Join(staged, store.FileName)
	if err := s.Store.CopyTo(ctx, state); err != nil {
		return info, err
	}
	look, err := store.Inspect(ctx, state)
	if err != nil {
		return info, err
	}
	m.Version = look.Version
	tables := filepath.Join(staged, "warehouse")
	found, err := warehouse.Snapshot(ctx, WarehouseDir(s.Store.Dir()), tables)
	if err != nil {
		return info, err
	}
	m.Tables = append(m.Tables, found...)
	if text, err := os.ReadFile(filepath.Join(s.Store.Dir(), backupSettings)); err == nil {
		if err := os.WriteFile(filepath.Join(staged, backupSettings), text, 0o600); err != nil {
			return info, err
		}
	}
	if opts.Passphrase != "" {
		keys, err := s.keyText()
		if err != nil {
			return info, err
		}
		sealed, err := sealKey(keys, opts.Passphrase)
		if err == nil {
			err = os.WriteFile(filepath.Join(staged, backupKey), sealed, 0o600)
		}
		if err != nil {
			return info, fmt.Errorf("put the key into the backup: %w", err)
		}
		m.WithKey = true
	}
	if err := writeArchive(ctx, staged, opts.File, &m); err != nil {
		return info, fmt.Errorf("write the backup %s: %w", opts.File, err)
	}
	size, err := os.Stat(opts.File)
	if err != nil {
		return info, err
	}
	info = BackupInfo{File: opts.File, Bytes: size.Size(), CreatedAt: m.CreatedAt, Tables: len(m.Tables), Outside: []string{}}
	list, err := all(func(p store.Page) ([]model.Destination, int, error) { return s.Store.ListDestinations(ctx, p) })
	for _, d := range list {
		if d.Type == model.DestinationEmbedded && d.Database != "" && realPath(d.Database) != realPath(WarehouseDir(s.Store.Dir())) {
			info.Outside = append(info.Outside, d.Name)
		}
	}
	return info, err
}

// keyText is the key as it is given to the program.
func (s *Service) keyText() (string, error) {
	if env := strings.TrimSpace(s.Getenv(secret.KeyEnv)); env != "" {
		return env, nil
	}
	text, err := os.ReadFile(filepath.Join(s.Store.Dir(), secret.KeyFile))
	if err != nil {
		return "", fmt.Errorf("read the key file: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// writeArchive packs a directory. The file appears under its name when it is
// whole and on disk.
func writeArchive(ctx context.Context, from, to string, m *BackupManifest) (err error) {
	tmp := to + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp))
		}
	}()
	zip, err := gzip.NewWriterLevel(f, gzip.BestSpeed)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	pack := tar.NewWriter(zip)
	err = filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		entry, err := packFile(pack, path, filepath.ToSlash(rel), m.CreatedAt)
		m.Files = append(m.Files, entry)
		return err
	})
	if err == nil {
		var text []byte
		if text, err = json.MarshalIndent(m, "", "  "); err == nil {
			err = pack.WriteHeader(&tar.Header{Name: backupManifest, Size: int64(len(text)), Mode: 0o600, ModTime: m.CreatedAt})
		}
		if err == nil {
			_, err = pack.Write(text)
		}
	}
	if err = errors.Join(err, pack.Close(), zip.Close(), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, to)
}

func packFile(pack *tar.Writer, path, name string, at time.Time) (BackupFile, error) {
	entry := BackupFile{Name: name}
	in, err := os.Open(path)
	if err != nil {
		return entry, err
	}
	defer func() { _ = in.Close() }()
	info, err := in.Stat()
	if err != nil {
		return entry, err
	}
	entry.Bytes = info.Size()
	if err := pack.WriteHeader(&tar.Header{Name: name, Size: entry.Bytes, Mode: 0o600, ModTime: at}); err != nil {
		return entry, err
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(pack, sum), in)
	entry.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return entry, err
}

// ListBackups gives the backups in the backups folder, the newest first: the
// archives, and the copies of the state file that are made before it is upgraded.
func (s *Service) ListBackups(ctx context.Context) ([]BackupInfo, error) {
	if err := s.may(ctx, auth.Maintain); err != nil {
		return nil, err
	}
	return s.backups()
}

func (s *Service) backups() ([]BackupInfo, error) {
	entries, err := os.ReadDir(filepath.Join(s.Store.Dir(), store.BackupsDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the backups: %w", err)
	}
	list := []BackupInfo{}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || !isBackupName(e.Name()) {
			continue
		}
		list = append(list, BackupInfo{File: e.Name(), Bytes: info.Size(), CreatedAt: backupTime(e.Name(), info.ModTime()), Outside: []string{}})
	}
	slices.SortFunc(list, func(a, b BackupInfo) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return list, nil
}

func isBackupName(name string) bool {
	return filepath.Base(name) == name && strings.HasPrefix(name, "arus-") && (strings.HasSuffix(name, backupSuffix) || strings.HasSuffix(name, ".db"))
}

// backupTime is when a backup was made, by its name.
func backupTime(name string, def time.Time) time.Time {
	at, err := time.Parse(backupStamp, strings.TrimSuffix(strings.TrimPrefix(name, backupPrefix), backupSuffix))
	if err != nil {
		return def.UTC()
	}
	return at
}

// OpenBackup opens a file of the backups folder, to be sent to somebody.
func (s *Service) OpenBackup(ctx context.Context, name string) (*os.File, error) {
	if err := s.may(ctx, auth.Maintain); err != nil {
		return nil, err
	}
	if !isBackupName(name) {
		return nil, ErrNotFound
	}
	f, err := os.Open(filepath.Join(s.Store.Dir(), store.BackupsDir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("open the backup: %w", err)
	}
	return f, s.audit(ctx, s.Store, Change{Action: "state.download", Name: name})
}

// BackupIfDue makes the backup that the setting backup_schedule asks for when
// its time has come since the newest one, or since the given time where there is
// none, and removes the ones that are no longer kept. made is nil when none was
// due.
func (s *Service) BackupIfDue(ctx context.Context, since time.Time) (made *BackupInfo, err error) {
	if err := s.may(ctx, auth.Maintain); err != nil {
		return nil, err
	}
	settings, err := s.settings(ctx)
	if err != nil || settings.BackupSchedule == "" {
		return nil, err
	}
	when, err := model.ParseSchedule(settings.BackupSchedule, settings.TimeZone)
	if err != nil || when.IsZero() {
		return nil, err
	}
	list, err := s.archives()
	if err != nil {
		return nil, err
	}
	if len(list) > 0 {
		since = list[0].CreatedAt
	}
	if due := when.Next(since); due.IsZero() || due.After(s.Now()) {
		return nil, nil
	}
	info, err := s.Backup(ctx, BackupOptions{})
	if err != nil {
		return nil, err
	}
	return &info, s.dropBackups(settings.BackupKeep)
}

func (s *Service) archives() ([]BackupInfo, error) {
	list, err := s.backups()
	return slices.DeleteFunc(list, func(b BackupInfo) bool { return !strings.HasPrefix(b.File, backupPrefix) }), err
}

// dropBackups keeps the newest archives of the backups folder.
func (s *Service) dropBackups(keep int) error {
	list, err := s.archives()
	if err != nil || keep <= 0 || len(list) <= keep {
		return err
	}
	for _, old := range list[keep:] {
		err = errors.Join(err, os.Remove(filepath.Join(s.Store.Dir(), store.BackupsDir, old.File)))
	}
	return err
}
