#!/usr/bin/env bash
# Puts programs that the tests call into DEST: a link to the one on PATH, else the one of the distribution's
# package, unpacked privately.
#
#   tools.sh DEST promtool docker-compose
set -euo pipefail

# shellcheck source=deploy/native/packages.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/../deploy/native/packages.sh"

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

# Where a package has the program: "PACKAGE PATH".
place_of() {
    case $1 in
    promtool) echo prometheus usr/bin/promtool ;;
    docker-compose) echo docker-compose usr/libexec/docker/cli-plugins/docker-compose ;;
    *) return 1 ;;
    esac
}

# Compose v1, which older distributions have, does not know our files.
good_enough() {
    case $1 in
    docker-compose) [[ $("$2" version --short 2>/dev/null) == [2-9]* ]] ;;
    *) "$2" --version >/dev/null 2>&1 ;;
    esac
}

from_path() {
    local found
    found=$(command -v "$1") && good_enough "$1" "$found" && ln -sfn "$found" "$2"
}

from_package() {
    local name=$1 file=$2 package path suite reason=
    read -r package path < <(place_of "$name")
    for suite in $(package_suites); do
        reason=$(unpack_packages "$work/$name-$suite" "$suite" "$package") || continue
        [ -x "$work/$name-$suite/unpacked/$path" ] || continue
        good_enough "$name" "$work/$name-$suite/unpacked/$path" || continue
        install -m 755 "$work/$name-$suite/unpacked/$path" "$file"
        return
    done
    echo "tools.sh: error: $name is not on PATH, and no package $package will do: ${reason:-none is new enough}" >&2
    return 1
}

dest=${1:?usage: tools.sh DEST NAME...}
shift
mkdir -p "$dest"
for name in "$@"; do
    [ -x "$dest/$name" ] || from_path "$name" "$dest/$name" || from_package "$name" "$dest/$name"
done
