#!/usr/bin/env bash
# Puts the programs that gpuglass runs into DEST/bin, each from the first source that has one which knows
# every flag we pass to it: PATH, the official release, the distribution's packages. The flags are read from
# programs/NAME.conf, the very lines that the supervisor runs; a program that is not run by it has none.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
readonly here
# shellcheck source=/dev/null
. "$here/packages.sh"
# shellcheck source=/dev/null
. "$here/grafana.sh"
readonly default_names=(victoria-metrics vmagent)
# Asked for by name only.
readonly more_names=(vmalert vmalert-tool vmbackup vmrestore vmauth alertmanager amtool grafana)
readonly release_url=${GPUGLASS_RELEASE_URL:-https://github.com/VictoriaMetrics/VictoriaMetrics/releases/download}
readonly alertmanager_url=${GPUGLASS_ALERTMANAGER_RELEASE_URL:-https://github.com/prometheus/alertmanager/releases/download}
readonly grafana_url=${GPUGLASS_GRAFANA_RELEASE_URL:-https://dl.grafana.com/grafana/release}
readonly checksums=${GPUGLASS_RELEASE_CHECKSUMS:-$here/checksums.txt}
readonly cache=${GPUGLASS_COMPONENTS_CACHE:-}
readonly sources=${GPUGLASS_COMPONENTS_SOURCES:-path release packages}

usage() {
    cat <<'USAGE'
usage: components.sh DEST [NAME...]

Makes DEST/bin/NAME for each NAME (default: victoria-metrics vmagent; besides: vmalert vmalert-tool
vmbackup vmrestore vmauth alertmanager amtool grafana), a link or a file, from the first of PATH, the official release (pinned in
checksums.txt) and the distribution's packages (unpacked privately; they have no Grafana).

environment:
  GPUGLASS_COMPONENTS_CACHE     folder that keeps what was downloaded; looked in before any download
  GPUGLASS_COMPONENTS_SOURCES   the sources to try, in order (default: "path release packages"; besides: cache,
                                for what was kept and nothing else)
  GPUGLASS_RELEASE_URL          a mirror of VictoriaMetrics's releases
  GPUGLASS_ALERTMANAGER_RELEASE_URL  a mirror of Alertmanager's releases
  GPUGLASS_GRAFANA_RELEASE_URL  a mirror of Grafana's releases
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
    case $1 in
    # Of the same age as the flags of Alertmanager that we use: an older one judges by other rules.
    amtool) say --enable-feature ;;
    # The first ones are those that gpuglass passes, the last is of the age of the storage whose files they read.
    vmbackup) printf '%s\n' -storageDataPath -snapshotName -dst -origin -httpListenAddr -loggerFormat -fs.maxConcurrency ;;
    vmrestore) printf '%s\n' -storageDataPath -src -httpListenAddr -loggerFormat -fs.maxConcurrency ;;
    esac
    [ -e "$here/programs/$1.conf" ] || return 0
    # NAME-push.conf is another way to run the same program.
    cat "$here/programs/$1.conf" "$here/programs/$1-push.conf" 2>/dev/null |
        sed -nE 's/^[[:space:]]+"?(--?[A-Za-z][A-Za-z0-9.-]*)=.*/\1/p' | sort -u
}

# Prints what keeps FILE from serving as NAME; nothing when it will do.
unfit() {
    local name=$1 file=$2 help flag missing=()
    # The programs print their flags and leave with a code that changed between versions.
    help=$("$file" --help </dev/null 2>&1) || true
    if ! grep -qE '^ +--?[A-Za-z]' <<<"$help"; then
        say "does not run here"
        return
    fi
    for flag in $(flags_of "$name"); do
        grep -qE "^ +${flag//./\\.}([ =]|\$)" <<<"$help" || missing+=("$flag")
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
        ln -sfn -- "$file" "$work/$name"
    else
        copy_program "$file" "$work/$name"
        keep_in_cache "$name"
    fi
    move_program "$work/$name" "$dest/bin/$name"
    say "$name: from $origin"
}

# A program may need a folder beside it, of its name and ".d".
copy_program() {
    install -m 755 -- "$1" "$2"
    rm -rf -- "$2.d"
    [ ! -d "$1.d" ] || cp -R -- "$1.d" "$2.d"
}

