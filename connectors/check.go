package connectors

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// CheckFunc tests a connection in stages; after one that failed the others are
// skipped. Nothing it makes stays on the server, and no text holds a password.
type CheckFunc func(ctx context.Context, cfg Config, opts CheckOptions) []Stage

// CheckOptions say what a connection is tested for.
type CheckOptions struct {
	Source      bool             // the tables that Tables admits are to be read
	Destination bool             // tables in the schemas Targets are to be written
	Tables      TableFilter      // which tables a source reads
	Targets     []string         // which schemas a destination writes; empty: one of its own that is new
	Timeout     time.Duration    // of each stage; 0 = DefaultStageTimeout
	Now         func() time.Time // this machine's clock; nil = time.Now
	Each        func(Stage)      // hears of every stage as it ends; nil: nobody does
}

// A stage that waits in vain is the last one, so that a test takes about as
// long as its stages' time; the whole is bounded in any case.
const (
	DefaultStageTimeout = 8 * time.Second
	checkTimeout        = 30 * time.Second
	maxSkew             = 5 * time.Second
)

// StageStatus is how a stage ended.
type StageStatus string

// How a stage ended. A warning does not fail the test.
const (
	StageOK      StageStatus = "ok"
	StageFailed  StageStatus = "failed"
	StageSkipped StageStatus = "skipped"
	StageWarning StageStatus = "warning"
)

// The stages of servers, in order, and of files.
const (
	StageSettings   = "settings" // only there when the settings are wrong
	StageName       = "name"
	StageTCP        = "tcp"
	StageTLS        = "tls"
	StageLogin      = "login"
	StageDatabase   = "database"
	StagePrivileges = "privileges"
	StageVersion    = "version"
	StageClock      = "clock"
	StageFile       = "file"
	StageDirectory  = "directory"
	StageOpen       = "open"
	StageRead       = "read"
	StageWrite      = "write"
	StageSpace      = "space"
)

// Stage is one step of a connection test and what came of it.
type Stage struct {
	Name       string      `json:"name"`
	As         string      `json:"as,omitempty"` // source or destination, where the stage is about one of them
	Status     StageStatus `json:"status"`
	DurationMS int64       `json:"duration_ms"`
	Detail     string      `json:"detail,omitempty"` // what was found, or what went wrong
	Hint       string      `json:"hint,omitempty"`
	Fix        []string    `json:"fix,omitempty"` // statements for an administrator to run, in order
	Version    string      `json:"-"`             // the server's name and version, at the stage that learnt it
	Err        error       `json:"-"`
}

// The two things a connection is tested for, as Stage.As names them.
const (
	AsSource      = "source"
	AsDestination = "destination"
)

// FailedStage is the stage that ended a test; ok is false when none failed.
func FailedStage(stages []Stage) (failed Stage, ok bool) {
	for _, s := range stages {
		if s.Status == StageFailed {
			return s, true
		}
	}
	return Stage{}, false
}

// Stages runs the stages of one test one after the other.
type Stages struct {
	cfg    Config
	opts   CheckOptions
	list   []Stage
	failed bool
}

// NewStages begins a test.
func NewStages(cfg Config, opts CheckOptions) *Stages {
	if opts.Timeout <= 0 {
		opts.Timeout = DefaultStageTimeout
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Stages{cfg: cfg, opts: opts}
}

// Bound limits the whole test.
func (s *Stages) Bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, checkTimeout)
}

// List gives the stages so far.
func (s *Stages) List() []Stage { return s.list }

// Settings fails the test when the settings themselves are wrong.
func (s *Stages) Settings(err error) {
	if err != nil {
		s.add(Stage{Name: StageSettings}, 0, err)
	}
}

// Run runs one stage, in its own time, unless an earlier one failed. try notes
// what it found; a status it leaves empty is ok.
func (s *Stages) Run(ctx context.Context, stage Stage, try func(ctx context.Context, found *Stage) error) {
	if s.failed {
		stage.Status = StageSkipped
		s.end(stage)
		return
	}
	limited, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	started := time.Now()
	err := try(limited, &stage)
	s.add(stage, time.Since(started), s.inTime(ctx, limited, err))
}

