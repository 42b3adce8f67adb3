#!/usr/bin/env bash
# Looks at what 'go tool task release:snapshot' made: checksums, archives, how each program was built; installs
# the deb in an empty Debian and uses it there: demo, console, backup, wipe, restore, upgrade, removal; runs the
# programs of linux, those for arm where qemu is. Needs root, debootstrap (or --root DIR, an empty Debian
# that is copied) and the network for it. What is missing is said, and its part is left out.
#
#   packaging/check.sh [--root DIR] [--previous DEB]
#
# There is no systemd in such a root: the unit's ExecStart is run as its User with its Environment, and
# systemd-analyze reads the unit where it is installed.
set -euo pipefail
cd "$(dirname "$0")/.."

empty="" previous=""
while [ $# -gt 0 ]; do
  case "$1" in
    --root) empty=$2; shift 2 ;;
    --previous) previous=$2; shift 2 ;;
    *) echo "check: unknown argument $1" >&2; exit 2 ;;
  esac
done

say() { printf '\n=== %s\n' "$*"; }
skip() { printf '\n=== LEFT OUT: %s\n' "$*"; skipped=$((skipped + 1)); }
fail() { printf 'check: %s\n' "$*" >&2; exit 1; }
skipped=0
work=$(mktemp -d)
root=$work/root
server=""
cleanup() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  mountpoint -q "$root/proc" && umount "$root/proc"
  rm -rf "$work"
}
trap cleanup EXIT

deb=$(ls dist/arus_*_amd64.deb 2>/dev/null | tail -1) || true

inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"; }
# asArus runs a command as the service's account, with what the unit gives it.
asArus() { inside setpriv --reuid arus --regid arus --clear-groups env ARUS_DATA=/var/lib/arus "$@"; }

port=18082
start() {
  local command
  command=$(sed -n 's/^ExecStart=//p' "$root/lib/systemd/system/arus.service")
  chroot "$root" /usr/bin/env -i PATH=/usr/bin:/bin setpriv --reuid arus --regid arus --clear-groups \
    env ARUS_DATA=/var/lib/arus ARUS_LISTEN=127.0.0.1:$port $command > "$work/server.log" 2>&1 &
  server=$!
  for _ in $(seq 1 600); do
    if ARUS=1 asArus arus healthcheck --quiet >/dev/null 2>&1; then return; fi
    kill -0 "$server" 2>/dev/null || { cat "$work/server.log"; fail "the service ended"; }
    sleep 0.1
  done
  cat "$work/server.log"
  fail "the service does not get ready"
}
stop() {
  kill -TERM "$server"
  wait "$server" || fail "the service ended with $?"
  server=""
}
get() { inside arus healthcheck --quiet --url "http://127.0.0.1:$port" && curl -fsS "http://127.0.0.1:$port$1"; }

packages() {
  if [ "$(id -u)" != 0 ] || ! command -v chroot setpriv curl >/dev/null; then
    skip "the package in an empty root: needs root, chroot, setpriv and curl"
    return
  fi
  [ -n "$deb" ] || fail "there is no deb in dist/: run 'go tool task release:snapshot'"
  if [ -n "$empty" ]; then
    say "an empty Debian, from $empty"
    cp -a "$empty" "$root"
  elif command -v debootstrap >/dev/null; then
    say "an empty Debian, by debootstrap"
    debootstrap --variant=minbase bookworm "$root" > "$work/debootstrap.log" || { tail "$work/debootstrap.log"; fail "debootstrap"; }
  else
    skip "the package in an empty root: needs debootstrap or --root"
    return
  fi
  mkdir -p "$root/proc" && mount -t proc proc "$root/proc" 2>/dev/null || echo "(no /proc: it cannot be mounted here)"

  local first=${previous:-$deb} unit
  say "install $(basename "$first") alone"
  cp "$first" "$root/tmp/first.deb"
  inside dpkg -i /tmp/first.deb
  [ "$(stat -c %U:%a "$root/var/lib/arus")" = "$(inside id -un arus):700" ] || [ "$(inside stat -c %U:%a /var/lib/arus)" = arus:700 ] || fail "the data directory"

  if command -v systemd-analyze >/dev/null; then
    say "systemd reads the unit"
    unit=$(systemd-analyze verify --man=no --recursive-errors=no --root="$root" arus.service 2>&1) || { echo "$unit"; fail "the unit"; }
    echo "${unit:-no complaint}"
  else
    skip "the unit as systemd reads it: needs systemd-analyze"
  fi

  say "the demo runs"
  asArus arus demo --rows 10000 | tail -12
  if [ -n "$previous" ]; then
    say "the previous version: $(asArus arus version)"
    upgrade
  fi

  say "the service starts, the console answers"
  start
  [ "$(get /readyz)" = ready ] || fail "/readyz"
  get /setup | grep -q "Set up Arus" || fail "the console"
  get /api/health | grep -q '"connected"' || fail "the API"
  grep -q "/setup?token=" "$work/server.log" || fail "no link for the first admin"
  asArus arus doctor --json | grep -q '"ok": true' || fail "doctor"
  stop

  say "backup, wipe, restore"
  local before after
  before=$(asArus arus query "SELECT count(*) n, round(sum(total), 2) s FROM orders" --json)
  printf 'a long passphrase\n' > "$root/tmp/passphrase" && chmod 644 "$root/tmp/passphrase"
  asArus arus backup /var/lib/arus/kept.tar.gz --with-key --password-file /tmp/passphrase
  mv "$root/var/lib/arus/kept.tar.gz" "$root/tmp/kept.tar.gz"
  find "$root/var/lib/arus" -mindepth 1 -delete
  asArus arus restore /tmp/kept.tar.gz --with-key --password-file /tmp/passphrase
  after=$(asArus arus query "SELECT count(*) n, round(sum(total), 2) s FROM orders" --json)
  [ "$before" = "$after" ] || fail "after the restore: $after, before: $before"
  echo "the same answer: $(echo "$after" | tr -d '\n ')"
  start
  [ "$(get /readyz)" = ready ] || fail "/readyz after the restore"
  stop

  say "remove: the data stays"
  inside dpkg -r arus | tee "$work/removed"
  grep -q "stays in /var/lib/arus" "$work/removed" || fail "it does not say where the data is"
  inside dpkg -P arus > /dev/null
  [ -f "$root/var/lib/arus/arus.db" ] || fail "the data is gone"
  [ ! -e "$root/usr/bin/arus" ] || fail "the program is still there"
}

