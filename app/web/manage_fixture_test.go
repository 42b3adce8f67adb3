package web

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"arus/app/auth"
	"arus/app/control"
	"arus/app/model"
	"arus/connectors"
	"arus/connectors/warehouse"
	"arus/connectors/warehouse/schema"
)

// furnished is what furnish adds to a site.
type furnished struct {
	table  string
	enum   int // the ID of its enum column
	view   string
	target model.NotificationTarget
	token  model.APIToken
	backup string
	user   model.User
	script model.Script
}

// fullSite is a site on which every page has something to show.
func fullSite(t testing.TB) (*site, furnished) {
	t.Helper()
	s := newSite(t)
	s.fill()
	furnished := s.furnish()
	return s, furnished
}

// postman takes messages and sends nothing.
type postman struct{}

func (postman) Send(_ context.Context, t model.NotificationTarget, _ map[string]string, _ model.Notification) (string, error) {
	if t.Name == "on-call" {
		return "", errors.New("the target answered 410 Gone: channel_not_found")
	}
	return "200 OK", nil
}

// furnishAlone is furnish for a site that is not filled.
func (s *site) furnishAlone() furnished {
	s.t.Helper()
	var err error
	s.source, err = s.service.AddSource(s.admin, control.SourceInput{Name: "shop", Connection: connectors.Config{Type: "sqlite", Database: manyTables(s.t, 1)}})
	s.must(err)
	_, err = s.service.AddDestination(s.admin, control.DestinationInput{Name: "warehouse", Connection: connectors.Config{Type: "embedded"}, IsDefault: true})
	s.must(err)
	s.pipeline, err = s.service.AddPipeline(s.admin, control.PipelineInput{Name: "shop-to-warehouse", Source: s.source.ID})
	s.must(err)
	return s.furnish()
}