move_program() {
    rm -rf -- "$2.d"
    [ ! -d "$1.d" ] || mv -T -- "$1.d" "$2.d"
    mv -fT -- "$1" "$2"
}

keep_in_cache() {
    local name=$1 folder=$cache/$arch
    [ -n "$cache" ] || return 0
    mkdir -p -- "$folder" 2>/dev/null && copy_program "$work/$name" "$folder/.$name.$$" 2>/dev/null &&
        move_program "$folder/.$name.$$" "$folder/$name" || true
}

from_cache() {
    local name=$1
    [ -n "$cache" ] && [ -x "$cache/$arch/$name" ] || return 1
    copy_program "$cache/$arch/$name" "$work/$name"
    [ -z "$(unfit "$name" "$work/$name")" ] || return 1
    move_program "$work/$name" "$dest/bin/$name"
    say "$name: from the cache $cache"
}

from_path() {
    local name=$1 candidate file
    for candidate in "$name" "$name-prod" "prometheus-$name"; do
        while IFS= read -r file; do
            [[ $file != "$dest"/* ]] || continue
            take "$name" "$file" link "PATH ($file)" && return 0
        done < <(type -aP "$candidate" || true)
    done
    return 1
}

# The archive that holds NAME, as checksums.txt spells it: "SHA256  FILE".
pinned() {
    local file
    case $1 in
    alertmanager | amtool) file="alertmanager-[0-9.]+\.linux-$arch" ;;
    grafana) file="grafana_[0-9.]+_[0-9]+_linux_$arch" ;;
    victoria-metrics) file="victoria-metrics-linux-$arch-v[0-9.]+" ;;
    *) file="vmutils-linux-$arch-v[0-9.]+" ;;
    esac
    grep -E "^[0-9a-f]{64}  $file\.tar\.gz\$" "$checksums" 2>/dev/null | head -n 1
}

# The version in an archive's name, as its folder is called: with a v, but for Grafana's.
version_of() {
    if [[ $1 == *grafana_* ]]; then
        sed -E 's/.*grafana_([0-9.]+)_.*/\1/' <<<"$1"
        return
    fi
    sed -E 's/.*-v?([0-9]+(\.[0-9]+)+)(\.linux-.*)?\.tar\.gz$/v\1/' <<<"$1"
}

# Where the releases with a program, or with an archive, lie.
site_of() {
    case $1 in
    alertmanager* | amtool) say "$alertmanager_url" ;;
    grafana*) say "$grafana_url" ;;
    *) say "$release_url" ;;
    esac
}

download() {
    local url=$1 file=$2
    if ! may_download; then
        echo "not in $cache" >&2
        return 1
    elif command -v curl >/dev/null; then
        curl -fsSL --connect-timeout 10 --max-time 1800 --speed-limit 1024 --speed-time 30 -o "$file" -- "$url"
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

# A verified archive is kept where programs are.
archive_from_cache() {
    local sum=$1 archive=$2
    [ -n "$cache" ] && cp -- "$cache/$arch/$archive" "$work/$archive" 2>/dev/null &&
        [ "$(sha256sum <"$work/$archive")" = "$sum  -" ]
}

keep_archive() {
    local folder=$cache/$arch
    [ -n "$cache" ] && [ ! -e "$folder/$1" ] || return 0
    if ! { mkdir -p -- "$folder" && cp -- "$work/$1" "$folder/.$1.$$" && mv -f -- "$folder/.$1.$$" "$folder/$1"; } 2>/dev/null; then
        rm -f -- "$folder/.$1.$$"
    fi
}

# Fetches and unpacks an archive at most once a run, whatever the number of programs taken from it.
fetch_archive() {
    local sum=$1 archive=$2 folder=$3 version reason
    [ ! -e "$folder.failed" ] || return 1
    [ ! -d "$folder" ] || return 0
    version=$(version_of "$archive")
    if ! reason=$(archive_from_cache "$sum" "$archive" || download "$(site_of "$archive")/$version/$archive" "$work/$archive" 2>&1); then
        note "release $version: $archive could not be downloaded (${reason:-no reason given})"
    elif [ "$(sha256sum <"$work/$archive")" != "$sum  -" ]; then
        note "release $version: $archive does not have the pinned checksum, refused"
    elif mkdir -p "$folder.part" && tar -xzf "$work/$archive" --no-same-owner -C "$folder.part" && mv "$folder.part" "$folder"; then
        # Of the others the programs are kept.
        [[ $archive != grafana_* ]] || keep_archive "$archive"
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
    case $archive in
    alertmanager-*) folder=$folder/${archive%.tar.gz} ;;
    *) name+=-prod ;;
    esac
    take "$1" "$folder/$name" copy "the official release (${archive%.tar.gz})"
}

