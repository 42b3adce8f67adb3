package app

import (
	"fmt"
	"strings"
)

// unit is a service of systemd: ready when it says so, watched, and with no more
// of the machine than it needs.
type unit struct {
	Exe     string
	Listen  string
	Data    string
	User    string // empty: the user whose service it is
	StateOf string // the name below /var/lib that systemd makes for it; empty: the directory is there
	Manager string // the target that starts it
}

// text is the unit's file. packaging/arus.service is the one of the packages.
func (u unit) text() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("[Unit]")
	line("Description=Arus, copies tables from databases into an analytics destination")
	if u.User != "" {
		line("Wants=network-online.target")
		line("After=network-online.target")
	}
	line("\n[Service]")
	line("Type=notify")
	line("NotifyAccess=main")
	line("WatchdogSec=5min")
	line("TimeoutStartSec=10min") // a large state file may be copied and upgraded
	line("TimeoutStopSec=45")
	line("Restart=on-failure")
	line("RestartSec=5")
	line("# ARUS_LISTEN, ARUS_BASE_URL and every other setting as ARUS_NAME=value")
	if u.User != "" {
		line("EnvironmentFile=-/etc/default/arus")
	}
	line("Environment=ARUS_DATA=%s", unitQuote(u.Data))
	if u.Listen != "" {
		line("Environment=ARUS_LISTEN=%s", unitQuote(u.Listen))
	}
	line("ExecStart=%s serve", unitQuote(u.Exe))
	if u.User == "" {
		line("\n[Install]\nWantedBy=%s", u.Manager)
		return b.String()
	}
	line("User=%s\nGroup=%s", u.User, u.User)
	if u.StateOf != "" {
		line("StateDirectory=%s\nStateDirectoryMode=0700", u.StateOf)
	} else {
		line("ReadWritePaths=%s", unitQuote(u.Data))
	}
	line("UMask=0077\nLimitNOFILE=65536")
	line("# What it may not: become somebody else, write elsewhere, change the machine. Scripts of transforms")
	line("# put themselves into a narrower box still (Landlock, seccomp), for which they need no right.")
	for _, on := range []string{
		"NoNewPrivileges", "PrivateTmp", "PrivateDevices", "ProtectClock", "ProtectControlGroups", "ProtectHostname",
		"ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables", "RestrictRealtime", "RestrictSUIDSGID", "LockPersonality", "RemoveIPC",
	} {
		line("%s=yes", on)
	}
	line("ProtectSystem=strict\nProtectHome=read-only\nProtectProc=invisible\nRestrictNamespaces=yes")
	line("CapabilityBoundingSet=\nAmbientCapabilities=")
	line("RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK")
	line("SystemCallArchitectures=native\nSystemCallFilter=@system-service landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp\nSystemCallErrorNumber=EPERM")
	line("\n[Install]\nWantedBy=%s", u.Manager)
	return b.String()
}

// unitQuote writes a value as systemd reads it: % stands for something else there.
func unitQuote(s string) string {
	s = strings.ReplaceAll(s, "%", "%%")
	if strings.ContainsAny(s, " \t\"'\\") {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
	}
	return s
}
