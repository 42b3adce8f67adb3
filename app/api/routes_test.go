package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"arus/app/auth"
	"arus/app/model"
)

// sample is one request that a route takes: where ids stand in {}, the bundle's
// objects of these names are meant.
type sample struct {
	path   string // with the names of objects for ids; empty: the route's, with the usual object
	body   string
	status int    // what the least role gets that may; 0: 200
	wrong  string // the path with an id under the wrong parent, or of nothing; "-": the route has no id
	wants  string // a part of the answer
}

// samples has a row for every route.
func samples() map[string]sample {
	const none = "-"
	return map[string]sample{
		"GET /api/health":       {wrong: none, wants: `"database":"connected"`},
		"GET /api/openapi.json": {wrong: none, wants: `"openapi":"3.1.0"`},

		"POST /api/auth/login":                 {body: `{"email":"viewer@example.com","password":"wrong horse battery"}`, status: 401, wrong: none},
		"POST /api/auth/refresh":               {status: 401, wrong: none},
		"POST /api/auth/setup":                 {body: `{}`, status: 404, wrong: none},
		"POST /api/auth/logout":                {wrong: none, wants: `"message":"signed out"`},
		"GET /api/auth/me":                     {wrong: none, wants: `"role":"viewer"`},
		"POST /api/auth/password":              {body: `{"old_password":"x","password":"y"}`, status: 422, wrong: none, wants: "only an account"},
		"GET /api/sessions":                    {wrong: none, wants: `[]`},
		"DELETE /api/sessions":                 {wrong: none, wants: `"revoked":0`},
		"DELETE /api/sessions/{id}":            {path: "/api/sessions/{session}", status: 404}, // another's
		"GET /api/auth/users":                  {wrong: none, wants: `"email":"admin@example.com"`},
		"POST /api/auth/users":                 {body: `{"email":"new@example.com","name":"New","password":"a new password"}`, status: 201, wrong: none},
		"PATCH /api/auth/users/{id}":           {path: "/api/auth/users/{viewer}", body: `{"name":"V"}`, wants: `"name":"V"`},
		"PUT /api/auth/users/{id}":             {path: "/api/auth/users/{viewer}", body: `{"role":"editor"}`, wants: `"role":"editor"`},
		"DELETE /api/auth/users/{id}":          {path: "/api/auth/users/{viewer}", wants: `"message"`},
		"GET /api/auth/users/{id}/sessions":    {path: "/api/auth/users/{viewer}/sessions", wants: `"address":"10.0.0.9"`},
		"DELETE /api/auth/users/{id}/sessions": {path: "/api/auth/users/{viewer}/sessions", wants: `"revoked":1`},
		"GET /api/tokens":                      {wrong: none, wants: `"name":"spare"`},
		"POST /api/tokens":                     {body: `{"name":"new","role":"editor"}`, status: 201, wrong: none, wants: `"token":"arus_`},
		"DELETE /api/tokens/{id}":              {path: "/api/tokens/{token}", wants: `"deleted":true`},
		"GET /api/audit":                       {wrong: none, wants: `"action":"source.create"`},

		"GET /api/sources":                {wrong: none, wants: `"name":"remote"`},
		"POST /api/sources":               {body: `{"name":"new","type":"mysql","host":"db.example","database":"shop","username":"u","password":"p","colour":"red"}`, status: 201, wrong: none, wants: `"ignored":["colour"]`},
		"GET /api/sources/{id}":           {path: "/api/sources/{source}", wants: `"sync_method":"auto"`},
		"PUT /api/sources/{id}":           {path: "/api/sources/{source}", body: `{"name":"shop2"}`, wants: `"updated":true`},
		"DELETE /api/sources/{id}":        {path: "/api/sources/{source}", wants: `"deleted":true`},
		"POST /api/sources/{id}/test":     {path: "/api/sources/{source}/test", wants: `"connected":true`},
		"POST /api/sources/{id}/discover": {path: "/api/sources/{source}/discover", wants: `"name":"customers"`},
		"POST /api/sources/{id}/schemas":  {path: "/api/sources/{source}/schemas", wants: `"schemas":[]`},
		"PUT /api/sources/{id}/tables":    {path: "/api/sources/{source}/tables", body: `{"tables":[{"name":"orders"},{"name":"customers","detected_sync":"full_refresh"}]}`, wants: `"auto_created":false`},
		"GET /api/sources/{id}/preview":   {path: "/api/sources/{source}/preview?table=orders", wrong: "/api/sources/{none}/preview?table=orders", wants: `"20"`},
		"POST /api/connections/test":      {body: `{"type":"postgresql","host":"127.0.0.1","port":1,"database":"x","username":"u","password":"p"}`, wrong: none, wants: `"connected":false`},

		"GET /api/destinations":         {wrong: none, wants: `"total_tables":2,"total_rows":2`},
		"POST /api/destinations":        {body: `{"name":"new","type":"postgresql","host":"h","database":"d","username":"u","password":"p"}`, status: 201, wrong: none},
		"GET /api/destinations/{id}":    {path: "/api/destinations/{destination}", wants: `"raw_schema":"staging"`},
		"PUT /api/destinations/{id}":    {path: "/api/destinations/{destination}", body: `{"name":"dwh"}`, wants: `"updated":true`},
		"DELETE /api/destinations/{id}": {path: "/api/destinations/{destination}", status: 409, wants: "orders"},
		"POST /api/destinations/{id}/tables/plan": {
			path: "/api/destinations/{destination}/tables/plan", status: 422, wants: "takes no declarations",
			body: `{"tables":[{"name":"t","columns":[{"name":"id","type":"Int32"}],"primaryKeyColumns":["id"]}]}`,
		},
		"POST /api/destinations/{id}/tables/apply": {
			path: "/api/destinations/{destination}/tables/apply", status: 422, wants: "takes no declarations",
			body: `{"drop_columns":true,"tables":{"name":"t","columns":[{"name":"id","type":"Int32"}],"primaryKeyColumns":[0]}}`,
		},
		"POST /api/destinations/{id}/test": {path: "/api/destinations/{destination}/test", wants: `"connected":true`},

		"GET /api/pipelines":                             {wrong: none, wants: `"source_name":"shop"`},
		"POST /api/pipelines":                            {body: `{"name":"new","source_id":"{source}","tables":[{"name":"customers"}]}`, status: 201, wrong: none},
		"POST /api/pipelines/pause-all":                  {wrong: none, wants: `"paused_count":2`},
		"POST /api/pipelines/resume-all":                 {wrong: none, wants: `"resumed_count":0`},
		"GET /api/pipelines/{id}":                        {path: "/api/pipelines/{pipeline}", wants: `"watermark_value":"2026-02-02`},
		"PUT /api/pipelines/{id}":                        {path: "/api/pipelines/{pipeline}", body: `{"schedule":null}`, wants: `"updated":true`},
		"DELETE /api/pipelines/{id}":                     {path: "/api/pipelines/{pipeline}", wants: `"deleted":true`},
		"POST /api/pipelines/{id}/trigger":               {path: "/api/pipelines/{pipeline}/trigger", status: 202, wants: `"run_id":"`},
		"POST /api/pipelines/{id}/full-refresh":          {path: "/api/pipelines/{pipeline}/full-refresh?wait=true", wants: `"rows_synced":2`},
		"POST /api/pipelines/{id}/backfill":              {path: "/api/pipelines/{pipeline}/backfill?wait=true", body: `{"from_date":"2026-02-02"}`, wants: `"status":"success"`},
		"POST /api/pipelines/{id}/pause":                 {path: "/api/pipelines/{pipeline}/pause", wants: `"status":"paused"`},
		"POST /api/pipelines/{id}/resume":                {path: "/api/pipelines/{pipeline}/resume", wants: `"status":"active"`},
		"POST /api/pipelines/{id}/test":                  {path: "/api/pipelines/{pipeline}/test", wants: `"connected":true`},
		"POST /api/pipelines/{id}/discover":              {path: "/api/pipelines/{pipeline}/discover", wants: `"selected":true`},
		"GET /api/pipelines/{id}/runs":                   {path: "/api/pipelines/{pipeline}/runs?asset_name=orders", wants: `"rows_synced":2`},
		"GET /api/pipelines/{id}/watermarks":             {path: "/api/pipelines/{pipeline}/watermarks", wants: `"watermark_col":"updated_at"`},
		"DELETE /api/pipelines/{id}/watermarks":          {path: "/api/pipelines/{pipeline}/watermarks?table=orders", wants: `"deleted":true`},
		"GET /api/pipelines/{id}/scripts":                {path: "/api/pipelines/{pipeline}/scripts", wants: `"name":"mask"`},
		"POST /api/pipelines/{id}/scripts":               {path: "/api/pipelines/{pipeline}/scripts", body: `{"name":"new","content":"def transform(row): return row"}`, status: 201},
		"POST /api/pipelines/{id}/transforms/preview":    {path: "/api/pipelines/{pipeline}/transforms/preview", body: `{"table":"orders","steps":[{"type":"add_constant","config":{"column":"shop","value":"north"}}],"rows":1}`, wants: `"shop":"north"`},
		"POST /api/pipelines/{id}/scripts/test":          {path: "/api/pipelines/{pipeline}/scripts/test", body: `{"content":"def transform(row):\n    return row","rows":[{"a":"x"}]}`, status: 422, wants: "not available"},
		"GET /api/pipelines/{id}/scripts/{script_id}":    {path: "/api/pipelines/{pipeline}/scripts/{script}", wrong: "/api/pipelines/{other}/scripts/{script}", wants: `"name":"mask"`},
		"PUT /api/pipelines/{id}/scripts/{script_id}":    {path: "/api/pipelines/{pipeline}/scripts/{script}", wrong: "/api/pipelines/{other}/scripts/{script}", body: `{"name":"mask2"}`, wants: `"name":"mask2"`},
		"DELETE /api/pipelines/{id}/scripts/{script_id}": {path: "/api/pipelines/{pipeline}/scripts/{script}", wrong: "/api/pipelines/{other}/scripts/{script}", wants: `"deleted":true`},

		"GET /api/pipelines/{id}/dead-letters":             {path: "/api/pipelines/{pipeline}/dead-letters", wants: `"data":[]`},
		"GET /api/pipelines/{id}/dead-letters/{letter_id}": {path: "/api/pipelines/{pipeline}/dead-letters/{none}", status: 404},
		"POST /api/pipelines/{id}/dead-letters/retry":      {path: "/api/pipelines/{pipeline}/dead-letters/retry", body: `{}`, status: 422, wrong: none, wants: "all=true"},
		"POST /api/pipelines/{id}/dead-letters/drop":       {path: "/api/pipelines/{pipeline}/dead-letters/drop", body: `{"all":true}`, wants: `"dropped":0`},
		"POST /api/pipelines/{id}/rebuild":                 {path: "/api/pipelines/{pipeline}/rebuild", status: 422, wants: "raw rows"},
		"POST /api/pipelines/{id}/verify":                  {path: "/api/pipelines/{pipeline}/verify", body: `{"tables":["orders"]}`, wants: `"equal":true,"tables":[{"table":"orders"`},
		"GET /api/quality":                                 {wrong: none, wants: `"check_type":"row_count"`},
		"GET /api/schema-changes":                          {wrong: none, wants: `"changes":[]`},
		"POST /api/schema-changes/{id}/apply":              {status: 404},
		"POST /api/schema-changes/{id}/ignore":             {status: 404},

		"GET /api/runs":              {path: "/api/runs?status=success", wrong: none, wants: `"pipeline_name":"orders"`},
		"GET /api/runs/stats/daily":  {wrong: none, wants: `"run_count":2,"failed":1,"total_rows":2`},
		"GET /api/runs/{id}":         {path: "/api/runs/{run}", wants: `"per_table":[{"table":"orders"`},
		"GET /api/runs/{id}/logs":    {path: "/api/runs/{run}/logs", wants: `"logs":[`},
		"POST /api/runs/{id}/cancel": {path: "/api/runs/{run}/cancel", status: 409, wants: "success"},
		"POST /api/runs/{id}/retry":  {path: "/api/runs/{failed}/retry?wait=true", wants: `"status":"failed"`},

		"GET /api/dashboard/summary":         {wrong: none, wants: `"total_rows_synced":2`},
		"GET /api/dashboard/recent-runs":     {wrong: none, wants: `"pipeline_name":"orders"`},
		"GET /api/dag":                       {wrong: none, wants: `"edges":[{"from":"orders","to":"orders"`},
		"GET /api/events":                    {wrong: none, wants: "retry: 2000"},
		"POST /api/warehouse/query":          {body: `{"sql":"SELECT id, total FROM orders ORDER BY id"}`, wrong: none, wants: `"rows":[[1,10],[2,20]]`},
		"GET /api/warehouse/views":           {wrong: none, wants: `[]`},
		"POST /api/warehouse/views":          {wrong: none, body: `{"name":"large","sql":"SELECT id FROM orders WHERE total > 10"}`, wants: `"name":"large"`},
		"DELETE /api/warehouse/views/{name}": {path: "/api/warehouse/views/{none}", status: 404},

		"GET /api/notifications/targets":            {wrong: none, wants: `"config":{}`},
		"POST /api/notifications/targets":           {body: `{"name":"new","type":"telegram","config":{"bot_token":"t0ken-marker","chat_id":5}}`, status: 201, wrong: none, wants: `"chat_id":"5"`},
		"PUT /api/notifications/targets/{id}":       {path: "/api/notifications/targets/{target}", body: `{"is_active":false}`, wants: `"is_active":false`},
		"DELETE /api/notifications/targets/{id}":    {path: "/api/notifications/targets/{target}", wants: `"deleted":true`},
		"POST /api/notifications/targets/{id}/test": {path: "/api/notifications/targets/{target}/test", status: 422, wants: "sends no notifications"},
		"GET /api/notifications/history":            {path: "/api/notifications/history?status=sent", wrong: none, wants: `"notifications":[]`},
		"GET /api/schedules":                        {wrong: none, wants: `"paused":false,"schedules":[{"pipeline_id":"`},
		"GET /api/schedules/next":                   {path: "/api/schedules/next?schedule=0+2+*+*+*&timezone=Europe/Berlin&count=1", wrong: none, wants: `"next":["2026-03-02T02:00:00+01:00"]`},
		"GET /api/notifications/links/{id}":         {path: "/api/notifications/links/{pipeline}", wants: `"event_types":["failure"]`},
		"POST /api/notifications/links":             {body: `{"pipeline_id":"{other}","target_id":"{target}","events":["success"]}`, status: 201, wrong: none, wants: `"event_types":["success"]`},
		"PUT /api/notifications/links/{id}":         {path: "/api/notifications/links/{link}", body: `{"event_types":["dead_letter"]}`, wants: `"dead_letter"`},
		"DELETE /api/notifications/links/{id}":      {path: "/api/notifications/links/{link}", wants: `"deleted":true`},

		"GET /api/settings":         {wrong: none, wants: `"max_retries":"3"`},
		"GET /api/settings/details": {wrong: none, wants: `"origin":"default"`},
		"PUT /api/settings":         {body: `{"max_retries":5,"auto_alter_schema":true,"default_schedule":null}`, wrong: none, wants: `"max_retries":"5"`},
		"POST /api/backup":          {status: 201, wrong: none, wants: `"file":"arus-`},
		"GET /api/backups":          {wrong: none, wants: `[`},
		"POST /api/backups":         {body: "no backup", status: 422, wrong: none, wants: "neither an archive"},
		"GET /api/backups/{file}":   {path: "/api/backups/arus-backup-none.tar.gz", status: 404, wrong: "/api/backups/arus.key"},

		"POST /api/backups/{file}/restore": {path: "/api/backups/arus-backup-none.tar.gz/restore", status: 409, wrong: none, wants: "only a running server"},
		"GET /api/config":                  {path: "/api/config?format=yaml", wrong: none, wants: "name: shop"},
		"GET /api/config/schema":           {wrong: none, wants: `"$schema"`},
		"POST /api/config/plan":            {body: "version: 1\nsettings:\n  max_retries: 7\n", wrong: none, wants: `"name":"max_retries"`},
		"POST /api/config/apply":           {body: `{"version":1,"pipelines":[{"name":"x","source":"nobody","destination":"warehouse","tables":[]}]}`, status: 422, wrong: none, wants: "nobody"},
	}
}

