#!/usr/bin/env bash
# Sees to a Chromium for the tests of the live page: FILE becomes a link to it. Where there is none and none can be
# installed, FILE.why says so in one line and the tests that need it are skipped with that reason.
#
#   chromium.sh FILE
set -euo pipefail

file=${1:?usage: chromium.sh FILE}
mkdir -p "$(dirname -- "$file")"
rm -f -- "$file.why"

take() {
    local name found
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        # A name on PATH may be a stub that only tells how to install it.
        if found=$(command -v "$name") && "$found" --version >/dev/null 2>&1; then
            ln -sfn "$found" "$file"
            exit 0
        fi
    done
}

refuse() {
    echo "$1" >"$file.why"
    echo "chromium.sh: tests in a browser will be skipped: $1" >&2
    exit 0
}

take
command -v apt-get >/dev/null || refuse 'no Chromium on PATH, and no apt-get to install it with'
[ "$(id -u)" -eq 0 ] || refuse 'no Chromium on PATH, and only root may install it: apt-get install chromium'

log=$(mktemp)
trap 'rm -f -- "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
install=(apt-get install -o DPkg::Lock::Timeout=300 -y -q --no-install-recommends chromium fonts-dejavu-core)
"${install[@]}" >"$log" 2>&1 || { apt-get update -q && "${install[@]}"; } >"$log" 2>&1 ||
    refuse "apt-get cannot install chromium: $(grep -m 1 '^E: ' "$log" || echo 'it failed')"
take
refuse 'the package chromium has no program that runs'
