package main

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// machine is where the figures are from; they mean little anywhere else.
type machine struct {
	Time     time.Time         `json:"time"`
	CPU      string            `json:"cpu"`
	Cores    int               `json:"cores"`
	MemoryGB float64           `json:"memory_gb"`
	OS       string            `json:"os"`
	Arch     string            `json:"arch"`
	Go       string            `json:"go"`
	Postgres string            `json:"postgresql"`
	MariaDB  string            `json:"mariadb,omitempty"`
	Settings map[string]string `json:"settings"` // of the servers, as far as they matter for speed
}

func (b *bench) machine(ctx context.Context) (m machine) {
	m = machine{
		Time: time.Now().UTC().Truncate(time.Second), CPU: procField("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(),
		OS: osName(), Arch: runtime.GOARCH, Go: runtime.Version(), Settings: map[string]string{},
	}
	if kb, err := strconv.ParseFloat(strings.TrimSuffix(procField("/proc/meminfo", "MemTotal"), " kB"), 64); err == nil {
		m.MemoryGB = round(kb/(1<<20), 1)
	}
	defer func() {
		m.Postgres, _, _ = strings.Cut(m.Postgres, " ") // without the packager's own number
		m.MariaDB, _, _ = strings.Cut(m.MariaDB, "-")
	}()
	err := b.postgres(ctx, "", func(c *pgx.Conn) error {
		if err := c.QueryRow(ctx, "SELECT current_setting('server_version')").Scan(&m.Postgres); err != nil {
			return err
		}
		for _, name := range []string{"shared_buffers", "max_wal_size", "maintenance_work_mem", "wal_level", "fsync", "full_page_writes", "synchronous_commit"} {
			var value string
			if err := c.QueryRow(ctx, "SELECT current_setting($1)", name).Scan(&value); err != nil {
				return err
			}
			m.Settings["postgresql "+name] = value
		}
		return nil
	})
	if err != nil {
		b.say("the PostgreSQL server does not describe itself: %v", err)
	}
	db, err := b.mariadb()
	if err != nil {
		return m
	}
	if err := db.QueryRowContext(ctx, "SELECT version()").Scan(&m.MariaDB); err != nil {
		b.say("the MariaDB server does not describe itself: %v", err)
	}
	for _, name := range []string{"innodb_buffer_pool_size", "innodb_log_file_size", "innodb_flush_log_at_trx_commit", "innodb_flush_method", "innodb_doublewrite", "log_bin"} {
		var value string
		if err := db.QueryRowContext(ctx, "SELECT @@"+name).Scan(&value); err == nil {
			m.Settings["mariadb "+name] = value
		}
	}
	return m
}

func procField(file, field string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == field {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func osName() string {
	text, err := os.ReadFile("/etc/os-release")
	if err == nil {
		for line := range strings.Lines(string(text)) {
			if name, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
				return strings.Trim(name, `"`)
			}
		}
	}
	return runtime.GOOS
}
