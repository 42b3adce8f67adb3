package web

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"arus/app/model"
)

// want posts a form and says what the page that follows lacks.
func (s *site) want(c *http.Client, path string, form url.Values, status int, parts ...string) string {
	s.t.Helper()
	got, text := s.post(c, path, form)
	if got != status {
		s.t.Errorf("%s: %d, want %d: %.300s", path, got, status, main(text))
	}
	for _, part := range parts {
		if !strings.Contains(text, part) {
			s.t.Errorf("%s lacks %q: %.600s", path, part, main(text))
		}
	}
	return text
}

// main is the text of a page's content.
func main(page string) string {
	_, content, _ := strings.Cut(page, `<main`)
	return strings.Join(strings.Fields(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(content, " ")), " ")
}

// TestManagingWithoutScripts uses the forms of managing as a browser without
// scripts does.
func TestManagingWithoutScripts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	f := s.furnishAlone()
	c := s.client(model.RoleAdmin)

	// Targets: faults at their fields, secrets that stay, a test with its answer.
	s.want(c, "/notifications/new", url.Values{"type": {"webhook"}, "name": {"ops"}, "config.url": {"no-url"}}, http.StatusUnprocessableEntity, "must be a URL", `value="ops"`)
	target := "/notifications/" + f.target.ID
	s.want(c, target, url.Values{"name": {"data-people"}, "is_active": {"true"}, "config.url": {""}, "config.secret": {""}}, http.StatusOK, "The target is saved", "It is set; empty keeps it.")
	_, secrets, err := s.service.TargetSecrets(s.admin, f.target.ID)
	s.must(err)
	if secrets["secret"] != dbPassword || !strings.HasSuffix(secrets["url"], dbPassword) {
		t.Error("an empty secret took the place of the one that was set")
	}
	s.want(c, target+"/test", url.Values{"event": {"failure"}}, http.StatusOK, "The test message was taken", "200 OK")
	if _, text := s.get(c, "/notifications/deliveries?status=failed"); !strings.Contains(text, "410 Gone") || strings.Contains(main(text), "200 OK") {
		t.Errorf("messages that failed: %.500s", main(text))
	}

	// Accounts: a password that is made, the last admin, signing out.
	page := s.want(c, "/users/new", url.Values{"name": {"Nina"}, "email": {"nina@example.com"}, "role": {"viewer"}}, http.StatusOK, "shown this once")
	made := regexp.MustCompile(`data-copy="([^"]{20})"`).FindStringSubmatch(page)
	if made == nil {
		t.Fatal("the password is not shown")
	}
	nina := &http.Client{Jar: s.client("").Jar, Transport: c.Transport}
	s.want(nina, "/sign-in", url.Values{"email": {"nina@example.com"}, "password": {made[1]}}, http.StatusOK, "Nina")
	u, err := s.service.User(s.admin, "nina@example.com")
	s.must(err)
	s.want(c, "/users/"+u.ID+"/sign-out", nil, http.StatusOK, "1 session ended")
	if _, text := s.get(nina, "/"); !strings.Contains(text, "field-password") {
		t.Error("signed out everywhere, and still in")
	}
	me, err := s.service.User(s.admin, "admin@example.com")
	s.must(err)
	s.want(c, "/users/"+me.ID, url.Values{"name": {"A"}, "email": {me.Email}, "role": {"viewer"}, "is_active": {"true"}}, http.StatusUnprocessableEntity, "last active admin")
	s.want(c, "/users/"+u.ID+"/delete", url.Values{"confirm": {"nobody"}}, http.StatusUnprocessableEntity, "must be the account")
	s.want(c, "/users/"+u.ID+"/delete", url.Values{"confirm": {u.Email}}, http.StatusOK, "is deleted")

	// A token is shown once and works; sessions are listed.
	page = s.want(c, "/tokens/new", url.Values{"name": {"ci"}, "role": {"viewer"}, "expires_at": {"720h"}}, http.StatusOK, "shown this once")
	token := regexp.MustCompile(`arus_[A-Za-z0-9_-]{43}`).FindString(page)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/api/pipelines", nil)
	s.must(err)
	req.Header.Set("Authorization", "Bearer "+token)
	if status, text := s.do(&http.Client{Transport: c.Transport}, req); status != http.StatusOK {
		t.Errorf("the token: %d %s", status, text)
	}
	if _, text := s.get(c, "/tokens"); strings.Contains(text, token) || !strings.Contains(text, "ci") {
		t.Error("the list of tokens")
	}
	s.want(c, "/tokens/new", url.Values{"name": {"ci"}, "role": {"viewer"}, "expires_at": {"never"}}, http.StatusUnprocessableEntity, "taken")
	if _, text := s.get(c, "/sessions"); !strings.Contains(text, "this one") || !strings.Contains(text, "192.0.2.7") {
		t.Errorf("sessions: %.400s", main(text))
	}

	// Settings: a fault keeps what was typed, the default is taken back.
	s.want(c, "/settings", url.Values{"max_retries": {"many"}, "backup_keep": {"3"}}, http.StatusUnprocessableEntity, "must be a whole number", `value="many"`)
	s.want(c, "/settings", url.Values{"max_retries": {"5"}, "max_concurrent_runs": {"4"}}, http.StatusOK, "The settings are saved")
	values, err := s.service.ListSettings(s.admin)
	s.must(err)
	for _, v := range values {
		if v.Key == "max_retries" && (v.Value != "5" || v.Origin != model.OriginSetting) || v.Key == "max_concurrent_runs" && v.Origin != model.OriginDefault {
			t.Errorf("%s is %s from %s", v.Key, v.Value, v.Origin)
		}
	}
	if _, text := s.get(c, "/audit?action=settings.update"); !strings.Contains(text, "<ins>5</ins>") || !strings.Contains(text, "admin@example.com") {
		t.Errorf("the audit log: %.600s", main(text))
	}
	if status, text := s.get(c, "/audit/export?action=settings&format=csv"); status != http.StatusOK || !strings.HasPrefix(text, "at,actor_kind") || !strings.Contains(text, "settings.update") {
		t.Errorf("the export of the log: %d %.200s", status, text)
	}

	// The configuration as a file: nothing happens before the plan was looked at.
	_, text := s.get(c, "/settings/configuration/export")
	changed := strings.Replace(text, `max_retries: "5"`, `max_retries: "6"`, 1)
	if changed == text {
		changed = strings.Replace(text, "max_retries: 5", "max_retries: 6", 1)
	}
	page = s.want(c, "/settings/configuration", url.Values{"text": {changed}, "do": {"plan"}}, http.StatusOK, "Nothing has been changed yet")
	plan := regexp.MustCompile(`name="plan" value="(\w+)"`).FindStringSubmatch(page)
	if plan == nil {
		t.Fatalf("no plan: %.800s", main(page))
	}
	s.want(c, "/settings/configuration", url.Values{"text": {changed}, "do": {"apply"}, "plan": {"another"}}, http.StatusUnprocessableEntity, "look at it again")
	s.want(c, "/settings/configuration", url.Values{"text": {changed}, "do": {"apply"}, "plan": {plan[1]}}, http.StatusOK, "1 object changed")
	s.want(c, "/settings/configuration", url.Values{"text": {"version: 1\nsauces: []\n"}, "do": {"plan"}}, http.StatusUnprocessableEntity, "is not known here")

	// Backups.
	s.want(c, "/backups/new", url.Values{"passphrase": {"short"}}, http.StatusUnprocessableEntity, "at least 12 characters")
	s.want(c, "/backups/new", nil, http.StatusOK, "is made")
	s.want(c, "/backups/"+f.backup+"/verify", nil, http.StatusOK, "is whole")
	if status, text := s.get(c, "/backups/"+f.backup+"/download"); status != http.StatusOK || !strings.HasPrefix(text, "\x1f\x8b") {
		t.Errorf("the download: %d", status)
	}
	s.want(c, "/backups/"+f.backup+"/delete", nil, http.StatusOK, "is deleted")
	if status, _ := s.get(c, "/backups/"+f.backup+"/restore"); status != http.StatusNotFound {
		t.Errorf("restoring what is deleted: %d", status)
	}

	// One's own account.
	s.want(c, "/account/zone", url.Values{"zone": {"Mars/Olympus"}}, http.StatusUnprocessableEntity, "There is no such zone")
	s.want(c, "/account/zone", url.Values{"zone": {"Asia/Jakarta"}}, http.StatusOK, "WIB")
	s.want(c, "/account/password", url.Values{"old_password": {"wrong-password-1"}, "password": {"another horse battery"}}, http.StatusUnprocessableEntity, "is wrong")
	s.want(c, "/account/password", url.Values{"old_password": {sitePassword.Reveal()}, "password": {"another horse battery"}}, http.StatusOK, "another one")
	s.want(c, "/about/checks", nil, http.StatusOK, "data directory", "disk space")
}

