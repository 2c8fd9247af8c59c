# shellcheck shell=bash disable=SC2154
# Runs the programs as units of systemd, where that is the machine's first process and root installs. To be sourced.

readonly unit_folder=/etc/systemd/system service_user=gpuglass runtime_folder=/run/gpuglass
# The first that knows all that our units ask for.
readonly oldest_systemd=247
# By this comment the user is known to be ours to remove.
readonly user_comment='gpuglass, made by its setup.sh'

systemd_usable() {
    [ "$(id -u)" = 0 ] && [ -d /run/systemd/system ] && command -v systemctl >/dev/null &&
        [ "$(systemctl --version | awk 'NR == 1 { print int($2) }')" -ge "$oldest_systemd" ]
}

# Writes the units and what they need; says whether anything became different. Names go into changed_units.
systemd_write() {
    local new=$prefix/run/units unit written=()
    make_user
    rm -rf -- "$new"
    mkdir -p -- "$new"
    write_units "$new"
    changed_units=()
    for unit in "$new"/*; do
        written+=("${unit##*/}")
        cmp -s "$unit" "$unit_folder/${unit##*/}" || changed_units+=("${unit##*/}")
    done
    remove_units "${written[@]}"
    give_files
    if [ ${#changed_units[@]} -gt 0 ]; then
        install -m 644 -- "$new"/* "$unit_folder/" || die "$unit_folder cannot be written"
    fi
    rm -rf -- "$new"
    [ ${#changed_units[@]} -gt 0 ]
}

# Units have names that are the machine's: there can be those of one install.
refuse_other_install() {
    local owner
    owner=$(units_prefix)
    [ -z "$owner" ] || [ "$owner" = "$prefix" ] ||
        die "systemd runs another install, in $owner; remove it (--uninstall --prefix '$owner'), or install as an ordinary user"
}

# The prefix of the install whose units are here.
units_prefix() {
    sed -n 's/^# Prefix: //p' "$unit_folder/gpuglass.target" 2>/dev/null || true
}

# A user whom the machine knows already, from a directory service for example, will do.
make_user() {
    getent passwd "$service_user" >/dev/null && return 0
    logged "the user $service_user could not be made" useradd --system --user-group --no-create-home \
        --home-dir /nonexistent --shell /usr/sbin/nologin --comment "$user_comment" "$service_user"
}

remove_user() {
    [ "$(id -u)" = 0 ] && [ -z "$(units_prefix)" ] || return 0
    [ "$(getent passwd "$service_user" | cut -d : -f 5)" != "$user_comment" ] || userdel "$service_user"
}

# The programs write their data, and they alone read their passwords. What they are made of is root's, whoever made it.
give_files() {
    local folders=("$prefix/data")
    # There before anything starts that it is to be closed to.
    [ "$role" = worker ] || (umask 077 && mkdir -p -- "$prefix/data/tls-ca")
    [ ! -d "$prefix/web" ] || folders+=("$prefix/web")
    [ ! -d "$prefix/push" ] || folders+=("$prefix/push")
    logged "the data could not be given to the user $service_user" \
        find "${folders[@]}" ! -user "$service_user" -exec chown -h "$service_user:" {} +
    logged "the programs could not be given to root" \
        find "$prefix" \( -path "$prefix/data" -o -path "$prefix/web" \) -prune -o ! -user root -exec chown -h 0:0 {} +
}

write_units() {
    local program places groups
    places=$(unit_places)
    groups=$(node_groups_lines)
    render_unit gpuglass.target >"$1/gpuglass.target"
    for program in $(programs); do
        unit_of "$program" >"$1/gpuglass-$program.service"
        [ "$program" != exporter ] || {
            render_unit gpuglass-kernel-log.socket >"$1/gpuglass-kernel-log.socket"
            render_unit gpuglass-kernel-log@.service >"$1/gpuglass-kernel-log@.service"
        }
    done
}

# The same command line and environment as under the supervisor, in the frame of all units, and what is the program's own.
unit_of() {
    local text own=$source_dir/deploy/systemd/$1.conf
    text=$(render_unit program.service)
    [ ! -e "$own" ] || text+=$'\n\n'$(render_unit "$1.conf")
    text=${text//@NAME@/"$1"}
    text=${text//@COMMAND@/"$(unit_command "$1")"}
    text=${text//@STOP_SECONDS@/"$(sed -n 's/^stopwaitsecs=//p' "$source_dir/deploy/native/programs/$1.conf")"}
    text=${text//@MEMORY@/"$(memory_limit "$1")"}
    text=${text//@ENVIRONMENT@/"$(program_environment "$1" | unit_environment)"}
    text=${text//@CLOSED@/"$(closed_places "$1")"}
    printf '%s\n' "$text"
}

render_unit() {
    local text
    text=$(render "$source_dir/deploy/systemd/$1")
    text=${text//@PREFIX@/"$prefix"}
    text=${text//@RUNTIME@/"$runtime_folder"}
    text=${text//@PLACES@/"$places"}
    text=${text//@MOUNTS@/"$(quoted_path "$source_dir") $(quoted_path "$prefix")"}
    text=${text//@FILES_GROUP@/"$(files_group_line)"}
    text=${text//@NODE_GROUPS@/"$groups"}
    printf '%s\n' "$text"
}

# The supervisor's line of a program: its quotes and percent signs are written as in a unit.
unit_command() {
    render "$source_dir/deploy/native/programs/$1.conf" | awk '
        /^command=/ { sub(/^command=/, ""); printf "%s", $0; inside = 1; next }
        inside && /^[ \t]+[^ \t]/ { sub(/^[ \t]+/, ""); printf " \\\n    %s", $0; next }
        { inside = 0 }'
}

# The same as in the Compose files. VictoriaMetrics bounds itself, and the files that it reads are cached in its name.
memory_limit() {
    case $1 in
    victoria-metrics*) echo infinity ;;
    exporter | alertmanager) echo 512M ;;
    vmagent-push | vmauth) echo 512M ;;
    vmagent) echo 2G ;;
    *) echo 1G ;;
    esac
}

unit_environment() {
    sed -E 's/["\\]/\\&/g; s/%/%%/g; s/.*/Environment="&"/'
}

# What has to be seen where homes are hidden: the clone, the prefix, and what is elsewhere and needed by what is in them.
unit_places() {
    local place
    while IFS= read -r place; do
        printf 'BindReadOnlyPaths=%s\n' "$(quoted_path "$place")"
    done < <(printf '%s\n' "$source_dir" "$prefix" && hidden_places)
    printf 'BindPaths=%s' "$(quoted_path "$prefix/data")"
}

# The CA's key is for what signs by it.
closed_places() {
    [ "$1" = keeper ] || printf 'InaccessiblePaths=-"%s"' "$prefix/data/tls-ca"
}

# A colon would part a path in two.
quoted_path() {
    printf '"%s"' "${1//:/\\:}"
}

# Folders in homes and temporary folders that hold the interpreter, or programs that were found on PATH.
hidden_places() {
    {
        "$venv/bin/python" -c 'import sys; print(sys.base_prefix)'
        find -L "$prefix/bin" -type f -exec readlink -f {} + | sed 's|/[^/]*$||'
        sed -n "s/.*'--homepath=\([^']*\)'.*/\1/p" "$prefix/bin/grafana" 2>/dev/null
    } | sort -u | grep -E '^/(home|root|run/user|tmp|var/tmp)(/|$)' | grep -vF -e "$source_dir/" -e "$prefix/" || true
}

# The group by which people keep receivers and their secrets from others; never root's.
files_group_line() {
    group_line "$(stat -c %g "$source_dir/victoriametrics/alertmanager")"
}

# The groups that GPUs, and /proc where it hides processes, are open to, if they are not open to all.
node_groups_lines() {
    local device
    for device in /dev/nvidia* /dev/nvidia-caps/*; do
        [ ! -c "$device" ] || [[ $(stat -c %a "$device") == *6 ]] || group_line "$(stat -c %g "$device")"
    done | sort -u
    group_line "$(sed -nE 's/^proc \/proc proc .*\bgid=([0-9]+).*/\1/p' /proc/mounts | tail -n 1)"
}

group_line() {
    [ "${1:-0}" = 0 ] || printf 'SupplementaryGroups=%s\n' "$1"
}

# Ends and removes our units, except those that are named.
remove_units() {
    local unit gone=()
    for unit in $(our_units); do
        [[ " $* " == *" $unit "* ]] || gone+=("$unit")
    done
    [ ${#gone[@]} -gt 0 ] || return 0
    stop_units "${gone[@]}"
    (cd "$unit_folder" && rm -rf -- "${gone[@]}" "${gone[@]/%/.d}")
    systemctl daemon-reload
}

# A template has no state of its own: its instances end with what they serve.
stop_units() {
    local unit named=()
    for unit in "$@"; do [[ $unit == *@* ]] || named+=("$unit"); done
    systemctl disable --quiet --now "${named[@]}" || die "systemd did not stop the programs; systemctl status gpuglass.target tells more"
    systemctl reset-failed "${named[@]}" 2>/dev/null || true
}

our_units() {
    [ "$(units_prefix)" = "$prefix" ] || return 0
    (cd "$unit_folder" && ls -d gpuglass.target gpuglass-*.service gpuglass-*.socket 2>/dev/null) || true
}

systemd_running() {
    [ "$(units_prefix)" = "$prefix" ] && systemctl is-active --quiet gpuglass.target
}

systemd_start() {
    systemd_update
}

# Restarts what changed, and nothing else.
systemd_update() {
    local unit units changed=()
    mapfile -t units < <(our_units | grep -v @)
    for unit in "${changed_units[@]}"; do
        case $unit in
        *.target) ;;
        # Its instances begin and end with what they serve.
        *@*) changed+=(gpuglass-exporter.service) ;;
        *) changed+=("$unit") ;;
        esac
    done
    logged "systemd refused the units" systemctl daemon-reload
    logged "systemd refused the units" systemctl enable --quiet "${units[@]}"
    [ ${#changed[@]} -eq 0 ] || logged "systemd did not restart what changed" systemctl restart "${changed[@]}"
    logged "systemd did not start the programs" systemctl start "${units[@]}"
}

# "NAME STATE" of each program. One that ends at once over and over is never up for a second.
systemd_states() {
    local unit state since
    for unit in $(our_units | grep '\.service$' | grep -v @); do
        state=$(systemctl show --property ActiveState --value "$unit")
        since=$(systemctl show --property ActiveEnterTimestampMonotonic --value "$unit")
        if [ "$state" != active ]; then
            state=${state^^}
        elif [ "$(($(awk '{ print int($1 * 100) }' /proc/uptime) - since / 10000))" -gt 100 ]; then
            state=RUNNING
        else
            state=STARTING
        fi
        unit=${unit#gpuglass-}
        echo "${unit%.service} $state"
    done
}

systemd_last_words() {
    journalctl --quiet --identifier "gpuglass-$1" --lines 50 --output cat 2>/dev/null | grep . | tail -n 1 | cut -c 1-300 || true
}

# Where a program's log is, in words for people.
systemd_log() {
    echo "journalctl -u gpuglass-$1"
}

# Ends all programs, and has none start with the machine. Fails when there was nothing to end.
systemd_stop() {
    local units
    mapfile -t units < <(our_units)
    systemd_running || return 1
    stop_units "${units[@]}"
}

systemd_remove() {
    remove_units
}
