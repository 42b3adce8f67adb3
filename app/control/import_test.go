package control_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fernet/fernet-go"
	"github.com/jackc/pgx/v5"
	"golang.org/x/crypto/bcrypt"

	"arus/app/control"
	"arus/app/control/controltest"
	"arus/app/engine"
	"arus/app/model"
	"arus/connectors"
	"arus/testdata/servers"
)

// installation makes the tables of the original as its migrations leave them,
// with passwords sealed by the key.
func installation(t *testing.T, address string, key fernet.Key) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	schema, err := os.ReadFile("testdata/original.sql")
	if err != nil {
		t.Fatal(err)
	}
	cfg := conn.Config()
	sealed := func(text string) string {
		token, err := fernet.EncryptAndSign([]byte(text), &key)
		if err != nil {
			t.Fatal(err)
		}
		return string(token)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte("admin123"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("@HASH@", strings.Replace(string(hash), "$2a$", "$2b$", 1), "@HOST@", cfg.Host, "@PORT@", fmt.Sprint(cfg.Port), "@DB@", cfg.Database, "@USER@", cfg.User,
		"@PASSWORD@", sealed(cfg.Password), "@OTHER@", sealed("other")).Replace(string(schema))
	if _, err := conn.Exec(t.Context(), text); err != nil {
		t.Fatal(err)
	}
}

// TestImportFromTheOriginal moves an installation in from a real PostgreSQL,
// with its key in both forms; afterwards one of its pipelines runs.
func TestImportFromTheOriginal(t *testing.T) {
	t.Parallel()
	var plain fernet.Key
	if err := plain.Generate(); err != nil {
		t.Fatal(err)
	}
	for name, form := range map[string]struct {
		key fernet.Key
		req control.ImportRequest
	}{
		"jwt secret": {fernet.Key(sha256.Sum256([]byte("a jwt secret"))), control.ImportRequest{JWTSecret: "a jwt secret"}},
		"key":        {plain, control.ImportRequest{Key: connectors.Secret(plain.Encode())}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := controltest.Admin(t)
			req := form.req
			req.URL = servers.PostgresDatabase(t)
			installation(t, req.URL, form.key)
			s := controltest.Open(t, t.TempDir(), time.Now, quiet())
			req.DryRun = true
			dry, err := s.Import(ctx, req)
			if err != nil {
				t.Fatal(err)
			}
			if list, _, err := s.ListPipelines(ctx, 10, 0); err != nil || len(list) > 0 {
				t.Fatalf("the dry run stored %v, %v", list, err)
			}
			req.DryRun = false
			r, err := s.Import(ctx, req)
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(dry) != fmt.Sprint(r) {
				t.Errorf("the dry run said\n%v\nand it was\n%v", dry, r)
			}
			want := map[string]int{"user": 1, "source": 3, "destination": 2, "pipeline": 3, "table": 5, "script": 1, "notification target": 1, "notification link": 1, "watermark": 2, "run": 2, "log line": 2, "setting": 1}
			for kind, n := range want {
				if r.Taken[kind] != n {
					t.Errorf("%d of %s taken, want %d: %+v", r.Taken[kind], kind, n, r)
				}
			}
			checkImported(t, s)

			// Again: nothing is taken twice.
			if again, err := s.Import(ctx, req); err != nil || again.Taken["pipeline"]+again.Taken["source"]+again.Taken["run"] != 0 {
				t.Errorf("a second import took %v, %v", again.Taken, err)
			}
		})
	}
}

func checkImported(t *testing.T, s *control.Service) {
	t.Helper()
	ctx := controltest.Admin(t)
	p, err := s.Pipeline(ctx, "30000000-0000-4000-8000-000000000001")
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != "shop" || p.Schedule != "0 6 * * mon,sun" || len(p.Tables) != 3 || len(p.Tables[0].TransformConfig) == 0 {
		t.Errorf("the pipeline is %+v", p)
	}
	marks, err := s.Watermarks(ctx, p.ID)
	if err != nil || len(marks) != 2 || marks[0].Value != "2026-01-02T00:00:00Z" || marks[0].Type != "timestamptz" || marks[1].Value != "7" || marks[1].Type != "int64" {
		t.Errorf("the watermarks are %+v, %v", marks, err)
	}
	u, err := s.Store.FindUser(ctx, "ann@example.com")
	if err != nil || u.Role != model.RoleAdmin {
		t.Errorf("%+v, %v", u, err)
	}
	if ok, err := s.Passwords.Matches(ctx, u.PasswordHash, "admin123"); err != nil || !ok {
		t.Errorf("the account's password no longer opens it: %v", err)
	}
	if _, secrets, err := s.TargetSecrets(ctx, "50000000-0000-4000-8000-000000000001"); err != nil || secrets["bot_token"] != "123:abc" {
		t.Errorf("the bot token is %v, %v", secrets, err)
	}
	runs, _, err := s.ListRuns(ctx, control.RunFilter{Pipeline: p.ID})
	if err != nil || len(runs) != 2 || runs[0].Status != model.RunCancelled || runs[1].Status != model.RunSuccess || runs[1].RowsSynced != 2 {
		t.Errorf("the runs are %+v, %v", runs, err)
	}
	report, err := s.Run(ctx, control.RunRequest{Pipeline: p.ID})
	if err != nil || report.Status != model.RunSuccess {
		t.Fatalf("the run is %s: %v %s %+v", report.Status, err, report.Error, report.Tables)
	}
	if at := slices.IndexFunc(report.Tables, func(r engine.TableReport) bool { return r.Table == "customers" }); at < 0 || report.Tables[at].RowsLoaded != 100 {
		t.Errorf("customers: %+v", report.Tables)
	}
	results, err := s.Verify(ctx, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range results {
		if v.Table == "customers" { // its transforms make other rows
			continue
		}
		if !v.Equal || v.Rows != 50 {
			t.Errorf("%+v", v)
		}
	}
}
