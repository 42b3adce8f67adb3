package warehouse

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors/warehouse/schema"
)

func TestR23R24Times(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.create(trips())
	reasons := func(sum Summary) string { return fmt.Sprint(sum.Rejected) }
	sum := s.put("trips", "ts id", at(0)+" 1", "- 2", at(-1)+" 3", at(91)+" 4", at(89)+" 5", "x 6", "4294967296 7")
	if sum.Inserted != 2 || reasons(sum) != "[{1 missing_event_time} {2 future_event_time} {3 before_retention} {5 invalid_value} {6 invalid_value}]" {
		t.Errorf("%+v", sum)
	}
	_, err := s.Archive(t.Context(), "trips", noon.Unix()-day)
	s.do("archive", err)
	sum = s.put("trips", "ts id fare", at(2)+" 8 1", at(0)+" 9 1", at(89)+" 5 7")
	if sum.Backfilled != 2 || sum.Inserted != 1 {
		t.Errorf("R24: %+v", sum)
	}
	s.want("R24 late rows are seen at once", "trips", "id fare", "1 -", "5 7", "8 1", "9 1")
	done, err := s.Backfill(t.Context(), "trips")
	if err != nil || done.Rows != 2 || s.stats("trips").LiveRows != 2 {
		t.Errorf("backfill: %+v, %v", done, err)
	}
	s.want("after backfill", "trips", "id fare", "1 -", "5 7", "8 1", "9 1")
	s.change("trips", func(t *schema.Table) (*schema.Table, error) {
		next := t.Clone()
		next.Config.AllowMissingEventTime = true
		return next, nil
	})
	if sum := s.put("trips", "id fare", "20 1"); sum.Inserted != 1 {
		t.Errorf("without a time: %+v", sum)
	}
	s.want("R23 a row of no time", "trips", "id ts", "1 "+at(0), "20 -", "5 "+at(89), "8 "+at(2), "9 "+at(0))
}

func TestR25TheTimeOfARowStays(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.create(trips())
	s.put("trips", "ts id fare", at(5)+" 1 1", at(3)+" 2 1", at(0)+" 3 1")
	_, err := s.Archive(t.Context(), "trips", noon.Unix()-day)
	s.do("archive", err)
	sum := s.put("trips", "ts id fare", at(4)+" 1 9", at(0)+" 2 9", at(0.1)+" 3 9", at(3)+" 2 8", at(2.9)+" 2 7", at(0)+" 4 1")
	if fmt.Sprint(sum.Rejected) != "[{0 event_time_changed} {1 event_time_changed} {2 event_time_changed} {4 event_time_changed}]" || sum.Backfilled != 1 || sum.Inserted != 1 {
		t.Errorf("%+v", sum)
	}
	s.want("rows", "trips", "id fare", "1 1", "2 8", "3 1", "4 1")
}

// TestR26R27R28 archives three days of shuffled rows and looks at the files: sort order, runs, and due times.
func TestR26R27R28(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.create(trips())
	var rows []string
	for i := range 3000 {
		rows = append(rows, fmt.Sprintf("%s %d %d %s %d", at(float64(i%30)/10), (i*7919)%3000, i%11, []string{"a", "b", "-"}[i%3], i))
	}
	s.put("trips", "ts id city status n", rows...)
	want := s.rows("trips", "id ts city status n")
	if jobs, err := s.RunJobs(t.Context(), s.now); err != nil || len(jobs) != 2 || jobs[0].Job != JobArchiving {
		t.Fatalf("the first jobs are %+v, %v", jobs, err)
	}
	live, _ := s.View(t.Context(), "trips")
	for _, p := range live.Parts() {
		if p.MaxT >= noon.Unix()-day {
			t.Errorf("R26 the file %s has rows of the last 24 hours", p.File)
		}
	}
	_ = live.Close()
	if n := s.stats("trips"); n.LiveRows != 1100 || n.FileRows != 1900 || n.Files != 3 {
		t.Errorf("R26: %+v", n)
	}
	diff(t, "rows", s.rows("trips", "id ts city status n"), want)
	s.now = noon.Add(179 * time.Minute)
	if jobs, err := s.RunJobs(t.Context(), s.now); err != nil || len(jobs) != 0 {
		t.Errorf("R27 within the interval: %+v, %v", jobs, err)
	}
	s.now = noon.Add(181 * time.Minute)
	if jobs, err := s.RunJobs(t.Context(), s.now); err != nil || len(jobs) != 1 {
		t.Errorf("R27 after the interval: %+v, %v", jobs, err)
	}
	if _, err := s.Archive(t.Context(), "trips", 1); schemaClass(err) != schema.Conflict || !strings.Contains(err.Error(), "is no greater than current cutoff") {
		t.Errorf("an old cutoff: %v", err)
	}
	v, err := s.View(t.Context(), "trips")
	s.do("view", err)
	defer func() { _ = v.Close() }()
	for _, p := range v.Parts() {
		last := ""
		err := v.Each(t.Context(), ScanRequest{Columns: []int{2, 3, 0}, Stored: true, NoLive: true, Skip: func(i int) bool { return i != p.Index }}, func(b arrow.RecordBatch) error {
			defer b.Release()
			order, err := v.layout.rowOrderer([]arrow.Array{2: b.Column(0), 3: b.Column(1)}, []int{2, 3}, true)
			for i := range int(b.NumRows()) {
				if timeOf(b.Column(2), i)/day != p.Day {
					t.Errorf("%s has a row of another day", p.File)
				}
				if key := string(order(nil, i)); key < last {
					t.Fatalf("R28 %s is out of order at row %d", p.File, i)
				} else {
					last = key
				}
			}
			return err
		})
		s.do("scan", err)
	}
}

