#!/usr/bin/env bash
# Fetches what the console is made of from npm, at the versions pinned here, into embed/static, and writes down what came
# with its checksum. Run it after changing a version or the list of icons: testdata/assets/fetch.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

tabler=1.6.1 htmx=2.0.11 sse=2.2.4 uplot=1.6.32 icons=3.51.0 axe=4.14.1

names="activity adjustments alert-triangle archive arrow-back-up arrow-down arrow-right arrow-up arrows-sort bell bolt
brand-mongodb brand-mysql building-warehouse calendar calendar-repeat chart-bar chart-dots check checks chevron-down chevron-left
chevron-right chevron-up circle circle-check circle-dashed circle-minus circle-x clipboard clock code columns copy database
database-export database-import device-desktop device-floppy dots-vertical download edit external-link eye eye-off
file-export file-text filter flask fold git-compare grip-vertical heartbeat help history home hourglass info-circle key keyboard
layout-dashboard list list-details loader lock logout mail menu-2 minus moon player-pause player-play player-skip-forward
player-stop plug plug-connected plug-connected-x plus refresh reload report restore route rotate schema search send
settings shield shield-check sitemap sparkles stack-2 sun table table-alias table-export table-plus terminal-2 tool trash
transform trending-up upload user user-circle users wand x zoom-in zoom-out"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
get() { # package version: unpacks it and says where
  local dir="$work/${1//[@\/]/_}"
  mkdir -p "$dir"
  (cd "$dir" && tar xzf "$(npm pack --silent "$1@$2" 2>/dev/null | tail -1)" --strip-components=1)
  echo "$dir"
}

out=embed/static
list=$out/VERSIONS
printf '# What came from npm: file, package, version, SHA-256. Written by testdata/assets/fetch.sh.\n' >"$list"
note() { printf '%s %s %s %s\n' "$1" "$2" "$3" "$(sha256sum "$4" | cut -d' ' -f1)" >>"$list"; }
take() { # package version file name
  grep -v '^//# sourceMappingURL' "$work/${1//[@\/]/_}/$3" | sed 's,/\*# sourceMappingURL=[^*]*\*/,,' >"$out/$4"
  note "$4" "$1" "$2" "$out/$4"
}

get @tabler/core $tabler >/dev/null
take @tabler/core $tabler dist/css/tabler.min.css tabler.css
get htmx.org $htmx >/dev/null
take htmx.org $htmx dist/htmx.min.js htmx.js
get htmx-ext-sse $sse >/dev/null
take htmx-ext-sse $sse dist/sse.min.js sse.js
get uplot $uplot >/dev/null
take uplot $uplot dist/uPlot.iife.min.js uplot.js
take uplot $uplot dist/uPlot.min.css uplot.css

dir=$(get @tabler/icons $icons)
{
  printf '<svg xmlns="http://www.w3.org/2000/svg">\n'
  for name in $names; do
    svg="$dir/icons/outline/$name.svg"
    [ -f "$svg" ] || { echo "no icon $name" >&2; exit 1; }
    printf '<symbol id="%s" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round">' "$name"
    tr '\n' ' ' <"$svg" | sed -e 's,.*<svg[^>]*>,,' -e 's,</svg>.*,,' -e 's,  *<,<,g' -e 's, *$,,'
    printf '</symbol>\n'
  done
  printf '</svg>\n'
} >"$out/icons.svg"
note icons.svg @tabler/icons $icons "$out/icons.svg"

# For tests alone.
dir=$(get axe-core $axe)
gzip -9nc "$dir/axe.min.js" >testdata/assets/axe.js.gz
note ../../testdata/assets/axe.js.gz axe-core $axe testdata/assets/axe.js.gz

# The licences ask to stay with the code.
{
  for package in @tabler/core @tabler/icons htmx.org htmx-ext-sse uplot; do
    printf '=== %s\n\n' "$package"
    cat "$work/${package//[@\/]/_}"/LICENSE* 2>/dev/null || echo "MIT"
    printf '\n'
  done
} >"$out/LICENSES"