from_packages() {
    local name=$1 package=victoria-metrics program=$1 suite folder reason
    case $name in
    alertmanager) package=prometheus-alertmanager program=$package ;;
    amtool) package=prometheus-alertmanager ;;
    esac
    for suite in $(package_suites); do
        folder=$work/packages-$suite-$package
        if [ ! -d "$folder" ]; then
            say "looking into the packages of $suite"
            reason=$(unpack_packages "$folder" "$suite" "$package") || note "packages of $suite: $reason"
        fi
        if [ ! -d "$folder/unpacked" ]; then
            continue
        elif [ ! -x "$folder/unpacked/usr/bin/$program" ]; then
            note "$name: not in the package of $suite"
        elif detach "$folder/unpacked" "$program" && take "$name" "$detached" copy "the package of $suite"; then
            return 0
        fi
    done
    return 1
}

# Debian's Alertmanager reads the texts of messages from a fixed folder, which is not there when the
# package is unpacked privately. Such a copy is made to look for them under a descriptor, which its starter opens.
readonly fixed_folder=/usr/share/prometheus/alertmanager
readonly open_folder=/proc/self/fd/9/./././././././././

# Sets detached: PROGRAM of the unpacked package ROOT, such that it runs where it is.
detach() {
    local root=$1 program=$1/usr/bin/$2
    detached=$program
    [ -d "$root$fixed_folder" ] && grep -qaF "$fixed_folder" "$program" || return 0
    [ ${#open_folder} = ${#fixed_folder} ] || die "the two folders differ in length"
    detached=$root/$2
    rm -rf -- "$detached.d"
    cp -R -- "$root$fixed_folder" "$detached.d"
    LC_ALL=C sed "s|$fixed_folder|$open_folder|g" "$program" >"$detached.d/program"
    chmod 755 "$detached.d/program"
    cat >"$detached" <<STARTER
#!/bin/sh
# Starts a copy of $2 that finds its files without being installed ($(sha256sum <"$program" | cut -c 1-16)).
file=\$(readlink -f -- "\$0")
exec 9<"\$file.d"
exec "\$file.d/program" "\$@"
STARTER
    chmod 755 "$detached"
}

provide() {
    local name=$1 source
    tried=()
    if [ "$name" = grafana ]; then
        provide_grafana
        return
    fi
    if is_here "$name"; then
        say "$name: already here"
        return 0
    fi
    for source in $sources; do
        case $source in
        path) from_path "$name" && return 0 ;;
        cache)
            from_cache "$name" && return 0
            note "$name: not in $cache"
            ;;
        release | packages)
            from_cache "$name" && return 0
            "from_$source" "$name" && return 0
            ;;
        *) unknown_source "$source" ;;
        esac
    done
    die_without "$name" "a recent $name"
}

# What will do stays, unless the cache is the first source and has another.
is_here() {
    local file=$dest/bin/$1
    [ -x "$file" ] && [ -z "$(unfit "$1" "$file")" ] || return 1
    [[ $sources != cache* || ! -e $cache/$arch/$1 ]] || cmp -s -- "$file" "$cache/$arch/$1"
}

unknown_source() {
    die "GPUGLASS_COMPONENTS_SOURCES: unknown source '$1' (path, release, packages, cache)"
}

die_without() {
    local way=''
    ! may_download || way=", or allow this machine to reach $(site_of "$1"),"
    die "$1 cannot be had ($(joined "${tried[@]:-not on PATH}")); put $2 on PATH$way and run this again"
}

may_download() {
    [[ " $sources " == *" release "* ]]
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