upgrade() {
  local was
  was=$(asArus arus query "SELECT count(*) n FROM orders" --json)
  say "upgrade to $(basename "$deb")"
  cp "$deb" "$root/tmp/arus.deb"
  inside dpkg -i /tmp/arus.deb
  echo "now: $(asArus arus version)"
  asArus arus pipeline list --quiet
  [ "$(asArus arus query "SELECT count(*) n FROM orders" --json)" = "$was" ] || fail "the warehouse after the upgrade"
  inside ls /var/lib/arus/backups | grep -q '^arus-.*\.db$' || echo "(no copy of the state file: its version did not change)"
}

# artefacts: everything is there, whole, and built as it should be.
artefacts() {
  local program archive
  [ -d dist ] || fail "there is nothing in dist/: run 'go tool task release:snapshot'"
  say "checksums, and how the programs were built"
  (cd dist && sha256sum --quiet -c SHA256SUMS) || fail "a checksum"
  for program in linux_amd64 linux_arm64 linux_armv7 darwin_arm64 darwin_amd64 windows_amd64.exe; do
    [ -f "dist/bin/arus_$program" ] || { skip "$program: there is no program of it"; continue; }
    go version -m "dist/bin/arus_$program" | grep -q "CGO_ENABLED=0" || fail "arus_$program was built with cgo"
    ls dist/arus_"${program%.exe}"_*.cdx.json > /dev/null || fail "there is no list of what is in arus_$program"
    case "$program" in
      linux_*) archive=$(ls dist/arus_*_"$program".tar.gz) && tar -tzf "$archive" > "$work/list" ;;
      *) archive=$(ls dist/arus_*_"${program%.exe}".zip) && unzip -Z1 "$archive" > "$work/list" ;;
    esac
    for want in LICENSE README.md man/arus.1 completions/arus.bash; do
      grep -q "/$want$" "$work/list" || fail "$archive lacks $want"
    done
    case "$program" in
      darwin_*) unzip -Z1 "$(ls dist/Arus_*_"$program".app.zip)" | grep -q "^Arus.app/Contents/MacOS/arus$" || fail "the bundle of $program" ;;
      windows_*)
        go tool -modfile=tools/release/go.mod go-winres extract --dir "$work/winres" "dist/bin/arus_$program" || fail "the resources of $program"
        grep -q '"product_version"\|"ProductVersion"' "$work/winres/winres.json" && ls "$work/winres"/*.ico > /dev/null || fail "$program has no icon or no version"
        ;;
    esac
    echo "$(basename "$archive"): $(du -h "$archive" | cut -f1)"
  done
}

# runs lets a program make the demo, and serve until it is asked to stop.
runs() {
  local name=$1 data="$work/data-${1// /-}" at=18083 server
  shift
  say "$name: the demo, a server"
  "$@" demo --rows 10000 --data "$data" > "$work/demo" 2>&1 || { cat "$work/demo"; fail "the demo of $name"; }
  [ "$(grep -c ' yes$' "$work/demo")" = 5 ] || { cat "$work/demo"; fail "$name: not every table is equal"; }
  grep "^first load" "$work/demo"
  "$@" serve --data "$data" --listen 127.0.0.1:$at > "$work/serve.log" 2>&1 &
  server=$!
  for _ in $(seq 1 600); do
    curl -fsS "http://127.0.0.1:$at/readyz" 2>/dev/null | grep -q ready && break
    kill -0 "$server" 2>/dev/null || { cat "$work/serve.log"; fail "the server of $name ended"; }
    sleep 0.1
  done
  curl -fsS "http://127.0.0.1:$at/setup" | grep -q "Set up Arus" || { kill "$server"; fail "the console of $name"; }
  kill -TERM "$server"
  wait "$server" || [ $? = 143 ] || fail "the server of $name ended with $?"
}

others() {
  local arch qemu
  for arch in amd64: arm64:qemu-aarch64-static armv7:qemu-arm-static; do
    qemu=${arch#*:} arch=${arch%:*}
    [ "$arch" != amd64 ] || [ "$(uname -m)" = x86_64 ] || qemu=qemu-x86_64-static
    if [ ! -x "dist/bin/arus_linux_$arch" ]; then
      skip "linux $arch: dist/bin/arus_linux_$arch is not there"
    elif [ -n "$qemu" ] && ! command -v "$qemu" >/dev/null; then
      skip "linux $arch: needs $qemu"
    else
      runs "linux $arch${qemu:+ under qemu}" $qemu "dist/bin/arus_linux_$arch"
    fi
  done
}

artefacts
packages
others
say "done, $skipped parts left out"