// inTime says in plain words that a stage's time was up.
func (s *Stages) inTime(ctx, limited context.Context, err error) error {
	if err == nil || ctx.Err() != nil || limited.Err() == nil || KindOf(err) != KindTimeout {
		return err
	}
	hint := "check the host, the port and firewalls between here and the server"
	if s.cfg.Host == "" {
		hint = "another program may hold it locked, or its disk is slow"
	}
	return &Error{Kind: KindTimeout, Err: fmt.Errorf("%s did not answer within %s", s.cfg.Address(), s.opts.Timeout), Hint: hint}
}

func (s *Stages) add(stage Stage, took time.Duration, err error) {
	stage.DurationMS = took.Round(time.Millisecond).Milliseconds()
	if err != nil {
		stage.Status, stage.Err, s.failed = StageFailed, err, true
		stage.Detail = s.withoutPassword(what(err))
		if e, ok := errors.AsType[*Error](err); ok && stage.Hint == "" {
			stage.Hint = e.Hint
		}
	}
	if stage.Status == "" {
		stage.Status = StageOK
	}
	s.end(stage)
}

func (s *Stages) end(stage Stage) {
	s.list = append(s.list, stage)
	if s.opts.Each != nil {
		s.opts.Each(stage)
	}
}

// what is an error without its hint, which stands by itself.
func what(err error) string {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return strings.Map(noControl, oneLine(err.Error()))
	}
	bare := *e
	bare.Hint = ""
	return strings.TrimPrefix(strings.TrimSpace(bare.Error()), ": ")
}

// withoutPassword makes sure of what drivers promise. A password that is part of
// a name, or so short that it is part of words, would only be given away by the
// gap it leaves.
func (s *Stages) withoutPassword(text string) string {
	secret := s.cfg.Password.Reveal()
	if len(secret) < 4 || strings.Contains(s.cfg.Username+" "+s.cfg.Host+" "+s.cfg.Database, secret) {
		return text
	}
	return strings.ReplaceAll(text, secret, redacted)
}

// Clock compares the server's clock with this machine's.
func (s *Stages) Clock(ctx context.Context, ask func(ctx context.Context) (time.Time, error)) {
	s.Run(ctx, Stage{Name: StageClock}, func(ctx context.Context, found *Stage) error {
		before := s.opts.Now()
		server, err := ask(ctx)
		if err != nil {
			return err
		}
		after := s.opts.Now()
		skew := server.Sub(before.Add(after.Sub(before) / 2))
		way := "ahead of"
		if skew < 0 {
			way, skew = "behind", -skew
		}
		if skew > maxSkew {
			found.Status = StageWarning
			found.Hint = "let both clocks follow a time server: times that this machine and the server write are compared with each other"
		}
		if found.Detail = "the server's clock agrees"; skew >= time.Second {
			found.Detail = fmt.Sprintf("the server's clock is %s %s this machine's", skew.Round(time.Second), way)
		}
		return nil
	})
}

// scratchPrefix begins the name of everything that a test makes and removes.
const scratchPrefix = "_arus_check_"

// ScratchName names what a test makes, so that it meets nothing that exists.
func ScratchName() string {
	var unique [6]byte
	_, _ = rand.Read(unique[:]) // never fails
	return fmt.Sprintf("%s%08x_%s", scratchPrefix, time.Now().Unix(), hex.EncodeToString(unique[:]))
}

// StaleScratch says whether a name is of what a test made more than an hour ago:
// its program was killed before it could remove it.
func StaleScratch(name string) bool {
	rest, ok := strings.CutPrefix(name, scratchPrefix)
	digits, unique, _ := strings.Cut(rest, "_")
	made, err := strconv.ParseInt(digits, 16, 64)
	return ok && err == nil && len(unique) == 12 && time.Since(time.Unix(made, 0)) > time.Hour
}

// Count writes a number with its noun: 1 table, 2 tables.
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// ByteSize writes a number of bytes for people.
func ByteSize(n int64) string {
	const units = "KMGTPE"
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	size, unit := float64(n)/(1<<10), 0
	for size >= 1<<10 && unit < len(units)-1 {
		size, unit = size/(1<<10), unit+1
	}
	return fmt.Sprintf("%.1f %ciB", size, units[unit])
}

// SomeOf joins the first few of many names and counts the rest.
func SomeOf(names []string) string {
	const few = 8
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
}
