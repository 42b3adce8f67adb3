package servers

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"
)

// install gets the Debian packages of kinds that are not there, if this account may, and returns what is still missing,
// by package.
func install(ctx context.Context, wanted []kind, out io.Writer) map[string]error {
	missing := map[string]error{}
	var packages []string
	for _, k := range wanted {
		if err := k.server.find(); err != nil {
			if k.pkg != "" && missing[k.pkg] == nil {
				packages = append(packages, k.pkg)
			}
			missing[k.pkg] = err
		}
	}
	if len(packages) == 0 {
		return missing
	}
	prefix, err := aptPrefix(ctx)
	if err == nil {
		_, _ = fmt.Fprintln(out, "servers: reading Debian's package lists")
		err = apt(ctx, prefix, "update")
	}
	for _, pkg := range packages {
		if err != nil {
			missing[pkg] = fmt.Errorf("%w, and package %s cannot be installed: %w", missing[pkg], pkg, err)
			continue
		}
		_, _ = fmt.Fprintf(out, "servers: installing %s\n", pkg)
		// Each by itself: a package that this release does not have must not hold the others back.
		if err := apt(ctx, prefix, "install", "--yes", "--no-install-recommends", pkg); err != nil {
			missing[pkg] = fmt.Errorf("%w, and package %s cannot be installed: %w", missing[pkg], pkg, err)
		}
	}
	for _, k := range wanted {
		if k.server.find() == nil {
			delete(missing, k.pkg)
		}
	}
	return missing
}

// aptPrefix is what has to stand before apt-get to be allowed to install.
func aptPrefix(ctx context.Context) ([]string, error) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 {
		return nil, nil
	}
	if err := exec.CommandContext(ctx, "sudo", "-n", "true").Run(); err != nil {
		return nil, fmt.Errorf("neither root nor sudo without a password: %w", err)
	}
	return []string{"sudo", "-n"}, nil
}

func apt(ctx context.Context, prefix []string, args ...string) error {
	// A package starts a service of its own, on the usual port, where the machine allows it; the tests' servers share
	// neither port nor directory with that one.
	words := append(slices.Clip(prefix), "env", "DEBIAN_FRONTEND=noninteractive", "apt-get",
		"--quiet=2", "-o", "DPkg::Lock::Timeout=300")
	words = append(words, args...)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	// Killed in the middle, a package would stay half installed.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = time.Minute
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get %s: %w: %s", args[0], err, tail(text))
	}
	return nil
}
