package control

import (
	"archive/tar"
	"bytes"
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

	"arus/app/model"
	"arus/app/secret"
	"arus/app/store"
	"arus/connectors"
)

// RestoreOptions say what to restore, and where.
type RestoreOptions struct {
	File       string // an archive, or a copy of a state file
	Dir        string // the data directory
	Force      bool   // also where something is; that goes aside
	WithoutKey bool   // also when nothing opens the secrets in it
	Pause      bool   // the restored pipelines are paused, and no run waits for its turn
	Passphrase connectors.Secret
	KeyEnv     string // the value of ARUS_ENCRYPTION_KEY
	Now        time.Time
}

// Restored is what a restore did.
type Restored struct {
	Dir       string    `json:"data_dir"`
	CreatedAt time.Time `json:"created_at,omitzero"` // of the backup; zero: a copy of a state file does not say
	Version   int64     `json:"state_version"`
	Tables    int       `json:"warehouse_tables"`
	Key       string    `json:"key"`             // from where: backup, kept, environment, none, not needed
	Aside     string    `json:"aside,omitempty"` // where what was there went
}

// ErrNotEmpty is the refusal to restore over what is there.
var ErrNotEmpty = errors.New("something is in it: choose another directory, or give --force, which puts that aside")

// ErrNoKey is the refusal to restore secrets that nothing opens.
var ErrNoKey = errors.New("the secrets in this backup were sealed with a key that is not here: put its " + secret.KeyFile + " into the data directory, " +
	"set " + secret.KeyEnv + ", or give --without-key and enter the passwords again")

// Restore puts a backup into a data directory that no program has open. Before
// anything there changes, the backup is unpacked beside it and checked whole.
func Restore(ctx context.Context, opts RestoreOptions) (r Restored, err error) {
	if r.Dir, err = filepath.Abs(opts.Dir); err != nil {
		return r, err
	}
	if !opts.Force {
		if err := emptyDir(r.Dir); err != nil {
			return r, fmt.Errorf("restore into %s: %w", r.Dir, err)
		}
	}
	if err := os.MkdirAll(r.Dir, 0o700); err != nil {
		return r, fmt.Errorf("make the data directory: %w", err)
	}
	staged, err := os.MkdirTemp(r.Dir, ".restore-") // on the same disk, so that the last step is a rename
	if err != nil {
		return r, fmt.Errorf("make room for the restore: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(staged)) }()

	replacement := store.Replacement{State: filepath.Join(staged, store.FileName), Dir: "warehouse", Files: map[string][]byte{}}
	var m BackupManifest
	if strings.HasSuffix(opts.File, backupSuffix) {
		if m, err = unpack(ctx, opts.File, staged); err != nil {
			return r, fmt.Errorf("read the backup %s: %w", opts.File, err)
		}
		replacement.Warehouse = filepath.Join(staged, "warehouse")
		if err := os.MkdirAll(replacement.Warehouse, 0o700); err != nil {
			return r, err
		}
		if text, err := os.ReadFile(filepath.Join(staged, backupSettings)); err == nil {
			replacement.Files[backupSettings] = text
		}
		r.CreatedAt, r.Tables = m.CreatedAt, len(m.Tables)
	} else if err := copyState(opts.File, replacement.State); err != nil {
		return r, fmt.Errorf("read the backup %s: %w", opts.File, err)
	}
	info, err := store.Inspect(ctx, replacement.State)
	if err != nil {
		return r, err
	}
	r.Version = info.Version
	if err := restoreKey(ctx, opts, &r, replacement, filepath.Join(staged, backupKey)); err != nil {
		return r, err
	}
	if opts.Pause {
		if err := store.PausePipelines(ctx, replacement.State); err != nil {
			return r, err
		}
	}
	replacement.Aside = filepath.Join(r.Dir, store.BackupsDir, "before-restore-"+opts.Now.UTC().Format(backupStamp))
	if err := store.Replace(ctx, r.Dir, replacement); err != nil {
		return r, err
	}
	if _, err := os.Stat(replacement.Aside); err == nil {
		r.Aside = replacement.Aside
	}
	return r, nil
}

// emptyDir is nil for a directory with nothing in it that would be lost. A key
// may be there already, and old backups.
func emptyDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if !slices.Contains([]string{secret.KeyFile, store.LockName, store.BackupsDir, "lost+found"}, e.Name()) {
			return ErrNotEmpty
		}
	}
	return err
}