var placeholder = regexp.MustCompile(`\{(\w+)\}`)

// fill puts the bundle's ids into a text.
func (b *bundle) resolve(text string) string {
	ids := map[string]string{
		"source": b.source.ID, "destination": b.dest.ID, "pipeline": b.pipeline.ID, "other": b.other.ID, "run": b.run, "failed": b.failed,
		"script": b.script.ID, "target": b.target.ID, "link": b.link.ID, "token": b.token.ID, "session": b.session.ID,
		"viewer": b.users[model.RoleViewer].ID, "letters": b.lettersOf,
	}
	return placeholder.ReplaceAllStringFunc(text, func(m string) string {
		if id, ok := ids[strings.Trim(m, "{}")]; ok {
			return id
		}
		return uuid.NewString() // of nothing
	})
}

// TestEveryRouteForEverybody walks the route table: a route without a row in
// samples fails.
func TestEveryRouteForEverybody(t *testing.T) {
	t.Parallel()
	rows := samples()
	for _, rt := range routes() {
		name := rt.method + " " + rt.path
		row, ok := rows[name]
		if !ok {
			t.Errorf("no row for %s", name)
			continue
		}
		delete(rows, name)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			path, wrong := row.path, row.wrong
			if path == "" {
				path = rt.path
			}
			if wrong == "" {
				wrong = rt.path // its ids are of nothing
			}
			expect := func(as, path string, status int, code string) answer {
				t.Helper()
				a := b.do(as, rt.method, b.resolve(path), b.resolve(row.body))
				if a.status != status || a.code != code {
					t.Errorf("as %q: %d %s, want %d %s\n%s", as, a.status, a.code, status, code, a.text)
				}
				return a
			}
			if rt.needs != auth.Public {
				for _, nobody := range []string{"", "disabled", "expired"} {
					expect(nobody, path, http.StatusUnauthorized, codeAuth)
				}
			}
			least := ""
			for _, role := range model.Roles() {
				if !auth.Can(role, rt.needs) {
					expect(string(role), path, http.StatusForbidden, codeForbidden)
				} else if least == "" && rt.needs != auth.Public {
					least = string(role)
				}
			}
			if wrong != "-" {
				expect("admin", wrong, http.StatusNotFound, codeNotFound)
				for _, id := range []string{"x", "' OR 1=1 --", "%00", strings.Repeat("a", 300)} {
					expect("admin", placeholder.ReplaceAllString(rt.path, strings.ReplaceAll(strings.ReplaceAll(id, " ", "%20"), "'", "%27")), http.StatusNotFound, codeNotFound)
				}
			}
			status := row.status
			if status == 0 {
				status = http.StatusOK
			}
			a := b.do(least, rt.method, b.resolve(path), b.resolve(row.body))
			if a.status != status || !strings.Contains(a.text, row.wants) {
				t.Errorf("as %q: %d, want %d and %s\n%s", least, a.status, status, row.wants, a.text)
			}
			if least == "" || least == "admin" {
				return
			}
			full := setup(t)
			if a := full.do("admin", rt.method, full.resolve(path), full.resolve(row.body)); a.status == http.StatusUnauthorized || a.status == http.StatusForbidden || a.status >= 500 {
				t.Errorf("as admin: %d\n%s", a.status, a.text)
			}
		})
	}
	for name := range rows {
		t.Errorf("there is no route %s", name)
	}
}

