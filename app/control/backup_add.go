package control

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"arus/app/auth"
	"arus/app/store"
)

// How the files begin that are backups.
const (
	archiveMagic = "\x1f\x8b"
	stateMagic   = "SQLite format 3\x00"
)

// maxAhead is how far another machine's clock may be before this one's.
const maxAhead = 24 * time.Hour

// AddBackup puts a backup that was made elsewhere into the backups folder. It is
// checked whole before it gets its name, which is the one that this program would
// have given it.
func (s *Service) AddBackup(ctx context.Context, from io.Reader) (info BackupInfo, err error) {
	if err := s.may(ctx, auth.Maintain); err != nil {
		return info, err
	}
	body := bufio.NewReader(from)
	start, err := body.Peek(len(stateMagic)) // what is shorter is neither
	if err != nil && !errors.Is(err, io.EOF) {
		return info, fmt.Errorf("receive the backup: %w", err)
	}
	archive := bytes.HasPrefix(start, []byte(archiveMagic))
	if !archive && string(start) != stateMagic {
		return info, fault("the backup", "file", "is neither an archive of 'arus backup' nor a copy of a state file")
	}
	dir := filepath.Join(s.Store.Dir(), store.BackupsDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return info, fmt.Errorf("make the backups folder: %w", err)
	}
	place, err := os.MkdirTemp(dir, ".upload-")
	if err != nil {
		return info, fmt.Errorf("make room for the backup: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(place)) }()
	file := filepath.Join(place, "upload")
	if info.Bytes, err = receive(ctx, file, body); err != nil {
		return info, fmt.Errorf("receive the backup: %w", err)
	}
	r, err := examine(ctx, file, archive, place)
	if err != nil {
		return info, fault("the backup", "file", "%s", strings.ReplaceAll(err.Error(), place, ""))
	}
	if r.CreatedAt.After(s.Now().Add(maxAhead)) {
		return info, fault("the backup", "file", "says that it was made at %s, which is still to come: the clock of one of the machines is wrong", r.CreatedAt.UTC().Format(time.RFC3339))
	}
	info.CreatedAt, info.Tables, info.Outside = r.CreatedAt, len(r.Tables), []string{}
	name := backupPrefix + r.CreatedAt.UTC().Format(backupStamp) + backupSuffix
	if !archive {
		info.CreatedAt = s.Now().UTC()
		name = fmt.Sprintf("arus-%d-%s.db", r.Version, info.CreatedAt.Format(backupStamp))
	}
	info.File = filepath.Join(dir, name)
	switch _, err := os.Lstat(info.File); {
	case err == nil:
		return info, fmt.Errorf("%w: %s is there already", ErrConflict, name)
	case !errors.Is(err, fs.ErrNotExist):
		return info, err
	}
	if err := os.Rename(file, info.File); err != nil {
		return info, fmt.Errorf("keep the backup: %w", err)
	}
	return info, s.audit(ctx, s.Store, Change{Action: "state.add_backup", Name: name})
}

// receive writes what comes into a new file.
func receive(ctx context.Context, file string, from io.Reader) (n int64, err error) {
	out, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	n, err = io.Copy(out, readerOf(ctx, from))
	return n, errors.Join(err, out.Sync(), out.Close())
}

// readerOf reads until ctx ends.
func readerOf(ctx context.Context, from io.Reader) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return from.Read(p)
	})
}

type readerFunc func([]byte) (int, error)

// Read calls the function.
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