func copyState(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// maxManifest bounds what is read into memory.
const maxManifest = 256 << 20

// unpack writes the files of an archive into a directory and checks each
// against the manifest: all are there, nothing else is, every byte is right.
func unpack(ctx context.Context, file, into string) (m BackupManifest, err error) {
	f, err := os.Open(file)
	if err != nil {
		return m, err
	}
	defer func() { _ = f.Close() }()
	zip, err := gzip.NewReader(f)
	if err != nil {
		return m, fmt.Errorf("it is no backup of Arus: %w", err)
	}
	found := map[string]BackupFile{}
	for pack := tar.NewReader(zip); ; {
		h, err := pack.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return m, fmt.Errorf("it is damaged: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return m, err
		}
		if h.Name == backupManifest {
			var text bytes.Buffer
			if _, err := io.Copy(&text, io.LimitReader(pack, maxManifest)); err != nil {
				return m, fmt.Errorf("it is damaged: %w", err)
			}
			if err := json.Unmarshal(text.Bytes(), &m); err != nil {
				return m, fmt.Errorf("it is damaged: %w", err)
			}
			continue
		}
		if !filepath.IsLocal(filepath.FromSlash(h.Name)) || h.Typeflag != tar.TypeReg {
			return m, fmt.Errorf("it names %q, which has no place in a backup", h.Name)
		}
		entry, err := unpackFile(pack, h, into)
		if err != nil {
			return m, err
		}
		found[entry.Name] = entry
	}
	switch {
	case m.Form == 0:
		return m, errors.New("it is not complete: its list of files is missing")
	case m.Form > backupForm:
		return m, fmt.Errorf("%w (its form is %d)", store.ErrTooNew, m.Form)
	case len(m.Files) != len(found):
		return m, fmt.Errorf("it is damaged: it has %d files and should have %d", len(found), len(m.Files))
	}
	for _, want := range m.Files {
		if found[want.Name] != want {
			return m, fmt.Errorf("it is damaged: %s is not as it was written", want.Name)
		}
	}
	return m, nil
}

func unpackFile(pack *tar.Reader, h *tar.Header, into string) (BackupFile, error) {
	entry := BackupFile{Name: h.Name}
	to := filepath.Join(into, filepath.FromSlash(h.Name))
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return entry, err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return entry, err
	}
	sum := sha256.New()
	entry.Bytes, err = io.CopyN(io.MultiWriter(out, sum), pack, h.Size)
	entry.SHA256 = hex.EncodeToString(sum.Sum(nil))
	if err != nil {
		err = fmt.Errorf("it is damaged at %s: %w", h.Name, err)
	}
	return entry, errors.Join(err, out.Sync(), out.Close())
}

// restoreKey finds the key that opens the restored secrets.
func restoreKey(ctx context.Context, opts RestoreOptions, r *Restored, replacement store.Replacement, sealed string) error {
	text, err := os.ReadFile(sealed)
	inside := err == nil
	if inside && opts.Passphrase != "" {
		key, err := openKey(text, opts.Passphrase)
		if err != nil {
			return err
		}
		replacement.Files[secret.KeyFile] = []byte(key + "\n")
		r.Key = "backup"
		return nil
	}
	if opts.Passphrase != "" {
		return fault("the restore", "passphrase", "is of no use: the backup holds no key")
	}
	secrets, err := store.SealedSecrets(ctx, replacement.State)
	if err != nil {
		return err
	}
	r.Key = "none"
	_, kept := os.Stat(filepath.Join(r.Dir, secret.KeyFile))
	if strings.TrimSpace(opts.KeyEnv) != "" || kept == nil {
		ring, err := secret.Load(r.Dir, opts.KeyEnv)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(secrets, func(s string) bool { _, err := ring.Open(s); return err != nil }) {
			r.Key = "kept"
			if strings.TrimSpace(opts.KeyEnv) != "" {
				r.Key = "environment"
			}
			return nil
		}
	}
	switch {
	case len(secrets) == 0:
		r.Key = "not needed"
		return nil
	case !opts.WithoutKey && inside:
		return &InvalidError{What: "the restore", Faults: []model.FieldError{{Field: "passphrase", Message: "is needed: the backup holds its key, sealed by one"}}}
	case !opts.WithoutKey:
		return ErrNoKey
	}
	return store.ForgetKeys(ctx, replacement.State)
}