// TestTheDescriptionHasEveryRoute holds /api/openapi.json to the route table and
// what it refers to.
func TestTheDescriptionHasEveryRoute(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := b.do("", http.MethodGet, "/api/openapi.json", "")
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string
			Parameters  []struct{ Name, In string }
			Security    []map[string][]string
			Responses   map[string]any
		}
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal([]byte(a.text), &doc); err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{}
	n := 0
	for _, rt := range slices.Concat(routes(), tableRoutes()) {
		op, ok := doc.Paths[rt.path][strings.ToLower(rt.method)]
		if !ok {
			t.Errorf("%s %s is not described", rt.method, rt.path)
			continue
		}
		n++
		if first, taken := ids[op.OperationID]; taken {
			t.Errorf("%s names both %s and %s", op.OperationID, first, rt.path)
		}
		ids[op.OperationID] = rt.path
		for _, m := range placeholder.FindAllStringSubmatch(rt.path, -1) {
			if !slices.ContainsFunc(op.Parameters, func(p struct{ Name, In string }) bool { return p.Name == m[1] && p.In == "path" }) {
				t.Errorf("%s %s: the parameter %s is not described", rt.method, rt.path, m[1])
			}
		}
		if (len(op.Security) == 0) != (rt.needs == auth.Public) || len(op.Responses) < 2 {
			t.Errorf("%s %s: %+v", rt.method, rt.path, op)
		}
	}
	described := 0
	for _, item := range doc.Paths {
		described += len(item)
	}
	if described != n {
		t.Errorf("%d operations are described, there are %d", described, n)
	}
	for _, m := range regexp.MustCompile(`#/components/schemas/(\w+)`).FindAllStringSubmatch(a.text, -1) {
		if _, ok := doc.Components.Schemas[m[1]]; !ok {
			t.Errorf("%s is referred to and not there", m[1])
		}
	}
}

