package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"arus/app/auth"
	"arus/app/model"
	"arus/app/secret"
	"arus/app/store"
)

// FindingStatus is how bad a finding of the doctor is.
type FindingStatus string

// The statuses. What is skipped could not be looked at.
const (
	FindingOK      FindingStatus = "ok"
	FindingWarning FindingStatus = "warning"
	FindingFailed  FindingStatus = "failed"
	FindingSkipped FindingStatus = "skipped"
)

// Finding is one thing that the doctor looked at.
type Finding struct {
	Name   string        `json:"name"`
	Status FindingStatus `json:"status"`
	Detail string        `json:"detail"`
	Hint   string        `json:"hint,omitempty"`
}

// What a disk must have free, in bytes, before the doctor says so.
const (
	diskLow  = 1 << 30
	diskFull = 100 << 20
)

// ExamineDir looks at a data directory without changing it, whether a program
// has it open or not. usable says whether it can be opened as it is.
func ExamineDir(ctx context.Context, dir, keyEnv string, now time.Time) (findings []Finding, usable bool) {
	add := func(name string, status FindingStatus, hint, format string, args ...any) {
		findings = append(findings, Finding{name, status, fmt.Sprintf(format, args...), hint})
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		add("data directory", FindingWarning, "the first command makes it", "%s is not there yet", dir)
		return findings, false
	case err != nil:
		add("data directory", FindingFailed, "give this user the right to read it", "%v", err)
		return findings, false
	case !info.IsDir():
		add("data directory", FindingFailed, "name a directory", "%s is a file", dir)
		return findings, false
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		add("data directory", FindingWarning, "chmod 700 "+dir, "%s may be entered by others (mode %o)", dir, info.Mode().Perm())
	default:
		add("data directory", FindingOK, "", "%s", dir)
	}
	if f, err := os.CreateTemp(dir, ".doctor-*"); err != nil {
		add("writable", FindingFailed, "give this user the right to write into it", "%v", err)
	} else {
		_, err = f.WriteString("x")
		if err = errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name())); err != nil {
			add("writable", FindingFailed, "check the disk", "%v", err)
		} else {
			add("writable", FindingOK, "", "files can be made in it")
		}
	}
	switch free, err := freeSpace(dir); {
	case err != nil:
		add("disk space", FindingSkipped, "", "%v", err)
	case free < diskFull:
		add("disk space", FindingFailed, "free some space", "%d MB are left", free>>20)
	case free < diskLow:
		add("disk space", FindingWarning, "free some space", "%d MB are left", free>>20)
	default:
		add("disk space", FindingOK, "", "%.1f GB are left", float64(free)/(1<<30))
	}
	file := filepath.Join(dir, store.FileName)
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		add("state file", FindingWarning, "the first command makes it", "there is none yet")
		return findings, false
	}
	look, err := store.Inspect(ctx, file)
	usable = err == nil
	switch {
	case err != nil:
		add("state file", FindingFailed, "restore a backup, or start the version that wrote it", "%v", err)
	case look.Version < look.Known:
		add("state file", FindingWarning, "the next start upgrades it, after a copy", "whole; its version is %d, this program's is %d", look.Version, look.Known)
		usable = false
	default:
		add("state file", FindingOK, "", "whole, version %d", look.Version)
	}
	findings = append(findings, examineClock(file, now))
	key := examineKey(ctx, dir, file, keyEnv, err == nil)
	// Opening the directory would make a key that is missing.
	return append(findings, key), usable && key.Status != FindingFailed
}

// examineClock compares the clock with what was written last.
func examineClock(file string, now time.Time) Finding {
	f := Finding{Name: "clock", Status: FindingOK, Detail: now.UTC().Format(time.RFC3339)}
	info, err := os.Stat(file)
	switch {
	case err == nil && info.ModTime().After(now.Add(time.Minute)):
		f.Status, f.Detail = FindingWarning, fmt.Sprintf("it says %s, but the state file was written at %s", now.UTC().Format(time.RFC3339), info.ModTime().UTC().Format(time.RFC3339))
		f.Hint = "set the clock: schedules and look-back windows depend on it"
	case now.Year() < 2025:
		f.Status, f.Hint = FindingWarning, "set the clock: schedules and certificates depend on it"
	}
	return f
}

