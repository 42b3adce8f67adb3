package app

import (
	"net/url"
	"strings"
	"testing"

	"arus/app/model"
	"arus/testdata/servers"
)

// TestASyncWaitsForItsServers connects to a server that refuses connections at first: the first sync, and a later one,
// try again as a run does. A wrong password is not tried again.
func TestASyncWaitsForItsServers(t *testing.T) {
	t.Parallel()
	source := servers.PostgresDatabase(t)
	execPostgres(t, source, `CREATE TABLE orders (id int PRIMARY KEY, v text)`, `INSERT INTO orders SELECT i, 'v' FROM generate_series(1, 10) i`)
	p, from := behind(t, source)
	dir := t.TempDir()
	mustArus(t, dir, "settings", "set", "initial_backoff", "50ms")
	mustArus(t, dir, "settings", "set", "max_retries", "20")
	for range 2 {
		before := p.Refused()
		p.Down(true)
		up := make(chan struct{})
		go func() {
			defer close(up)
			p.AwaitRefused(t, before+1)
			p.Down(false)
		}()
		r := runSync(t, dir, "--from", from, "--to", "embedded:")
		<-up
		if r.Status != model.RunSuccess || r.RowsLoaded != 10 {
			t.Errorf("%s, %d rows, want 10", r.Status, r.RowsLoaded)
		}
	}
	mustArus(t, dir, "settings", "set", "initial_backoff", "10m") // the test would not see the end of a retry
	wrong := with(t, from, func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), "wrong-password-x") })
	if r := arus(t, dir, "sync", "--quiet", "--from", wrong, "--to", "embedded:", "--target-schema", "other"); r.code != exitEnvironment || strings.Contains(r.errOut, "retry") {
		t.Errorf("with a wrong password: exit code %d\n%s", r.code, r.errOut)
	}
}