func TestWhatNoRouteTakesHasTheEnvelope(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if a := b.do("admin", http.MethodGet, "/api/nothing", ""); a.status != http.StatusNotFound || a.code != codeNotFound {
		t.Errorf("%d %s", a.status, a.text)
	}
	if a := b.do("admin", http.MethodDelete, "/api/sources", ""); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "GET, POST" {
		t.Errorf("%d %s %s", a.status, a.header.Get("Allow"), a.text)
	}
	for _, body := range []string{`{`, `[]`, `"x"`, `{"name":5}`, `{"port":"x"}`, `{"port":1e400}`, strings.Repeat(" ", maxBody+1)} {
		if a := b.do("admin", http.MethodPost, "/api/sources", body); a.status != http.StatusUnprocessableEntity && a.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%.20q: %d %s", body, a.status, a.text)
		}
	}
	for _, query := range []string{"limit=0", "limit=201", "limit=x", "offset=-1", "limit=0&offset=x"} {
		a := b.do("admin", http.MethodGet, "/api/sources?"+query, "")
		if a.status != http.StatusUnprocessableEntity || strings.Count(a.text, `"field"`) != strings.Count(query, "=") {
			t.Errorf("%s: %d %s", query, a.status, a.text)
		}
	}
	var limited answer
	for i := range 12 {
		limited = b.do("", http.MethodPost, "/api/auth/login", fmt.Sprintf(`{"email":"admin@example.com","password":"guess %d"}`, i))
	}
	if limited.status != http.StatusTooManyRequests || limited.code != codeLimited || limited.header.Get("Retry-After") == "" {
		t.Errorf("%d %s %q", limited.status, limited.text, limited.header.Get("Retry-After"))
	}
	b.forbid(t, "the log", b.log.String())
}