// TestR34ManyDays archives day after day, as the clock goes on: what was archived is found by its key, and the live database
// stays small.
func TestR34ManyDays(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.create(trips())
	for d := range 12 {
		s.now = noon.Add(time.Duration(d) * 24 * time.Hour)
		var rows []string
		for i := range 500 {
			rows = append(rows, fmt.Sprintf("%d %d %d", s.now.Unix()-int64(i), d*1000+i, d))
		}
		s.put("trips", "ts id city", rows...)
		if _, err := s.RunJobs(t.Context(), s.now); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.stats("trips"); n.LiveRows > 1000 || n.FileRows < 5000 {
		t.Errorf("%+v", n)
	}
	first := noon.Unix() - 3
	if sum := s.put("trips", "ts id n", fmt.Sprintf("%d 3 77", first), fmt.Sprintf("%d 4 78", s.now.Unix())); sum.Backfilled != 1 || fmt.Sprint(sum.Rejected) != "[{1 event_time_changed}]" {
		t.Errorf("keys of an archived day: %+v", sum)
	}
	n := 0
	for _, row := range s.rows("trips", "id n") {
		if strings.HasPrefix(row, "3 ") || strings.HasPrefix(row, "4 ") {
			n++
			if row != "3 77" && row != "4 5" {
				t.Errorf("the row %q", row)
			}
		}
	}
	if n != 2 {
		t.Errorf("%d rows of two keys", n)
	}
}

func TestR35Snapshot(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	c := cities()
	c.Config.SnapshotThreshold = 3
	s.create(c)
	s.put("cities", "id name", "1 a")
	s.put("cities", "id name", "1 b")
	if n := s.stats("cities"); n.Files != 0 || n.Upserts != 2 {
		t.Errorf("after two upserts: %+v", n)
	}
	s.put("cities", "id name", "2 c")
	if n := s.stats("cities"); n.Files != 1 || n.LiveRows != 0 || n.Upserts != 0 {
		t.Errorf("after the third: %+v", n)
	}
	s.put("cities", "id name", "2 d", "3 e")
	again := s.restarted()
	again.want("R35 snapshot and tail after a restart", "cities", "id name", "1 b", "2 d", "3 e")
	snapshots := func(d Done) bool { return d.Job == JobSnapshot }
	if jobs, err := s.RunJobs(t.Context(), s.now); err != nil || slices.ContainsFunc(jobs, snapshots) {
		t.Errorf("before the interval: %+v, %v", jobs, err)
	}
	if jobs, err := s.RunJobs(t.Context(), s.now.Add(361*time.Minute)); err != nil || !slices.ContainsFunc(jobs, snapshots) {
		t.Errorf("after the interval: %+v, %v", jobs, err)
	}
	if _, err := s.Archive(t.Context(), "cities", noon.Unix()); err == nil || err.Error() != schema.MsgNotFact { // R36
		t.Errorf("R36: %v", err)
	}
	s.want("after the snapshot", "cities", "id name", "1 b", "2 d", "3 e")
}

func TestRetention(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	c := trips()
	c.Config.RecordRetentionInDays = 10
	s.create(c)
	s.put("trips", "ts id", at(9)+" 1", at(5)+" 2", at(0)+" 3")
	if _, err := s.RunJobs(t.Context(), s.now); err != nil {
		t.Fatal(err)
	}
	s.now = noon.Add(3 * 24 * time.Hour)
	jobs, err := s.RunJobs(t.Context(), s.now)
	if err != nil || !slices.ContainsFunc(jobs, func(d Done) bool { return d.Job == JobRetention && d.Rows == 1 }) {
		t.Errorf("%+v, %v", jobs, err)
	}
	s.want("the old day is gone", "trips", "id", "2", "3")
	if sum := s.put("trips", "ts id", at(9)+" 1"); len(sum.Rejected) != 1 {
		t.Errorf("an old row comes again: %+v", sum)
	}
}

// TestR37ACopyIsATable copies a table of each kind into another warehouse.
func TestR37ACopyIsATable(t *testing.T) {
	t.Parallel()
	s, other := newStore(t), newStore(t)
	s.create(trips())
	s.create(cities())
	s.put("trips", "ts id city status", at(3)+" 1 7 paid", at(0)+" 2 8 open")
	s.put("cities", "id name", "1 a")
	_, err := s.Archive(t.Context(), "trips", noon.Unix()-day)
	s.do("archive", err)
	_, err = s.Snapshot(t.Context(), "cities")
	s.do("snapshot", err)
	s.put("cities", "id name", "2 b")
	for _, name := range []string{"trips", "cities"} {
		if _, err := os.Stat(filepath.Join(s.dir, name, schemaFile)); err != nil {
			t.Error(err)
		}
		s.do("copy", os.CopyFS(filepath.Join(other.dir, name), os.DirFS(filepath.Join(s.dir, name))))
		diff(t, name, other.state(name), s.state(name))
	}
	other.put("trips", "ts id status", at(3)+" 1 done")
	other.want("the copy changes", "trips", "id city status", "1 7 done", "2 8 open")
	s.want("the original stays", "trips", "id city status", "1 7 paid", "2 8 open")
}
