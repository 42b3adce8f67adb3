package app

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"

	"arus/connectors"
)

// exitCrashed is the exit code after a fault of the program, as Go's own.
const exitCrashed = 2

// crashPending is where the runtime writes what a goroutine says that nobody
// catches, while the program ends. The next start makes a report of it.
const crashPending = "crash.pending"

// crashFile is that file of a running program.
type crashFile struct{ f *os.File }

// watchCrashes reports what the last program on the directory left, and lets
// the runtime write there. A directory that cannot be written to has no report.
func (env *environment) watchCrashes(dir string) *crashFile {
	file := filepath.Join(dir, crashPending)
	if info, err := os.Stat(file); err == nil && info.Size() > 0 {
		if text, err := os.ReadFile(file); err == nil {
			report := filepath.Join(dir, "crash-"+info.ModTime().UTC().Format("20060102T150405.000Z")+".txt")
			head := fmt.Sprintf("found by arus %s, %s, %s/%s\n\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			if os.WriteFile(report, []byte(head+redactText(string(text))), 0o600) == nil {
				env.say("warning: Arus ended by a fault of the program last time; the report is in %s and stays on this machine", report)
			}
		}
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil
	}
	if err := debug.SetCrashOutput(f, debug.CrashOptions{}); err != nil {
		_ = f.Close()
		return nil
	}
	return &crashFile{f}
}

// close ends the watch of a program that ends as it should.
func (c *crashFile) close() {
	if c == nil {
		return
	}
	_ = debug.SetCrashOutput(nil, debug.CrashOptions{})
	_ = c.f.Close()
	_ = os.Remove(c.f.Name())
}

// crashed writes the report of a panic into the data directory, or where there
// is none into the directory for temporary files, and says where.
func (env *environment) crashed(args []string, cause any) int {
	text := fmt.Sprintf("arus %s, %s, %s/%s\nat %s\ncommand: %s\n\npanic: %v\n\n%s", version, runtime.Version(), runtime.GOOS, runtime.GOARCH,
		env.Now().UTC().Format("2006-01-02T15:04:05Z"), strings.Join(redactArgs(args), " "), cause, debug.Stack())
	name := "crash-" + env.Now().UTC().Format("20060102T150405.000Z") + ".txt"
	_, _ = fmt.Fprintf(env.Err, "arus: a fault of the program: %s\n", redactText(fmt.Sprint(cause)))
	dirs := []string{os.TempDir()}
	if dir, err := env.dataDir(); err == nil {
		dirs = []string{dir, os.TempDir()}
	}
	for _, dir := range dirs {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(redactText(text)), 0o600); err == nil {
			_, _ = fmt.Fprintf(env.Err, "the report is in %s; it stays on this machine\n", file)
			break
		}
	}
	return exitCrashed
}

var (
	urlText    = regexp.MustCompile(`[a-z][a-z0-9+]*://[^\s"']+`)
	secretText = regexp.MustCompile(`(?i)((?:password|passwd|secret|token|key)["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,;}\]]+)`)
)

// redactText takes out of a text what may be a secret: passwords in URLs, and
// what stands behind a word like password.
func redactText(text string) string {
	text = urlText.ReplaceAllStringFunc(text, connectors.RedactURL)
	return secretText.ReplaceAllString(text, "$1[redacted]")
}

// redactArgs also leaves out the values of flags that hold secrets.
func redactArgs(args []string) []string {
	out := make([]string, len(args))
	hide := false
	for i, arg := range args {
		out[i] = redactText(arg)
		if hide {
			out[i] = "[redacted]"
		}
		hide = arg == "--key" || arg == "--jwt-secret"
	}
	return out
}
