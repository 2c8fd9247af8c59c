#!/usr/bin/env bash
# Puts promtool into DEST/bin: a link to the one on PATH, else the one of the distribution's package prometheus,
# unpacked privately.
set -euo pipefail

dest=${1:?usage: promtool.sh DEST}
# shellcheck source=deploy/native/packages.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/../deploy/native/packages.sh"

mkdir -p "$dest/bin"
if found=$(command -v promtool); then
    ln -sfn "$found" "$dest/bin/promtool"
    exit
fi
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
suite=$(package_suites | head -n 1)
if ! reason=$(unpack_packages "$work/packages" "$suite" prometheus); then
    echo "promtool.sh: error: promtool is not on PATH, and the package prometheus of $suite is not to be had: $reason" >&2
    exit 1
fi
install -m 755 "$work/packages/unpacked/usr/bin/promtool" "$dest/bin/promtool"