// examineKey says whether the key opens what is sealed; it makes none.
func examineKey(ctx context.Context, dir, file, env string, readable bool) Finding {
	f := Finding{Name: "key", Status: FindingOK}
	if env == "" {
		info, err := os.Stat(filepath.Join(dir, secret.KeyFile))
		if errors.Is(err, fs.ErrNotExist) {
			f.Status, f.Detail, f.Hint = FindingFailed, "the key file is missing", "put a copy of it back, or set "+secret.KeyEnv
			return f
		}
		if err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
			f.Status, f.Detail, f.Hint = FindingWarning, "others may read the key file", "chmod 600 "+filepath.Join(dir, secret.KeyFile)
			return f
		}
	}
	ring, err := secret.Load(dir, env)
	if err != nil {
		f.Status, f.Detail = FindingFailed, err.Error()
		return f
	}
	if !readable {
		f.Status, f.Detail = FindingSkipped, "the state file cannot be read"
		return f
	}
	sealed, err := store.SealedSecrets(ctx, file)
	if err != nil {
		f.Status, f.Detail = FindingSkipped, err.Error()
		return f
	}
	bad := 0
	for _, text := range sealed {
		if _, err := ring.Open(text); err != nil {
			bad++
		}
	}
	f.Detail = fmt.Sprintf("it opens %d of %d stored secrets", len(sealed)-bad, len(sealed))
	if bad > 0 {
		f.Status, f.Hint = FindingFailed, "put the key back that they were sealed with, or enter them again"
	}
	return f
}

// Examine looks at everything that the program needs while it runs: the data
// directory, the key, the state file and every connection.
func (s *Service) Examine(ctx context.Context) ([]Finding, error) {
	if err := s.may(ctx, auth.Maintain); err != nil {
		return nil, err
	}
	env := ""
	if s.Getenv != nil {
		env = s.Getenv(secret.KeyEnv)
	}
	findings, _ := ExamineDir(ctx, s.Store.Dir(), env, s.Now())
	more, err := s.ExamineConnections(ctx)
	return append(findings, more...), err
}

// DataDir is the data directory, for whoever maintains it; "" for others.
func (s *Service) DataDir(ctx context.Context) string {
	if s.may(ctx, auth.Maintain) != nil {
		return ""
	}
	return s.Store.Dir()
}

// ExamineConnections tests every source and destination, and the interpreter of scripts.
func (s *Service) ExamineConnections(ctx context.Context) ([]Finding, error) {
	if err := s.may(ctx, auth.Maintain); err != nil {
		return nil, err
	}
	var findings []Finding
	add := func(name string, r TestResult, err error) {
		f := Finding{Name: name, Status: FindingOK, Detail: fmt.Sprintf("answers in %d ms %s", r.LatencyMS, r.ServerVersion)}
		if err != nil || !r.Connected {
			f.Status, f.Detail = FindingFailed, r.Error
			if err != nil {
				f.Detail = err.Error()
			}
		}
		findings = append(findings, f)
	}
	sources, err := all(func(p store.Page) ([]model.Source, int, error) { return s.Store.ListSources(ctx, p) })
	if err != nil {
		return nil, err
	}
	for _, src := range sources {
		r, err := s.TestSource(ctx, src.ID)
		add("source "+src.Name, r, err)
	}
	destinations, err := all(func(p store.Page) ([]model.Destination, int, error) { return s.Store.ListDestinations(ctx, p) })
	if err != nil {
		return nil, err
	}
	for _, dst := range destinations {
		r, err := s.TestDestination(ctx, dst.ID)
		add("destination "+dst.Name, r, err)
	}
	f := Finding{Name: "scripts", Status: FindingSkipped, Detail: "there is no interpreter"}
	if s.Python != nil {
		f.Status = FindingOK
		if f.Detail, err = s.Python.Describe(ctx); err != nil {
			f.Status, f.Detail = FindingWarning, err.Error()
		}
	}
	return append(findings, f), nil
}
