package api

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"arus/app/control"
	"arus/app/model"
)

// heldPaths are the addresses of the routes whose answers are held, and that they are routes.
func heldPaths(t *testing.T, b *bundle) []string {
	t.Helper()
	rows, held := samples(), remembered()
	var list []string
	for _, rt := range routes() {
		name := rt.method + " " + rt.path
		if !held[name] {
			continue
		}
		delete(held, name)
		path := rows[name].path
		if path == "" {
			path = rt.path
		}
		list = append(list, b.resolve(path), strings.SplitN(b.resolve(path), "?", 2)[0]+"?limit=1&offset=1")
	}
	for name := range held {
		t.Errorf("there is no route %s", name)
	}
	return list
}

// TestAHeldAnswerIsTrue asks for every answer that is held, does everything that a route can do, one after the other, and asks
// again: what comes from memory is what is made anew.
func TestAHeldAnswerIsTrue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	paths := heldPaths(t, b)
	held, rows := b.handler, samples()
	fresh := func() http.Handler {
		return (&API{Control: b.service, Log: b.service.Log, Now: b.now, Version: "test", Started: b.at, Ready: func() bool { return true }}).Handler()
	}
	check := func(after string) {
		t.Helper()
		b.wait()
		anew := fresh()
		for _, path := range paths {
			from := map[string]answer{}
			for name, handler := range map[string]http.Handler{"memory": held, "anew": anew} {
				b.handler = handler
				from[name] = b.do("admin", http.MethodGet, path, "")
			}
			b.handler = held
			if m, n := from["memory"], from["anew"]; m.status != n.status || m.text != n.text || m.header.Get("X-Total-Count") != n.header.Get("X-Total-Count") {
				t.Errorf("after %s, %s answers from memory\n%d %s\nanew\n%d %s", after, path, m.status, m.text, n.status, n.text)
			}
		}
	}
	check("the start")
	rows["DELETE /api/sources/{id}"], rows["DELETE /api/pipelines/{id}"] = sample{path: "/api/sources/{source}"}, sample{path: "/api/pipelines/{pipeline}"}
	table := slices.DeleteFunc(routes(), func(rt route) bool { return rt.method == http.MethodGet })
	slices.SortStableFunc(table, func(x, y route) int { // deletions last
		return strings.Compare(map[bool]string{true: "2", false: "1"}[x.method == http.MethodDelete], map[bool]string{true: "2", false: "1"}[y.method == http.MethodDelete])
	})
	for _, rt := range table {
		row := rows[rt.method+" "+rt.path]
		path := row.path
		if path == "" {
			path = rt.path
		}
		b.do("admin", rt.method, b.resolve(path), b.resolve(row.body))
		check(rt.method + " " + rt.path)
	}
	// What happens without a request.
	for name, change := range map[string]func() error{
		"a run by the schedule": func() error {
			_, err := b.service.Run(b.admin, control.RunRequest{Pipeline: b.other.ID, Trigger: model.TriggerScheduled})
			return err
		},
		"retention": func() error { _, err := b.service.Retain(b.admin); return err },
		"a schedule's state": func() error {
			return b.service.SaveSchedules(b.admin, []model.ScheduleState{{PipelineID: b.other.ID, NextAt: b.now().Add(time.Hour)}}, nil)
		},
	} {
		if err := change(); err != nil && !control.IsNotFound(err) {
			t.Errorf("%s: %v", name, err)
		}
		check(name)
	}
}

// TestLookingMakesNoAnswerOld asks for every answer that is held, twice: the second time none is made.
func TestLookingMakesNoAnswerOld(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rest := &API{Control: b.service, Log: b.service.Log, Now: b.now, Version: "test", Started: b.at, Ready: func() bool { return true }}
	b.handler = rest.Handler()
	paths := heldPaths(t, b)
	for _, path := range paths {
		b.do("admin", http.MethodGet, path, "")
	}
	_, before := rest.Answers()
	for _, path := range paths {
		b.do("admin", http.MethodGet, path, "")
		if _, made := rest.Answers(); made != before {
			t.Errorf("%s was made again", path)
			before = made
		}
	}
	if held, made := rest.Answers(); held == 0 || made == 0 {
		t.Errorf("%d answers came from memory, %d were made", held, made)
	}
}

func TestAHeldAnswerIsNotSentAgainToWhoHasIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.do("viewer", http.MethodGet, "/api/pipelines", "")
	tag := first.header.Get("ETag")
	if tag == "" || first.header.Get("Cache-Control") != "private, no-cache" || first.header.Get("Content-Type") == "" {
		t.Fatalf("%v", first.header)
	}
	ask := func() answer {
		return b.doWith("viewer", http.MethodGet, "/api/pipelines", "", map[string]string{"If-None-Match": tag})
	}
	if a := ask(); a.status != http.StatusNotModified || a.text != "" {
		t.Errorf("%d %s", a.status, a.text)
	}
	if a := b.do("viewer", http.MethodGet, "/api/pipelines?limit=1", ""); a.header.Get("ETag") == tag {
		t.Error("another page has the same tag")
	}
	name := "renamed"
	if _, err := b.service.UpdatePipeline(b.admin, b.pipeline.ID, control.PipelineUpdate{Name: &name}); err != nil {
		t.Fatal(err)
	}
	if a := ask(); a.status != http.StatusOK || !strings.Contains(a.text, name) {
		t.Errorf("after a change: %d %s", a.status, a.text)
	}
	// Who is no longer known gets nothing from memory.
	off := false
	if _, err := b.service.UpdateUser(b.admin, "viewer@example.com", control.UserUpdate{Active: &off}); err != nil {
		t.Fatal(err)
	}
	if err := b.service.DeleteToken(b.admin, "viewer"); err != nil {
		t.Fatal(err)
	}
	if a := ask(); a.status != http.StatusUnauthorized {
		t.Errorf("a revoked token: %d", a.status)
	}
}

// TestOneOfManyMakesAnAnswer lets many ask for the same at once.
func TestOneOfManyMakesAnAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var group sync.WaitGroup
	texts := make([]string, 40)
	for i := range texts {
		group.Go(func() { texts[i] = b.do("viewer", http.MethodGet, "/api/runs", "").text })
	}
	group.Wait()
	if slices.Sort(texts); texts[0] != texts[len(texts)-1] || !strings.Contains(texts[0], `"total":2`) {
		t.Errorf("%s\n%s", texts[0], texts[len(texts)-1])
	}
}
