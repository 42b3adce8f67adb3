package app

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"arus/app/auth"
	"arus/app/control"
	"arus/app/model"
	"arus/app/store"
)

// TestWhatOneInstanceCarries measures a server with as many pipelines as ARUS_SOAK_CARRIES says, one number after the other
// ("100,1000"): each pipeline copies a table of ARUS_SOAK_ROWS rows (default 1000) into the built-in warehouse every minute,
// for ARUS_SOAK_MINUTES, while a hundredth of the rows changes. It fails when the server says an error; the figures are for
// reading, a line of the table in docs/operations.md each. Due times without a run that began in their minute say that it is
// too much for the machine.
func TestWhatOneInstanceCarries(t *testing.T) {
	levels := os.Getenv("ARUS_SOAK_CARRIES")
	if levels == "" {
		t.Skip("ARUS_SOAK_CARRIES names no number of pipelines: `go tool task soak` does")
	}
	number := func(name string, def int) int {
		if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
			return n
		}
		return def
	}
	rows, minutes := number("ARUS_SOAK_ROWS", 1000), number("ARUS_SOAK_MINUTES", 5)
	lines := []string{"| pipelines a minute | rows each | minutes | runs | not begun in time | latest start | cores | peak memory | state file a 1,000 runs | dashboard |", "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"}
	for level := range strings.SplitSeq(levels, ",") {
		pipelines, err := strconv.Atoi(level)
		if err != nil {
			t.Fatalf("ARUS_SOAK_CARRIES: %v", err)
		}
		t.Run(level, func(t *testing.T) {
			lines = append(lines, carries(t, pipelines, rows, minutes))
		})
	}
	t.Logf("what one instance carries:\n%s", strings.Join(lines, "\n"))
}

// carries measures one number of pipelines, and gives its line.
func carries(t *testing.T, pipelines, rows, minutes int) string {
	t.Helper()
	dir := t.TempDir()
	manyPipelines(t, dir, pipelines, "* * * * *")
	var files []string
	ctx := auth.WithActor(t.Context(), auth.CLI("test"))
	err := testEnvironment(dir).with(ctx, func(d *data) error {
		sources, _, err := d.ListSources(ctx, 1000, 0)
		for _, s := range sources {
			files = append(files, s.Database)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	changeTables(t, files, rows, true)
	token := madeToken(t, dir)
	before := fileSize(t, dir)

	cmd := child(t, dir, "serve", "--listen", "127.0.0.1:0")
	said := newOutput()
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	r := running{said: said}
	for m := readyLine.FindStringSubmatch(said.String()); ; m = readyLine.FindStringSubmatch(said.String()) {
		if m != nil {
			r.url = "http://" + m[1]
			break
		}
		<-said.more
	}
	began := time.Now()
	first := began.Truncate(time.Minute).Add(time.Minute)
	var answers []time.Duration
	for minute := range minutes + 1 { // the last is for what is still going on
		time.Sleep(time.Until(first.Add(time.Duration(minute) * time.Minute)).Round(time.Second))
		for range 5 {
			asked := time.Now()
			if status, text := r.call(t, "GET", "/api/dashboard/summary", "", map[string]string{"Authorization": "Bearer " + token}); status != http.StatusOK {
				t.Fatalf("%d %s", status, text)
			}
			answers = append(answers, time.Since(asked))
		}
		if minute < minutes {
			changeTables(t, files, rows, false)
		}
	}
	took, memory := time.Since(began), peakMemory(cmd.Process.Pid)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it ends by the signal
	for line := range strings.SplitSeq(said.String(), "\n") {
		if strings.Contains(line, "level=ERROR") && !strings.Contains(line, control.ErrStopping.Error()) { // the last minute's runs end with it
			t.Errorf("the server says: %.500s", line)
		}
	}
	runs, missed, late := runsOfMinutes(t, dir, first, minutes, pipelines)
	slices.Sort(answers)
	cores := (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds() / took.Seconds()
	return fmt.Sprintf("| %d | %d | %d | %d | %d | %s | %.2f | %s | %.1f MB | %s |", pipelines, rows, minutes, runs, missed, late.Round(100*time.Millisecond),
		cores, memory, float64(fileSize(t, dir)-before)/1e6/max(float64(runs), 1)*1000, answers[len(answers)/2].Round(time.Millisecond))
}

// changeTables fills the tables of SQLite files, or changes a hundredth of their rows.
func changeTables(t *testing.T, files []string, rows int, fill bool) {
	t.Helper()
	for _, file := range files {
		db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(30000)&_pragma=synchronous(0)")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range namesOfTables(t, db) {
			text := fmt.Sprintf("UPDATE %s SET note = note || 'x', updated_at = strftime('%%Y-%%m-%%d %%H:%%M:%%f') WHERE id %% 100 = abs(random()) %% 100", name)
			if fill {
				text = fmt.Sprintf("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) INSERT INTO %s SELECT i, 'row ' || i, strftime('%%Y-%%m-%%d %%H:%%M:%%f') FROM n", rows, name)
			}
			if _, err := db.ExecContext(t.Context(), text); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func namesOfTables(t *testing.T, db *sql.DB) (names []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT name FROM sqlite_schema WHERE type = 'table'")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return names
}

// runsOfMinutes counts the runs that succeeded, the due times without one, and how late the latest of them began.
func runsOfMinutes(t *testing.T, dir string, first time.Time, minutes, pipelines int) (total, missed int, late time.Duration) {
	t.Helper()
	type due struct {
		pipeline string
		at       time.Time
	}
	begun := map[due]bool{}
	ctx := auth.WithActor(context.Background(), auth.CLI("test"))
	err := testEnvironment(dir).with(ctx, func(d *data) error {
		for {
			page, all, err := d.ListRuns(ctx, control.RunFilter{Page: control.Page{Limit: 1000, Offset: total}})
			if err != nil {
				return err
			}
			for _, r := range page {
				at := r.StartedAt.Truncate(time.Minute)
				if r.Status == model.RunSuccess && !at.Before(first.UTC()) && at.Before(first.UTC().Add(time.Duration(minutes)*time.Minute)) {
					begun[due{r.PipelineID, at}] = true
					late = max(late, r.StartedAt.Sub(at))
				}
			}
			if total += len(page); len(page) == 0 || total >= all {
				return nil
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return total, pipelines*minutes - len(begun), late
}

// madeToken is a token of a viewer.
func madeToken(t *testing.T, dir string) string {
	t.Helper()
	out := mustArus(t, dir, "token", "create", "--name", "measure", "--role", "viewer", "--json")
	_, rest, _ := strings.Cut(out, `"token": "`)
	token, _, ok := strings.Cut(rest, `"`)
	if !ok {
		t.Fatalf("no token: %s", out)
	}
	return token
}

// fileSize is the size of the state file.
func fileSize(t *testing.T, dir string) int64 {
	t.Helper()
	info, err := os.Stat(filepath.Join(dir, store.FileName))
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
