package app

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"arus/app/auth"
	"arus/app/control"
	"arus/app/model"
	"arus/connectors/all"
)

// TestScheduledRunsAroundAKill lets many pipelines with empty tables run on one schedule, kills the server in the middle and
// starts it again: each time that passed has exactly one run that succeeded. ARUS_SOAK_PIPELINES and ARUS_SOAK_MINUTES make
// it a load test, every minute; the processor time and the memory that it took are in the log.
func TestScheduledRunsAroundAKill(t *testing.T) {
	t.Parallel()
	number := func(name string, def int) int {
		if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
			return n
		}
		return def
	}
	pipelines, minutes := number("ARUS_SOAK_PIPELINES", 20), number("ARUS_SOAK_MINUTES", 0)
	schedule, every, length := "every 10s", 10*time.Second, 40*time.Second
	if minutes > 0 {
		schedule, every, length = "* * * * *", time.Minute, time.Duration(minutes)*time.Minute
	}
	dir := t.TempDir()
	manyPipelines(t, dir, pipelines, schedule)
	// The server begins right after one of the times, and is killed in the middle of the work of another.
	time.Sleep(time.Until(time.Now().Truncate(every).Add(every + 300*time.Millisecond)))
	began := time.Now()
	first := began.Truncate(every).Add(every)
	usage := runServer(t, dir, length/2+every/20, true)
	again := runServer(t, dir, length/2-every/4, false)
	last := time.Now().Truncate(every)
	t.Logf("%d pipelines %s: killed after %s, then stopped after %s", pipelines, schedule, usage, again)

	ctx := auth.WithActor(t.Context(), auth.CLI("test"))
	err := testEnvironment(dir).with(ctx, func(d *data) error {
		missed, doubled, rescued, late := 0, 0, 0, time.Duration(0)
		for i := range pipelines {
			runs := []model.Run{}
			for {
				page, total, err := d.ListRuns(ctx, control.RunFilter{Pipeline: fmt.Sprintf("p%d", i), Page: control.Page{Limit: 1000, Offset: len(runs)}})
				if err != nil {
					return err
				}
				if runs = append(runs, page...); len(runs) >= total {
					break
				}
			}
			successes := map[time.Time]int{}
			for _, r := range runs {
				switch r.Status {
				case model.RunSuccess:
					at := r.StartedAt.Truncate(every)
					successes[at]++
					late = max(late, r.StartedAt.Sub(at))
				case model.RunFailed, model.RunCancelled:
					rescued++
				default:
					t.Errorf("a run is %s: %s", r.Status, r.ErrorMessage)
				}
			}
			// The last time is still being worked on when the server is stopped.
			for at := first.UTC(); at.Before(last.UTC()); at = at.Add(every) {
				switch n := successes[at]; {
				case n == 0:
					missed++
				case n > 1:
					doubled += n - 1
				}
			}
		}
		t.Logf("from %s to %s: %d times missed, %d doubled, %d runs ended with the process, the latest began %s late",
			first.Format(time.TimeOnly), last.Format(time.TimeOnly), missed, doubled, rescued, late)
		if missed > 0 || doubled > 0 || !last.After(first.Add(every)) {
			t.Errorf("%d times missed, %d doubled", missed, doubled)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func testEnvironment(dir string) *environment {
	return &environment{
		Stdio: Stdio{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard}, Registry: all.Registry(), Getenv: func(string) string { return "" }, Now: time.Now,
		flags: globalFlags{data: dir},
	}
}

// manyPipelines stores pipelines p0, p1, ... of one empty table each, ten to a source.
func manyPipelines(t *testing.T, dir string, n int, schedule string) {
	t.Helper()
	ctx := auth.WithActor(t.Context(), auth.CLI("test"))
	const each = 10
	files := t.TempDir()
	env := testEnvironment(dir)
	err := env.with(ctx, func(d *data) error {
		to, err := env.Registry.ParseURL("embedded:")
		if err != nil {
			return err
		}
		if _, err := d.AddDestination(ctx, control.DestinationInput{Name: "dwh", Connection: to, IsDefault: true}); err != nil {
			return err
		}
		for i := range n {
			source := fmt.Sprintf("s%d", i/each)
			if i%each == 0 {
				file := filepath.Join(files, source+".db")
				emptyTables(t, file, i, each)
				cfg, err := env.Registry.ParseURL("sqlite://" + filepath.ToSlash(file))
				if err != nil {
					return err
				}
				if _, err := d.AddSource(ctx, control.SourceInput{Name: source, Connection: cfg}); err != nil {
					return err
				}
			}
			_, err := d.AddPipeline(ctx, control.PipelineInput{
				Name: fmt.Sprintf("p%d", i), Source: source, Choices: []control.TableChoice{{Name: fmt.Sprintf("t%d", i)}}, Schedule: schedule,
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// emptyTables makes a file with tables from t<first> on.
func emptyTables(t *testing.T, file string, first, n int) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if _, err := db.Exec(fmt.Sprintf("CREATE TABLE t%d (id INTEGER PRIMARY KEY, note TEXT, updated_at TIMESTAMP NOT NULL)", first+i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// peakMemory is the most memory that a process has had.
func peakMemory(pid int) string {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // elsewhere it is not known
	for line := range strings.SplitSeq(string(status), "\n") {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			return strings.TrimSpace(v)
		}
	}
	return "unknown"
}

// runServer runs a server as a process of its own for a while, then kills it or asks it to stop. It says how long that was and
// what it took of the machine.
func runServer(t *testing.T, dir string, length time.Duration, kill bool) string {
	t.Helper()
	cmd := child(t, dir, "serve", "--listen", "127.0.0.1:0")
	said := newOutput()
	cmd.Stderr = said
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	memory := peakMemory(cmd.Process.Pid)
	if kill {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	} else {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil && cmd.ProcessState.ExitCode() != 130 {
			t.Errorf("the server ended with %v:\n%s", err, said)
		}
	}
	for line := range strings.SplitSeq(said.String(), "\n") {
		if strings.Contains(line, "level=ERROR") {
			t.Errorf("the server says: %.500s", line)
		}
	}
	took := time.Since(began)
	busy := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return fmt.Sprintf("%s (%.2f cores, at most %s of memory)", took.Round(time.Second), busy.Seconds()/took.Seconds(), memory)
}
