package control_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"arus/app/auth"
	"arus/app/control"
	"arus/app/control/controltest"
	"arus/app/model"
	"arus/connectors"
	"arus/embed/sample"
)

// shopService is a service with the sample shop as a source.
func shopService(t *testing.T) (*control.Service, context.Context, model.Source) {
	t.Helper()
	s := controltest.Open(t, filepath.Join(t.TempDir(), "data"), time.Now, slog.New(slog.DiscardHandler))
	ctx := controltest.Admin(t)
	file := filepath.Join(t.TempDir(), "shop.db")
	if err := sample.Create(ctx, file, 200); err != nil {
		t.Fatal(err)
	}
	src, err := s.AddSource(ctx, control.SourceInput{Name: "shop", Connection: connectors.Config{Type: "sqlite", Database: file}})
	if err != nil {
		t.Fatal(err)
	}
	return s, ctx, src
}

// TestTablesAreRememberedUntilTheSettingsChange looks for tables once.
func TestTablesAreRememberedUntilTheSettingsChange(t *testing.T) {
	t.Parallel()
	s, ctx, src := shopService(t)
	if c, err := s.Catalogue(ctx, src.ID); err != nil || !c.At.IsZero() || len(c.Tables) != 0 {
		t.Fatalf("before anybody looked: %+v, %v", c, err)
	}
	found, err := s.Discover(ctx, src.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(src.Database); err != nil { // nothing is asked of the database any more
		t.Fatal(err)
	}
	again := control.New(s.Parts) // as after a restart
	for _, service := range []*control.Service{s, again} {
		c, err := service.Catalogue(ctx, src.Name)
		if err != nil || c.At.IsZero() || len(c.Tables) != len(found) {
			t.Fatalf("%d tables are remembered, %v", len(c.Tables), err)
		}
		for i, want := range found {
			got := c.Tables[i]
			if got.TableRef != want.TableRef || !slices.Equal(got.PrimaryKey, want.PrimaryKey) || len(got.Columns) != len(want.Columns) || got.RowEstimate != want.RowEstimate ||
				got.Columns[0].Type.String() != want.Columns[0].Type.String() || control.Advise(got).Column != control.Advise(want).Column {
				t.Errorf("%s is remembered as %+v, not %+v", want.Name, got, want)
			}
		}
	}
	exclude := []string{"events"}
	if _, err := s.UpdateSource(ctx, src.ID, control.SourceUpdate{Exclude: &exclude}); err != nil {
		t.Fatal(err)
	}
	if c, err := s.Catalogue(ctx, src.ID); err != nil || !c.At.IsZero() {
		t.Errorf("after another selection: %+v, %v", c, err)
	}
	if err := s.DeleteSource(ctx, src.ID); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(s.Store.Dir(), control.CacheDir, "tables-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("after the source: %v, %v", left, err)
	}
}

// TestDraftsAreEachOnesOwn keeps what somebody has begun, also over a restart.
func TestDraftsAreEachOnesOwn(t *testing.T) {
	t.Parallel()
	s, _, src := shopService(t)
	one := auth.WithActor(t.Context(), auth.Actor{Kind: auth.ActorUser, ID: "one", Role: model.RoleEditor})
	other := auth.WithActor(t.Context(), auth.Actor{Kind: auth.ActorUser, ID: "other", Role: model.RoleEditor})
	viewer := auth.WithActor(t.Context(), auth.Actor{Kind: auth.ActorUser, ID: "viewer", Role: model.RoleViewer})
	_, err := s.ChangeDraft(one, func(d *control.Draft) {
		d.Source, d.Picked, d.Tables = src.ID, true, []connectors.TableRef{{Schema: "a", Name: "b"}}
	})
	if err != nil {
		t.Fatal(err)
	}
	d, err := control.New(s.Parts).Draft(one)
	if err != nil || d.Source != src.ID || len(d.Tables) != 1 || d.Tables[0].String() != "a.b" {
		t.Errorf("after a restart: %+v, %v", d, err)
	}
	if d, err := s.Draft(other); err != nil || d.Source != "" {
		t.Errorf("somebody else's: %+v, %v", d, err)
	}
	if _, err := s.Draft(viewer); err == nil {
		t.Error("a viewer has a draft")
	}
}

// TestATestCanBeWatched sees the stages of a test that nobody waits for.
func TestATestCanBeWatched(t *testing.T) {
	t.Parallel()
	s, ctx, src := shopService(t)
	if p, err := s.LastTest(ctx, src.ID); err != nil || p != nil {
		t.Fatalf("before the first: %v, %v", p, err)
	}
	asked, leave := context.WithCancel(ctx)
	p, err := s.StartSourceTest(asked, src.ID)
	if err != nil {
		t.Fatal(err)
	}
	leave() // it goes on
	p.Wait(ctx)
	state := p.State()
	if state.Running || state.Err != nil || !state.Result.Connected || len(state.Stages) != 3 {
		t.Errorf("the test: %+v", state)
	}
	if last, err := s.LastTest(ctx, src.ID); err != nil || last != p {
		t.Errorf("the last one: %v, %v", last, err)
	}
	if got, err := s.Source(ctx, src.ID); err != nil || got.Status != model.ConnectionConnected {
		t.Errorf("the source is %s, %v", got.Status, err)
	}
}

// TestTheSampleIsMadeOnce makes the sample data with one call, by an editor.
func TestTheSampleIsMadeOnce(t *testing.T) {
	t.Parallel()
	s, ctx, _ := shopService(t)
	editor := auth.WithActor(t.Context(), auth.Actor{Kind: auth.ActorUser, ID: "editor", Role: model.RoleEditor})
	p, err := s.AddSample(editor, 300)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.AddSample(editor, 300)
	if err != nil || again.ID != p.ID || len(p.Tables) != len(sample.Tables()) {
		t.Errorf("again: %+v, %v", again, err)
	}
	dst, err := s.Destination(ctx, p.DestinationID)
	if err != nil || dst.Type != model.DestinationEmbedded || !dst.IsDefault {
		t.Errorf("the destination: %+v, %v", dst, err)
	}
	viewer := auth.WithActor(t.Context(), auth.Actor{Kind: auth.ActorUser, ID: "viewer", Role: model.RoleViewer})
	if _, err := s.AddSample(viewer, 300); err == nil {
		t.Error("a viewer made the sample")
	}
}

// TestCopiesOfConnections copies a source and a destination with their passwords.
func TestCopiesOfConnections(t *testing.T) {
	t.Parallel()
	s, ctx, _ := shopService(t)
	cfg, err := s.Registry.ParseURL("postgres://reader:" + "very-secret" + "@db.example.com/x")
	if err != nil {
		t.Fatal(err)
	}
	dst, err := s.AddDestination(ctx, control.DestinationInput{Name: "dw", Connection: cfg, IsDefault: true})
	if err != nil {
		t.Fatal(err)
	}
	twin, err := s.CloneDestination(ctx, dst.ID, "dw2")
	if err != nil || twin.ID == dst.ID || twin.IsDefault || twin.PasswordEnc != dst.PasswordEnc || twin.Host != dst.Host {
		t.Errorf("the copy: %+v, %v", twin, err)
	}
	if _, err := s.CloneDestination(ctx, dst.ID, "dw"); err == nil {
		t.Error("two destinations of one name")
	}
	if old, err := s.Destination(ctx, "dw"); err != nil || !old.IsDefault {
		t.Errorf("the original: %+v, %v", old, err)
	}
	_, total, use, err := s.Destinations(ctx, control.EndFilter{Name: "EXAMPLE.com", Type: "postgresql", Page: control.Page{Limit: 10}})
	if err != nil || total != 2 || len(use) != 0 {
		t.Errorf("%d destinations are found, %v", total, err)
	}
}
