//go:build unix

package app

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	shellBlock   = regexp.MustCompile("(?ms)(?:^<!-- not run: ([^\n]*) -->\n)?^```sh\n(.*?)^```$")
	indentedCall = regexp.MustCompile(`(?m)^(?: {4}|\t)(?:\$ )?(?:arus|sudo|go) .*$`)
	inlineCall   = regexp.MustCompile("`(arus [a-z][^`\n]*)`")
	// What else than arus a command of the docs may call.
	otherTools = regexp.MustCompile(`^([A-Z_]+=\S*|sudo|dpkg|go|printf|echo|\.ci/run|systemctl|journalctl|curl|#)`)
)

// TestTheCommandsOfTheDocs runs every shell block of the documentation, one
// page after the other in a data directory of its own. A block that cannot be
// run says why, and its commands are held against the command line, as are the
// ones within a sentence.
func TestTheCommandsOfTheDocs(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("../docs/connectors/*.md")
	if err != nil {
		t.Fatal(err)
	}
	pages = append(append(pages, more...), "../README.md")
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range indentedCall.FindAllString(string(text), -1) {
			t.Errorf("%s: %q is not run: commands stand in blocks of sh", page, line)
		}
		for _, m := range inlineCall.FindAllStringSubmatch(string(text), -1) {
			if err := checkMention(m[1]); err != nil {
				t.Errorf("%s: `%s`: %v", page, m[1], err)
			}
		}
		blocks := shellBlock.FindAllStringSubmatch(string(text), -1)
		if len(blocks) == 0 {
			continue
		}
		generated := filepath.Base(page) == "cli.md"
		t.Run(strings.TrimPrefix(page, "../"), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for _, b := range blocks {
				reason, script := b[1], b[2]
				for _, line := range commandLines(script) {
					if err := checkCommand(line); err != nil {
						t.Errorf("%s\n%v", line, err)
					}
				}
				if reason != "" || generated {
					continue
				}
				if out, err := runShell(t, dir, script); err != nil {
					t.Errorf("%s\n%v\n%s", script, err, out)
				}
			}
		})
	}
}

// commandLines are the calls of a script, each on one line.
func commandLines(script string) []string {
	var lines []string
	for line := range strings.SplitSeq(strings.ReplaceAll(script, "\\\n", " "), "\n") {
		for part := range strings.SplitSeq(line, " | ") {
			if part = strings.TrimSpace(part); part != "" {
				lines = append(lines, part)
			}
		}
	}
	return lines
}

// checkCommand parses a call of arus as the program would.
func checkCommand(line string) error {
	words := shellWords(line)
	if words[0] == "sudo" {
		words = words[1:]
	}
	if words[0] != "arus" {
		if !otherTools.MatchString(words[0]) {
			return fmt.Errorf("%q is no command of the documentation", words[0])
		}
		return nil
	}
	root := Commands()
	cmd, rest, err := root.Find(words[1:])
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	if cmd.HasSubCommands() && cmd != root && len(cmd.Flags().Args()) > 0 {
		return fmt.Errorf("there is no %q", cmd.CommandPath()+" "+cmd.Flags().Arg(0))
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}

// checkMention holds a command within a sentence, which may leave out what it
// takes, against the command line.
func checkMention(call string) error {
	words := shellWords(strings.ReplaceAll(call, "…", ""))
	cmd, rest, err := Commands().Find(words[1:])
	if err != nil {
		return err
	}
	if !cmd.HasParent() && len(words) > 1 && !strings.HasPrefix(words[1], "-") || cmd.HasSubCommands() && cmd.HasParent() && len(rest) > 0 && rest[0] == strings.ToLower(rest[0]) {
		return errors.New("there is no such command")
	}
	for _, word := range rest {
		name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
		if strings.HasPrefix(word, "--") && cmd.Flag(name) == nil {
			return fmt.Errorf("there is no --%s", name)
		}
	}
	return nil
}

// shellWords splits a simple line as a shell does, up to a redirection.
func shellWords(line string) []string {
	var words []string
	var word strings.Builder
	var quote rune
	inside := false
	for _, r := range line + " " {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inside = r, true
		case r == ' ':
			if inside || word.Len() > 0 {
				words = append(words, word.String())
			}
			word.Reset()
			inside = false
		default:
			word.WriteRune(r)
		}
	}
	for i, w := range words {
		if w == ">" || w == "<" || w == "#" {
			return words[:i]
		}
	}
	return words
}

// runShell runs a script with arus on its path.
func runShell(t *testing.T, dir, script string) (string, error) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "bin")
	if err := os.MkdirAll(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	program := "#!/bin/sh\nARUS_TEST_AS_PROGRAM=1 exec '" + exe + "' \"$@\"\n"
	if err := os.WriteFile(filepath.Join(bin, "arus"), []byte(program), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "HOME="+dir, "ARUS_DATA="+filepath.Join(dir, "data"), "ARUS_LISTEN=127.0.0.1:0")
	out, err := cmd.CombinedOutput()
	return string(out), err
}
