package app

import (
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arus/testdata/servers"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

// TestSecretsNeverLeave puts a marked password through every command and looks
// for it in everything the program prints, logs and stores.
func TestSecretsNeverLeave(t *testing.T) {
	t.Parallel()
	const password = "s3cr3t-marker/@:%ü"
	pg := servers.PostgresDatabase(t)
	name := "arus_secret_role"
	execPostgres(t, pg, `DROP ROLE IF EXISTS `+name, `CREATE ROLE `+name+` LOGIN SUPERUSER PASSWORD 's3cr3t-marker/@:%ü'`, `CREATE TABLE orders (id int PRIMARY KEY)`)
	secret := with(t, pg, func(u *url.URL) { u.User = url.UserPassword(name, password) })
	dir := t.TempDir()
	var said strings.Builder
	run := func(args ...string) {
		r := arus(t, dir, append(args, "--verbose")...)
		said.WriteString(r.out + r.errOut)
	}
	run("sync", "--from", secret, "--to", "embedded:")
	run("sync", "--from", secret, "--to", "embedded:", "--json")
	run("sync", "--from", secret, "--to", secret, "--target-schema", "copy")
	run("sync", "--from", strings.Replace(secret, "5432", "1", 1)+"x", "--to", "embedded:")
	run("sync", "--from", secret+"?sslmode=verify-full", "--to", "embedded:")
	run("source", "add", "mine", secret)
	run("source", "add", "mine", secret)
	run("source", "add", "other", secret+"/x")
	run("destination", "add", "mine", secret)
	for _, noun := range []string{"source", "destination"} {
		run(noun, "list")
		run(noun, "list", "--json")
		run(noun, "show", "mine")
		run(noun, "test", "mine", "--json")
	}
	run("source", "discover", "mine")
	run("pipeline", "add", "p", "--source", "mine", "--destination", "mine", "--target-schema", "elsewhere")
	run("pipeline", "show", "p")
	run("run", "p")
	execPostgres(t, pg, `ALTER ROLE `+name+` PASSWORD 'another'`)
	run("run", "p", "--json")
	run("runs")
	run("runs", "--json")
	execPostgres(t, pg, `REASSIGN OWNED BY `+name+` TO arus`, `DROP OWNED BY `+name, `DROP ROLE `+name)
	if !contains(said.String(), "success") || !contains(said.String(), "failed") {
		t.Errorf("the commands did not do what the test is about:\n%s", said.String())
	}
	forms := []string{"s3cr3t-marker", url.QueryEscape(password), url.PathEscape(password)}
	for _, form := range forms {
		if contains(said.String(), form) {
			t.Errorf("the output shows %q:\n%s", form, said.String())
		}
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		for _, form := range forms {
			if contains(string(data), form) {
				t.Errorf("%s holds %q", path, form)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
