//go:build linux

package app

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var updateUnit = flag.Bool("update-unit", false, "write packaging/arus.service")

// TestThePackagesUnit is what 'arus service install' would make for the place
// where the packages put things.
func TestThePackagesUnit(t *testing.T) {
	t.Parallel()
	want := unit{Exe: "/usr/bin/arus", Data: systemData, User: serviceName, StateOf: serviceName, Manager: "multi-user.target"}.text()
	file := filepath.Join("..", "packaging", "arus.service")
	if *updateUnit {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != want {
		t.Errorf("packaging/arus.service is not what the program makes (-update-unit writes it): %v", err)
	}
	for in, out := range map[string]string{"/a b": `"/a b"`, "100%": "100%%", `a"b`: `"a\"b"`, "/x": "/x"} {
		if got := unitQuote(in); got != out {
			t.Errorf("%s is written %s, not %s", in, got, out)
		}
	}
}

// TestAServiceOfOnesOwn is made, asked for and removed with a service manager
// that notes what it is told.
func TestAServiceOfOnesOwn(t *testing.T) {
	dir := t.TempDir()
	bin, home := filepath.Join(dir, "bin"), filepath.Join(dir, "home")
	told := filepath.Join(dir, "told")
	for name, text := range map[string]string{
		"systemctl":  `echo "$@" >> ` + told + `; case "$*" in *is-active*) [ -e ` + home + `/.config/systemd/user/arus.service ] && echo active || { echo inactive; exit 3; };; *list-unit-files*) echo 0 unit files listed.;; esac`,
		"journalctl": `echo log "$@"`,
		"rpm-ostree": "",
	} {
		if err := os.MkdirAll(bin, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(dir, "data")
	command := func(args ...string) (string, error) {
		cmd := child(t, data, args...)
		cmd.Env = append(cmd.Env, "PATH="+bin+":"+os.Getenv("PATH"), "HOME="+home)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := command("service", "status", "--per-user"); err == nil || !strings.Contains(out, "not installed") {
		t.Errorf("%s, %v", out, err)
	}
	if out, err := command("service", "install", "--per-user", "--listen", "127.0.0.1:8099"); err != nil {
		t.Fatalf("%s, %v", out, err)
	}
	text, err := os.ReadFile(filepath.Join(home, ".config/systemd/user/arus.service"))
	if err != nil || !strings.Contains(string(text), "Type=notify") || !strings.Contains(string(text), "ARUS_LISTEN=127.0.0.1:8099") || !strings.Contains(string(text), "ARUS_DATA="+data) {
		t.Errorf("%s, %v", text, err)
	}
	if out, err := command("service", "status", "--per-user"); err == nil || !strings.Contains(out, "running") || !strings.Contains(out, "no such file") {
		t.Errorf("%s, %v", out, err)
	}
	if out, err := command("service", "logs", "--per-user", "-n", "7"); err != nil || !strings.Contains(out, "--lines 7") {
		t.Errorf("%s, %v", out, err)
	}
	if err := os.WriteFile(filepath.Join(data, "kept"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := command("service", "uninstall", "--per-user"); err != nil || !strings.Contains(out, "stays in "+data) {
		t.Errorf("%s, %v", out, err)
	}
	if _, err := os.Stat(filepath.Join(data, "kept")); err != nil {
		t.Error(err)
	}
	calls, err := os.ReadFile(told)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"enable --user arus.service", "daemon-reload --user", "start --user arus.service", "stop --user arus.service", "disable --user arus.service"} {
		if !strings.Contains(string(calls), want) {
			t.Errorf("the manager was not told %q:\n%s", want, calls)
		}
	}
}
