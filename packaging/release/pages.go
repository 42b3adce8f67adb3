package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"arus/app"
)

// writeManual writes the man pages and what shells complete commands with.
func writeManual(dir, version string) error {
	man, shells := filepath.Join(dir, "man"), filepath.Join(dir, "completions")
	for _, d := range []string{man, shells} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	root := app.Commands()
	root.DisableAutoGenTag = true
	day := time.Unix(0, 0).UTC()
	if err := doc.GenManTree(root, &doc.GenManHeader{Title: "ARUS", Section: "1", Source: "Arus " + version, Manual: "Arus", Date: &day}, man); err != nil {
		return fmt.Errorf("write the man pages: %w", err)
	}
	for name, write := range map[string]func(string) error{
		"arus.bash": func(f string) error { return root.GenBashCompletionFileV2(f, true) },
		"_arus":     root.GenZshCompletionFile,
		"arus.fish": func(f string) error { return root.GenFishCompletionFile(f, true) },
		"arus.ps1":  root.GenPowerShellCompletionFileWithDesc,
	} {
		if err := write(filepath.Join(shells, name)); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}

// writeCommands writes docs/cli.md: every command with its flags.
func writeCommands(file string) error {
	var b bytes.Buffer
	b.WriteString("# Commands\n\nGenerated from the program by `go tool task gen`; do not edit. Every command also understands the flags of the\nfirst section. Exit codes: 0 done, 1 a run failed, 2 the command line or a file is not valid, 3 the environment\n(unreachable, no permission, directory in use), 4 done with dead letters, 130 and 143 stopped by a signal.\n")
	root := app.Commands()
	root.DisableAutoGenTag = true
	var walk func(*cobra.Command) error
	walk = func(cmd *cobra.Command) error {
		if !cmd.IsAvailableCommand() && cmd.HasParent() || cmd.Name() == "help" {
			return nil
		}
		cmd.InitDefaultHelpFlag()
		title := cmd.CommandPath()
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", title, sentence(cmd))
		if cmd.Runnable() {
			fmt.Fprintf(&b, "```\n%s\n```\n", cmd.UseLine())
		}
		if cmd.Example != "" {
			fmt.Fprintf(&b, "\n```sh\n%s\n```\n", undent(cmd.Example))
		}
		flags := cmd.NonInheritedFlags().FlagUsages()
		if flags != "" && flags != "  -h, --help   help for "+cmd.Name()+"\n" {
			fmt.Fprintf(&b, "\n```\n%s```\n", flags)
		}
		for _, sub := range cmd.Commands() {
			if err := walk(sub); err != nil {
				return err
			}
		}
		return nil
	}
	if err := walk(root); err != nil {
		return err
	}
	return publish(file, b.Bytes())
}

func sentence(cmd *cobra.Command) string {
	if cmd.Long != "" {
		return strings.TrimSpace(cmd.Long)
	}
	return cmd.Short + "."
}

func undent(text string) string {
	lines := strings.Split(strings.Trim(text, "\n"), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimPrefix(l, "  ")
	}
	return strings.Join(lines, "\n")
}
