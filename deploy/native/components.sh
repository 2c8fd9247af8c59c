#!/usr/bin/env bash
# Puts the programs that gpuglass runs into DEST/bin, each from the first source that has one which knows
# every flag we pass to it: PATH, the official release, the distribution's packages. The flags are read from
# programs/NAME.conf, the very lines that the supervisor runs; a program that is not run by it has none.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
readonly here
# shellcheck source=/dev/null
. "$here/packages.sh"
readonly default_names=(victoria-metrics vmagent)
# Of the same archives and packages; asked for by name only.
readonly more_names=(vmalert vmalert-tool)
readonly release_url=${GPUGLASS_RELEASE_URL:-https://github.com/VictoriaMetrics/VictoriaMetrics/releases/download}
readonly checksums=${GPUGLASS_RELEASE_CHECKSUMS:-$here/checksums.txt}
readonly cache=${GPUGLASS_COMPONENTS_CACHE:-}

usage() {
    cat <<'USAGE'
usage: components.sh DEST [NAME...]

Makes DEST/bin/NAME for each NAME (default: victoria-metrics vmagent; besides: vmalert vmalert-tool), a link
or a file, from the first of PATH, the official release (pinned in checksums.txt) and the distribution's
packages (unpacked privately).

environment:
  GPUGLASS_COMPONENTS_CACHE     folder that keeps what was downloaded; looked in before any download
  GPUGLASS_COMPONENTS_SOURCES   the sources to try, in order (default: "path release packages")
  GPUGLASS_RELEASE_URL          a mirror of the releases
  GPUGLASS_RELEASE_CHECKSUMS    another file of pinned checksums
USAGE
}

say() { printf '%s\n' "$*"; }

die() {
    printf 'components.sh: error: %s\n' "$*" >&2
    exit 1
}

# What was tried for the programs still missing, for the one line at the end.
tried=()
note() {
    tried+=("$*")
    say "$*"
}

flags_of() {
    # Our rules have eval_delay, which came with this flag.
    [ "$1" != vmalert ] || say -rule.evalDelay
    [ -e "$here/programs/$1.conf" ] || return 0
    sed -nE 's/^[[:space:]]+"?(-[A-Za-z][A-Za-z0-9.]*)=.*/\1/p' "$here/programs/$1.conf"
}

# Prints what keeps FILE from serving as NAME; nothing when it will do.
unfit() {
    local name=$1 file=$2 help flag missing=()
    # The programs print their flags and leave with a code that changed between versions.
    help=$("$file" -help </dev/null 2>&1) || true
    if ! grep -qE '^ +--?[A-Za-z]' <<<"$help"; then
        say "does not run here"
        return
    fi
    for flag in $(flags_of "$name"); do
        grep -qE "^ +${flag//./\\.}( |\$)" <<<"$help" || missing+=("$flag")
    done
    [ ${#missing[@]} -eq 0 ] || say "does not know ${missing[*]}"
}

# Takes FILE as NAME if it will do. HOW is link or copy.
take() {
    local name=$1 file=$2 how=$3 origin=$4 reason
    reason=$(unfit "$name" "$file")
    if [ -n "$reason" ]; then
        note "$name: $origin $reason"
        return 1
    fi
    if [ "$how" = link ]; then
        ln -sfn -- "$file" "$work/$name.new"
    else
        install -m 755 -- "$file" "$work/$name.new"
        keep_in_cache "$name" "$work/$name.new"
    fi
    mv -fT -- "$work/$name.new" "$dest/bin/$name"
    say "$name: from $origin"
}

keep_in_cache() {
    local name=$1 file=$2
    [ -n "$cache" ] || return 0
    mkdir -p -- "$cache/$arch" 2>/dev/null && install -m 755 -- "$file" "$cache/$arch/.$name.$$" 2>/dev/null &&
        mv -f -- "$cache/$arch/.$name.$$" "$cache/$arch/$name" || true
}

from_cache() {
    local name=$1
    [ -n "$cache" ] && [ -x "$cache/$arch/$name" ] || return 1
    install -m 755 -- "$cache/$arch/$name" "$work/$name.new"
    [ -z "$(unfit "$name" "$work/$name.new")" ] || return 1
    mv -fT -- "$work/$name.new" "$dest/bin/$name"
    say "$name: from the cache $cache"
}

from_path() {
    local name=$1 candidate file
    for candidate in "$name" "$name-prod"; do
        while IFS= read -r file; do
            [[ $file != "$dest"/* ]] || continue
            take "$name" "$file" link "PATH ($file)" && return 0
        done < <(type -aP "$candidate" || true)
    done
    return 1
}

# The archive that holds NAME, as checksums.txt spells it: "SHA256  FILE".
pinned() {
    local family=vmutils
    [ "$1" != victoria-metrics ] || family=victoria-metrics
    grep -E "^[0-9a-f]{64}  $family-linux-$arch-v[0-9.]+\.tar\.gz\$" "$checksums" 2>/dev/null | head -n 1
}

download() {
    local url=$1 file=$2
    if command -v curl >/dev/null; then
        curl -fsSL --connect-timeout 10 --max-time 600 --speed-limit 1024 --speed-time 30 -o "$file" -- "$url"
    elif command -v wget >/dev/null; then
        wget -q --tries=1 --timeout=30 -O "$file" -- "$url"
    elif command -v python3 >/dev/null; then
        python3 -c 'import shutil, sys, urllib.request
try:
    with urllib.request.urlopen(sys.argv[1], timeout=30) as answer, open(sys.argv[2], "wb") as out:
        shutil.copyfileobj(answer, out)
except OSError as error:
    sys.exit(str(error))' "$url" "$file"
    else
        echo "neither curl, wget nor python3 is here" >&2
        return 1
    fi
}

# Fetches and unpacks an archive at most once a run, whatever the number of programs taken from it.
fetch_archive() {
    local sum=$1 archive=$2 folder=$3 version reason
    [ ! -e "$folder.failed" ] || return 1
    [ ! -d "$folder" ] || return 0
    version=v${archive##*-v}
    version=${version%.tar.gz}
    if ! reason=$(download "$release_url/$version/$archive" "$work/$archive" 2>&1); then
        note "release $version: $archive could not be downloaded (${reason:-no reason given})"
    elif [ "$(sha256sum <"$work/$archive")" != "$sum  -" ]; then
        note "release $version: $archive does not have the pinned checksum, refused"
    elif mkdir -p "$folder.part" && tar -xzf "$work/$archive" -C "$folder.part" && mv "$folder.part" "$folder"; then
        rm -f -- "$work/$archive"
        return 0
    else
        note "release $version: $archive cannot be unpacked"
    fi
    rm -f -- "$work/$archive"
    : >"$folder.failed"
    return 1
}

from_release() {
    local name=$1 line sum archive folder
    line=$(pinned "$name") || true
    if [ -z "$line" ]; then
        note "$name: no release is pinned for $arch"
        return 1
    fi
    sum=${line%% *}
    archive=${line##* }
    folder=$work/${archive%.tar.gz}
    fetch_archive "$sum" "$archive" "$folder" || return 1
    take "$name" "$folder/$name-prod" copy "the official release (${archive%.tar.gz})"
}

from_packages() {
    local name=$1 suite folder reason
    for suite in $(package_suites); do
        folder=$work/packages-$suite
        if [ ! -d "$folder" ]; then
            say "looking into the packages of $suite"
            reason=$(unpack_packages "$folder" "$suite" victoria-metrics) || note "packages of $suite: $reason"
        fi
        if [ ! -d "$folder/unpacked" ]; then
            continue
        elif [ ! -x "$folder/unpacked/usr/bin/$name" ]; then
            note "$name: not in the package of $suite"
        elif take "$name" "$folder/unpacked/usr/bin/$name" copy "the package of $suite"; then
            return 0
        fi
    done
    return 1
}

provide() {
    local name=$1 source
    tried=()
    if [ -x "$dest/bin/$name" ] && [ -z "$(unfit "$name" "$dest/bin/$name")" ]; then
        say "$name: already here"
        return 0
    fi
    for source in ${GPUGLASS_COMPONENTS_SOURCES:-path release packages}; do
        case $source in
        path) from_path "$name" && return 0 ;;
        release | packages)
            from_cache "$name" && return 0
            "from_$source" "$name" && return 0
            ;;
        *) die "GPUGLASS_COMPONENTS_SOURCES: unknown source '$source' (path, release, packages)" ;;
        esac
    done
    die "$name cannot be had ($(joined "${tried[@]:-not on PATH}"));" \
        "put a recent $name on PATH, or allow this machine to reach $release_url, and run this again"
}

joined() {
    local out=$1
    shift
    while [ $# -gt 0 ]; do
        out+="; $1"
        shift
    done
    say "$out"
}

machine() {
    case $(uname -m) in
    x86_64) echo amd64 ;;
    aarch64 | arm64) echo arm64 ;;
    *) uname -m ;;
    esac
}

main() {
    case ${1:-} in
    -h | --help)
        usage
        exit 0
        ;;
    '' | -*)
        usage >&2
        exit 2
        ;;
    esac
    local name
    mkdir -p -- "$1/bin" || die "cannot write to $1"
    dest=$(cd -- "$1" && pwd)
    shift
    [ $# -gt 0 ] || set -- "${default_names[@]}"
    for name; do
        [[ " ${default_names[*]} ${more_names[*]} " == *" $name "* ]] || die "unknown program '$name'"
    done
    arch=$(machine)
    work=$(mktemp -d "$dest/.components.XXXXXX") || die "cannot write to $dest"
    trap 'rm -rf -- "$work"' EXIT
    trap 'exit 130' INT TERM
    for name; do
        provide "$name"
    done
}

main "$@"
