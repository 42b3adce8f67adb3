#!/bin/sh
# Ends the service, but not when the package is upgraded (deb: upgrade, rpm: 1).
set -e
case "$1" in upgrade | 1) exit 0 ;; esac
if [ -d /run/systemd/system ]; then
  systemctl disable --now arus.service >/dev/null 2>&1 || true
fi