// furnish adds what the pages of the warehouse and of managing show: a fact
// table with rows, a view, targets, a token, a backup, a query.
func (s *site) furnish() furnished {
	s.t.Helper()
	f := furnished{table: "trips", enum: 2, view: "fares_by_city"}
	columns := []schema.Column{
		{Name: "request_at", Type: "Uint32"},
		{Name: "trip_id", Type: "Int64"},
		{Name: "city", Type: "SmallEnum", DefaultValue: new("elsewhere")},
		{Name: "fare", Type: "Decimal(10,2)"},
		{Name: "driver_rating_of_the_passenger_before_the_trip", Type: "Float32"},
		{Name: "note", Type: "String"},
	}
	_, err := s.service.AddWarehouseTable(s.admin, &schema.Table{
		Name: f.table, IsFactTable: true, Columns: columns, PrimaryKeyColumns: []int{1}, ArchivingSortColumns: []int{2}, Config: schema.DefaultConfig(),
	})
	s.must(err)
	_, err = s.service.PushWarehouseTable(s.admin, f.table, func(t *schema.Table) (*schema.Table, error) {
		next := t.Clone()
		next.Version = 0
		next.Columns[4].Deleted = true
		next.Columns = append(next.Columns, schema.Column{Name: "distance_km", Type: "Float64"})
		return next, nil
	})
	s.must(err)
	now := s.now()
	var rows [][]*string
	for i := range 90 {
		row := []*string{
			new(fmt.Sprint(now.Add(-time.Duration(i) * 2 * time.Hour).Unix())), new(fmt.Sprint(1000 + i)), new([]string{"Jakarta", "Bandung", "Surabaya"}[i%3]),
			new(fmt.Sprintf("%d.50", 5+i%20)), new(fmt.Sprint(1.5 + float64(i))), nil,
		}
		if i%7 == 0 {
			row[5] = new(strings.Repeat("left the umbrella in the car; ", 1+i%9))
		}
		rows = append(rows, row)
	}
	_, err = s.service.UpsertRows(s.admin, f.table, []string{"request_at", "trip_id", "city", "fare", "distance_km", "note"}, rows)
	s.must(err)
	_, err = s.service.ArchiveWarehouse(s.admin, f.table, 0)
	s.must(err)
	s.must(s.service.SetWarehouseView(s.admin, warehouse.ViewDefinition{Name: f.view, SQL: "SELECT city, count(*) AS trips, sum(fare) AS fares FROM trips GROUP BY city"}))

	s.service.Sender = postman{}
	webhook, slack, active := model.TargetWebhook, model.TargetSlack, true
	f.target, err = s.service.AddTarget(s.admin, control.TargetInput{Name: new("data-team"), Type: &webhook, Active: &active, Config: map[string]string{"url": "https://hooks.example.com/" + dbPassword, "secret": dbPassword}})
	s.must(err)
	gone, err := s.service.AddTarget(s.admin, control.TargetInput{Name: new("on-call"), Type: &slack, Active: &active, Config: map[string]string{"webhook_url": "https://hooks.example.com/" + dbPassword}})
	s.must(err)
	_, err = s.service.AddLink(s.admin, s.pipeline.ID, f.target.ID, nil)
	s.must(err)
	for _, event := range []model.NotifyEvent{model.EventFailure, model.EventSchemaDrift, model.EventTest} {
		for _, id := range []string{f.target.ID, gone.ID} {
			_, err = s.service.TestTarget(s.admin, id, event, "")
			s.must(err)
		}
	}
	f.user, err = s.service.User(s.admin, "editor@example.com")
	s.must(err)
	me, err := s.service.User(s.admin, "admin@example.com")
	s.must(err)
	own := auth.WithActor(s.admin, auth.Actor{Kind: auth.ActorUser, ID: me.ID, Name: me.Email, Role: model.RoleAdmin})
	_, f.token, err = s.service.AddToken(own, control.TokenInput{Name: "grafana", ExpiresAt: now.Add(90 * 24 * time.Hour)})
	s.must(err)
	s.must(s.service.ChangeSettings(own, map[string]string{"backup_schedule": "0 2 * * *", "max_concurrent_runs": "6"}, nil))
	for _, sql := range []string{"SELECT city, sum(fare) AS fares\nFROM trips\nGROUP BY city\nORDER BY fares DESC", "SELECT fee FROM trips", "SELECT count(*) FROM orders"} {
		_, _ = s.service.AskWarehouse(own, sql, control.Page{Limit: 10}) // the second one fails, for the history
	}
	f.script, err = s.service.AddScript(s.admin, s.pipeline.ID, control.ScriptInput{Name: new("tidy"), Content: new("def transform(row):\n    return row\n")})
	s.must(err)
	s.server.Close = func() {}
	info, err := s.service.Backup(own, control.BackupOptions{})
	s.must(err)
	f.backup = info.File[strings.LastIndexAny(info.File, `/\`)+1:]
	s.service.OnRestore = func(*control.LiveRestore) {}
	if _, err := s.service.RestoreBackup(own, control.RestoreRequest{File: f.backup, Passphrase: "one that is not needed"}); err == nil {
		s.t.Error("a passphrase for nothing was taken")
	}
	_, _, err = s.service.SignIn(s.t.Context(), control.Credentials{Email: f.user.Email, Password: sitePassword, Address: "192.0.2.7", UserAgent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"})
	s.must(err)
	return f
}

// managePages are the pages of the warehouse and of managing.
func managePages(f furnished) []struct{ name, path string } {
	table := "/warehouse/" + f.table
	return []struct{ name, path string }{
		{"warehouse", "/warehouse"},
		{"warehouse-table", table},
		{"warehouse-rows", table + "/rows?column0=city&op0=%3D&value0=Bandung&sort=fare"},
		{"warehouse-days", table + "/days"},
		{"warehouse-jobs", table + "/jobs"},
		{"warehouse-versions", table + "/versions"},
		{"warehouse-cases", fmt.Sprintf("%s/columns/%d", table, f.enum)},
		{"warehouse-load", table + "/load"},
		{"warehouse-edit", table + "/edit"},
		{"warehouse-delete", table + "/delete"},
		{"warehouse-new", "/warehouse/new"},
		{"warehouse-apply", "/warehouse/apply"},
		{"query", "/query?table=" + f.table},
		{"query-history", "/query/history"},
		{"query-clear", "/query/history/clear"},
		{"query-views", "/query/views"},
		{"query-view-delete", "/query/views/" + f.view + "/delete"},
		{"notifications", "/notifications"},
		{"notification-messages", "/notifications/deliveries"},
		{"notification-new", "/notifications/new?type=smtp"},
		{"notification-target", "/notifications/" + f.target.ID},
		{"notification-delete", "/notifications/" + f.target.ID + "/delete"},
		{"users", "/users"},
		{"user-new", "/users/new"},
		{"user", "/users/" + f.user.ID},
		{"user-delete", "/users/" + f.user.ID + "/delete"},
		{"sessions", "/sessions"},
		{"tokens", "/tokens"},
		{"token-new", "/tokens/new"},
		{"token-delete", "/tokens/" + f.token.ID + "/delete"},
		{"audit", "/audit"},
		{"settings", "/settings"},
		{"settings-file", "/settings/configuration"},
		{"backups", "/backups"},
		{"backup-new", "/backups/new"},
		{"backup-upload", "/backups/upload"},
		{"backup-restoring", "/backups/restore"},
		{"backup-restore", "/backups/" + f.backup + "/restore"},
		{"backup-delete", "/backups/" + f.backup + "/delete"},
		{"account", "/account"},
	}
}
