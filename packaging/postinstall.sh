#!/bin/sh
# Makes the account and the data directory; on an upgrade the running service begins again.
set -e
if ! getent passwd arus >/dev/null; then
  useradd --system --user-group --home-dir /var/lib/arus --no-create-home --shell /usr/sbin/nologin arus
fi
install -d -o arus -g arus -m 0700 /var/lib/arus
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  systemctl enable arus.service >/dev/null 2>&1 || true
  systemctl restart arus.service || echo "arus: the service does not start: journalctl -u arus" >&2
fi
echo "Arus: the console is at http://127.0.0.1:8082, its data in /var/lib/arus."
echo "      The link for the first admin: journalctl -u arus"
