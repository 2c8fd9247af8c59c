# shellcheck shell=bash disable=SC2154
# Grafana, which is no single program but a folder: DEST/bin/grafana starts the one that is here already, or the
# official release, unpacked into DEST/grafana-VERSION. To be sourced by components.sh.

# The oldest that takes all that grafana/ asks of it.
readonly oldest_grafana=9.3
# What the archive and what is in it take together.
readonly grafana_megabytes=2500

# Looks anew each time: a package that was upgraded may have its parts in other places.
provide_grafana() {
    local source
    for source in $sources; do
        case $source in
        path) grafana_from_path && return 0 ;;
        # The cache is looked into before a download.
        cache | release) grafana_from_release && return 0 ;;
        # The distributions have none.
        packages) ;;
        *) unknown_source "$source" ;;
        esac
    done
    rm -f -- "$dest/bin/grafana"
    die_without grafana "Grafana $oldest_grafana or newer"
}

grafana_from_path() {
    local name file
    for name in grafana grafana-server; do
        while IFS= read -r file; do
            [[ $file != "$dest"/* ]] || continue
            take_grafana "$file" "PATH ($file)" && return 0
        done < <(type -aP "$name" || true)
    done
    # The one of before: cron's PATH is shorter than a user's.
    file=$(sed -n '2s/^# Grafana .* of PATH (\(.*\))$/\1/p' "$dest/bin/grafana" 2>/dev/null) || return 1
    [ -x "$file" ] && take_grafana "$file" "PATH ($file)"
}

grafana_from_release() {
    local line sum archive version folder=$work/grafana
    line=$(pinned grafana) || true
    if [ -z "$line" ]; then
        note "grafana: no release is pinned for $arch"
        return 1
    fi
    sum=${line%% *} archive=${line##* } version=$(version_of "$line")
    if [ -d "$dest/grafana-$version" ]; then
        take_grafana "$dest/grafana-$version/bin/grafana" "the official release"
        return
    elif ! may_download && [ ! -e "$cache/$arch/$archive" ]; then
        note "grafana: not in $cache"
    elif ! has_room_for_grafana; then
        note "grafana: $grafana_megabytes MB are needed in $dest"
    elif fetch_archive "$sum" "$archive" "$folder"; then
        mv -T -- "$(find "$folder" -mindepth 1 -maxdepth 1 -type d | head -n 1)" "$dest/grafana-$version"
        take_grafana "$dest/grafana-$version/bin/grafana" "the official release" && return 0
        rm -rf -- "$dest/grafana-$version"
    fi
    return 1
}

has_room_for_grafana() {
    [ "$(df -Pk -- "$dest" | awk 'NR == 2 { print int($4 / 1024) }')" -ge "$grafana_megabytes" ]
}

# Takes the Grafana that FILE belongs to if it will do.
take_grafana() {
    local file=$1 origin=$2 reason
    local home program=() version bundled=''
    if ! find_grafana "$file"; then
        reason="has no folder with conf/ and public/ that belongs to it"
    elif ! version=$(grafana_version); then
        reason="does not run here"
    elif [ "$(printf '%s\n' "$oldest_grafana" "$version" | sort -V | head -n 1)" != "$oldest_grafana" ]; then
        reason="is $version, and $oldest_grafana is the oldest that will do"
    elif ! has_prometheus; then
        reason="has no data source for Prometheus"
    else
        write_grafana_starter "$origin" >"$work/starter"
        chmod 755 "$work/starter"
        mv -f -- "$work/starter" "$dest/bin/grafana"
        say "grafana: $version from $origin"
        return 0
    fi
    note "grafana: $origin $reason"
    return 1
}

# Sets home, and the program in it. Packages have their program in another place, often as a script that would add
# settings of its own, so that what lies in the home itself goes first.
find_grafana() {
    local folder candidate
    folder=$(dirname -- "$(readlink -f -- "$1")")
    for home in "$folder/.." "$folder/../share/grafana" /usr/share/grafana; do
        home=$(readlink -f -- "$home") || continue
        [[ $home != *\'* && -e $home/conf/defaults.ini && -d $home/public/build ]] || continue
        for candidate in "$home/bin/grafana" "$home/bin/grafana-server" "$(readlink -f -- "$1")"; do
            [ -x "$candidate" ] || continue
            program=("$candidate")
            [ "${candidate##*/}" != grafana ] || program+=(server)
            return 0
        done
    done
    return 1
}

grafana_version() {
    "${program[@]}" -v </dev/null 2>/dev/null | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -n 1 | grep .
}

# Part of Grafana itself up to version 13.1; since then a plugin beside it, which a package may put elsewhere.
has_prometheus() {
    local folder
    for folder in "$home/public/app/plugins/datasource" "$home/data/plugins-bundled" /var/lib/grafana/plugins-bundled; do
        if [ -e "$folder/prometheus/plugin.json" ] || [ -e "$folder/prometheus/dist/plugin.json" ]; then
            [[ $folder != /var/* ]] || bundled=$folder
            return 0
        fi
    done
    return 1
}

write_grafana_starter() {
    cat <<STARTER
#!/bin/sh
# Grafana $version of $1
exec$(printf " '%s'" "${program[@]}") '--homepath=$home' "\$@"${bundled:+ cfg:default.paths.bundled_plugins=$bundled}
STARTER
}
