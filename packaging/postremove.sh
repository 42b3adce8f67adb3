#!/bin/sh
# The data and the account stay, also after a purge.
set -e
if [ -d /run/systemd/system ]; then systemctl daemon-reload || true; fi
case "$1" in
  upgrade | 1) ;;
  *) if [ -d /var/lib/arus ]; then echo "Arus: the data stays in /var/lib/arus; delete that directory to lose it for good."; fi ;;
esac
