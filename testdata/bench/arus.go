package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// outcome is what the bench needs of the report that Arus prints.
type outcome struct {
	Status     string `json:"status"`
	RowsRead   int64  `json:"rows_read"`
	RowsLoaded int64  `json:"rows_loaded"`
	Tables     []struct {
		Table  string `json:"table"`
		Mode   string `json:"mode"`
		Status string `json:"status"`
	} `json:"tables"`
}

// copy runs one `arus sync` and reads its report.
func (b *bench) copy(ctx context.Context, data, from, to, mode string, more ...string) (sample, outcome, error) {
	args := append([]string{"sync", "--from", from, "--to", to, "--data", data, "--mode", mode, "--json", "--quiet"}, more...)
	pg, _ := b.pg.User.Password()
	env := []string{envPostgresPassword + "=" + pg}
	if b.maria != nil {
		maria, _ := b.maria.User.Password()
		env = append(env, envMariaDBPassword+"="+maria)
	}
	if b.clickhouse != nil {
		password, _ := b.clickhouse.User.Password()
		env = append(env, envClickHousePassword+"="+password)
	}
	if b.options.profile != "" {
		b.copies++
		env = append(env, "ARUS_CPU_PROFILE="+filepath.Join(b.options.profile, fmt.Sprintf("%03d.prof", b.copies)))
	}
	s, text, err := child(ctx, stage{path: b.arus, args: args, env: env})
	if b.options.profile != "" {
		b.say("profile %03d is of %s to %s", b.copies, redact(from), redact(to))
	}
	if err != nil {
		return s, outcome{}, err
	}
	var o outcome
	if err := json.Unmarshal(text, &o); err != nil {
		return s, o, fmt.Errorf("read the report of arus: %w: %s", err, tail(text))
	}
	if o.Status != "success" {
		return s, o, fmt.Errorf("arus ended with status %s: %s", o.Status, tail(text))
	}
	return s, o, nil
}

// expect says that Arus counted other rows than there were.
func (o outcome) expect(mode string, rows int64) error {
	if o.RowsLoaded != rows {
		return fmt.Errorf("WRONG REPORT: arus says it loaded %d rows, not %d", o.RowsLoaded, rows)
	}
	for _, t := range o.Tables {
		if t.Mode != mode {
			return fmt.Errorf("WRONG MODE: %s was copied by %s, not %s", t.Table, t.Mode, mode)
		}
	}
	return nil
}

// fresh is a data directory that nobody has used.
func (b *bench) fresh() (string, error) { return os.MkdirTemp(b.dir, "data-*") }

func (b *bench) version(ctx context.Context) string {
	_, text, err := child(ctx, stage{path: b.arus, args: []string{"version"}})
	if err != nil {
		return "unknown"
	}
	return tail(text)
}

// redact leaves the kind and the database of an address.
func redact(address string) string {
	kind, rest, _ := strings.Cut(address, ":")
	return kind + " " + rest[strings.LastIndexByte(rest, '/')+1:]
}