// TestTablesWithoutScripts changes a table, its cases and its rows by forms alone.
func TestTablesWithoutScripts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	f := s.furnishAlone()
	c := s.client(model.RoleAdmin)
	table := "/warehouse/" + f.table
	_, form := s.get(c, table+"/edit")
	values := url.Values{"columns": {"3"}}
	for _, m := range regexp.MustCompile(`name="(config\.\w+)"[^>]*value="(\w*)"`).FindAllStringSubmatch(form, -1) {
		values.Set(m[1], m[2])
	}
	for _, m := range regexp.MustCompile(`value="(\w*)"[^>]*name="(config\.\w+)"`).FindAllStringSubmatch(form, -1) {
		values.Set(m[2], m[1])
	}
	values.Set("config.recordRetentionInDays", "30")
	values.Set("do", "plan")
	for name, change := range map[string]func(url.Values){
		"Duplicated column name": func(v url.Values) { v.Set("columns[0].name", "fare"); v.Set("columns[0].type", "Int64") },
		"must be a whole number": func(v url.Values) { v.Set("config.archivingDelayMinutes", "soon") },
		"less than the least":    func(v url.Values) { v.Set("config.archivingDelayMinutes", "0") },
	} {
		bad := url.Values{}
		maps.Copy(bad, values)
		change(bad)
		s.want(c, table+"/edit", bad, http.StatusUnprocessableEntity, name)
	}
	values.Set("columns[0].name", "tip")
	values.Set("columns[0].type", "Decimal(10,2)")
	values["delete"] = []string{"5"}
	page := s.want(c, table+"/edit", values, http.StatusOK, "Nothing has been changed yet", "delete column", "add column")
	values.Set("do", "apply")
	values.Set("plan", regexp.MustCompile(`name="plan" value="(\w+)"`).FindStringSubmatch(page)[1])
	s.want(c, table+"/edit", values, http.StatusOK, "3 changes made")
	d, err := s.service.DescribeTable(s.admin, f.table)
	s.must(err)
	if d.Table.ColumnID("tip") < 0 || d.Table.ColumnID("note") >= 0 || d.Table.Config.RecordRetentionInDays != 30 {
		t.Errorf("the table after the change: %+v", d.Table)
	}

	s.want(c, table+"/columns/2", url.Values{"cases": {"Medan\nMakassar\n"}}, http.StatusOK, "2 cases named", "Makassar")
	s.want(c, table+"/columns/2", url.Values{"cases": {"  \n"}}, http.StatusUnprocessableEntity, "names none")
	s.want(c, table+"/jobs", url.Values{"job": {"compaction"}}, http.StatusOK, "The job compaction is done")
	if _, text := s.get(c, table+"/jobs"); !strings.Contains(text, "archiving") || !strings.Contains(text, "admin@example.com") {
		t.Errorf("the log of the jobs: %.500s", main(text))
	}
	if _, text := s.get(c, table+"/rows?column0=city&op0=%3D&value0=Bandung&column1=fare&op1=%3E&value1=20"); !strings.Contains(text, "1–7 of 7") {
		t.Errorf("filtered rows: %.500s", main(text))
	}
	if status, text := s.get(c, table+"/rows?column0=fare&op0=%3D&value0=cheap"); status != http.StatusUnprocessableEntity || !strings.Contains(text, "must be a number") {
		t.Errorf("a filter that is no number: %d %.300s", status, main(text))
	}
	s.want(c, "/warehouse/apply", url.Values{"do": {"plan"}, "text": {"name: shops\ncolumns:\n  - {name: id, type: Int64}\nprimaryKeyColumns: [id]\n"}}, http.StatusOK, "create dimension table")
	s.want(c, "/query", url.Values{"sql": {"SELECT count(*) AS n FROM trips WHERE city = 'Jakarta'"}, "do": {"run"}}, http.StatusOK, "1 row in", ">30<")
	s.want(c, "/query", url.Values{"sql": {"SELECT trip_id FROM trips ORDER BY 1"}, "size": {"25"}, "page": {"2"}}, http.StatusOK, "Rows 26–50, and there are more")
	s.want(c, "/query", url.Values{"sql": {"DROP TABLE trips"}, "do": {"run"}}, http.StatusUnprocessableEntity, "is not a query")
	s.want(c, "/query/views", url.Values{"name": {"cheap"}, "sql": {"SELECT * FROM trips WHERE fare < 7"}}, http.StatusOK, "The view cheap is saved")
	s.want(c, "/query/views", url.Values{"name": {"bad name"}, "sql": {"SELECT 1"}}, http.StatusUnprocessableEntity, "The view is not saved")
	s.want(c, "/query/views/cheap/delete", nil, http.StatusOK, "is dropped")
	if _, text := s.get(c, table+"/delete"); !strings.Contains(text, f.view) || !strings.Contains(text, "90 rows") {
		t.Errorf("what dropping does: %.500s", main(text))
	}
	s.want(c, table+"/delete", url.Values{"confirm": {f.table}}, http.StatusOK, "is dropped")
	if status, _ := s.get(c, table); status != http.StatusNotFound {
		t.Errorf("the table that is dropped: %d", status)
	}
}
