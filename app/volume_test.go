package app

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"arus/testdata/servers"
)

// peakLimit is what the program may take in memory at most, whatever it copies.
const peakLimit = 200 << 20

// TestVolume copies a table of many rows, one of many columns and one of long values, first whole, then what changed,
// and asks the system for the greatest memory that the program ever had. ARUS_SOAK_ROWS sets the number of rows
// (`go tool task soak`); the others keep their sizes.
func TestVolume(t *testing.T) {
	text := os.Getenv("ARUS_SOAK_ROWS")
	if text == "" {
		t.Skip("SKIPPED: ARUS_SOAK_ROWS is not set; `go tool task soak` sets it")
	}
	rows, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	var columns, values []string
	for i := range 300 {
		kind, value := "text", "md5((i * 7)::text)"
		switch i % 4 {
		case 1:
			kind, value = "bigint", "i * 3"
		case 2:
			kind, value = "numeric(20,4)", "i / 7.0"
		case 3:
			kind, value = "timestamptz", "'2026-01-01'::timestamptz + i * interval '1 second'"
		}
		columns, values = append(columns, fmt.Sprintf("c%d %s", i, kind)), append(values, value)
	}
	tables := []struct {
		name, columns, values string
		rows                  int
	}{
		{"many", "note text, amount numeric(12,2)", "md5(i::text), i / 100.0", rows},
		{"wide", strings.Join(columns, ", "), strings.Join(values, ", "), max(1000, rows/500)},
		{"long", "body text", "repeat(md5(i::text), 65536)", 200},
	}
	for _, to := range []struct {
		name string
		open func(*testing.T) target
		mode string
	}{
		{"postgres", postgresTarget, "direct"},
		{"postgres raw", postgresTarget, "raw"},
		{"mariadb", mariadbTarget, "direct"},
		{"clickhouse", clickhouseTarget, "direct"},
		{"embedded", embeddedTarget, "direct"},
	} {
		t.Run(to.name, func(t *testing.T) {
			from := servers.PostgresDatabase(t)
			for _, table := range tables {
				execPostgres(t, from, fmt.Sprintf("CREATE TABLE %s (id bigint PRIMARY KEY, updated_at timestamptz NOT NULL, %s)", table.name, table.columns),
					fmt.Sprintf("INSERT INTO %s SELECT i, '2026-01-01'::timestamptz + i * interval '1 millisecond', %s FROM generate_series(1, %d) i", table.name, table.values, table.rows))
			}
			execPostgres(t, from, "ANALYZE")
			destination, dir := to.open(t), t.TempDir()
			args := append([]string{"sync", "--quiet", "--json", "--from", from, "--to", destination.url, "--load", to.mode}, destination.args...)
			copied := 0
			for _, table := range tables {
				copied += table.rows
			}
			took, peak := peakOf(t, dir, args)
			t.Logf("first load of %d rows: %s, %d rows/s, greatest memory %d MB", copied, took.Round(time.Millisecond), int(float64(copied)/took.Seconds()), peak>>20)
			if peak > peakLimit {
				t.Errorf("the first load took %d MB", peak>>20)
			}
			for _, table := range tables {
				execPostgres(t, from, fmt.Sprintf("UPDATE %s SET updated_at = '2026-06-01' WHERE id %% 10 = 0", table.name))
				want := fmt.Sprintf(`"%d" `, table.rows)
				if got := destination.read(t, "SELECT COUNT(*) FROM "+destination.name(table.name)); len(got) != 1 || got[0] != want {
					t.Errorf("%s has %s rows, want %s", table.name, got, want)
				}
			}
			took, peak = peakOf(t, dir, args)
			t.Logf("then a tenth of them: %s, greatest memory %d MB", took.Round(time.Millisecond), peak>>20)
			if peak > peakLimit {
				t.Errorf("the increment took %d MB", peak>>20)
			}
		})
	}
}

// peakOf runs a command as a process of its own and gives the greatest memory that it had.
func peakOf(t *testing.T, dir string, args []string) (took time.Duration, peak int64) {
	t.Helper()
	cmd := child(t, dir, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	started := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- cmd.Wait() }()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case err := <-over:
			if err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			if peak == 0 {
				t.Skip("SKIPPED: the system does not tell a program's greatest memory")
			}
			return time.Since(started), peak
		case <-look.C:
			peak = max(peak, highWater(cmd.Process.Pid))
		}
	}
}

// highWater is the greatest memory that a process has had so far, as Linux tells it.
func highWater(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kilobytes, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, _ := strconv.ParseInt(kilobytes, 10, 64)
	return n << 10
}
