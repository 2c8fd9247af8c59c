#!/usr/bin/env bash
# Brings gpuglass up on this machine, shows that data arrive, and takes it down again. setup.sh --help tells how.
# shellcheck disable=SC2034,SC2154 # the variables are shared with the parts below
set -euo pipefail

source_dir=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
readonly source_dir
for part in deploy/native/{settings,packages,install,programs,supervisor,native,worker,push}.sh \
    deploy/systemd/systemd.sh deploy/docker/docker.sh deploy/{access,filling,show,offline}.sh; do
    # shellcheck source=/dev/null
    . "$source_dir/$part"
done

role='' action='' engine='' secrecy='' insecure=no demo=no purge=no build_images=no tls=''
# Whether this install runs a Grafana.
grafana=no
storage_before='' unfilled=''
prefix=$source_dir/.gpuglass
install_log='' keep_log=no installing=no
step_number=0 step_count=0
python='' venv='' supervisor='' simulator='' build=''
# Who runs the programs of a native install: supervisor or systemd.
runner=''

usage() {
    cat <<'USAGE'
usage: ./setup.sh --single-node | --host | --worker   [--demo] [--docker | --no-docker] [--build | --offline]
                  [--insecure | --secure] [--prefix DIR]
       ./setup.sh --status | --stop | --uninstall [--purge]   [--prefix DIR]

  --single-node  everything on this machine: exporter, vmagent, VictoriaMetrics, vmalert, Alertmanager,
                 the keeper, which looks after them, and Grafana with its dashboards
  --host         the monitoring host: the same without the exporter, and with tiered storage
  --worker       the exporter alone, to be scraped by a host; listens on every address
  --tls FILE     with --worker: over TLS and with a password, by what "gpuglass enrol" printed on the host;
                 - reads it from the standard input, none goes back to plain HTTP
  --push https://HOST[:8427]  with --worker, where no host can reach it: it sends by itself; none ends that
  --credentials FILE  with --push: what "gpuglass workers add" printed on the host; - reads the standard input
  --insecure     VictoriaMetrics, vmagent, vmalert and Alertmanager ask nobody for a password, until --secure
  --demo         eight stand-in GPUs in place of real ones
  --docker       containers, or an error; --no-docker: never containers (default: where Docker answers)
  --build        with Docker, build the images here; else those of a release are pulled
  --offline      from the bundle that this folder was unpacked from (make bundle), with no network at all
  --prefix DIR   where everything goes (default: .gpuglass in this clone)

Without containers, the programs are units of systemd where that is the machine's first process and root runs
this; else they run under a supervisor of their own, as the user who runs this, until the machine stops.

  --status       the state of each program and what VictoriaMetrics knows
  --stop         end all programs; the next run starts them again
  --uninstall    remove everything except the data and your targets; --purge: the data as well

Settings come from the environment or from gpuglass.env in this clone, as KEY=VALUE:
  GPUGLASS_EXPORTER_PORT 9400, GPUGLASS_KEEPER_PORT 9401, GPUGLASS_VICTORIAMETRICS_PORT 8428,
  GPUGLASS_VMAGENT_PORT 8429, GPUGLASS_VMALERT_PORT 8880, GPUGLASS_ALERTMANAGER_PORT 9093,
  GPUGLASS_GRAFANA_PORT 3000, GPUGLASS_SCRAPE_INTERVAL 5s (1s to 60s), GPUGLASS_NODE_NAME (this machine's host name)
  GPUGLASS_STORAGE     single: all samples for GPUGLASS_RETENTION 400d (--single-node's default), or
                       tiered: all samples for GPUGLASS_RETENTION_RAW 7d, minutes for
                       GPUGLASS_RETENTION_1M 30d, hours for GPUGLASS_RETENTION_1H 400d (--host's), with
                       GPUGLASS_VICTORIAMETRICS_1M_PORT 8438, GPUGLASS_VICTORIAMETRICS_1H_PORT 8448
  GPUGLASS_COST_*      KWH_PRICE, GPU_HOUR_PRICE, CURRENCY, PUE, CARBON_GRAMS_PER_KWH: what use costs
  GPUGLASS_ALERT_*     TEMPERATURE_CELSIUS, UTILIZATION_RATIO, MEMORY_RATIO: alert above these, else not
  GPUGLASS_PUSH        no, or yes: a host lets workers push, at GPUGLASS_VMAUTH_PORT 8427 of every address
                       (vmauth; its own metrics at GPUGLASS_VMAUTH_METRICS_PORT 8426 of the loopback)
  GPUGLASS_PUSH_QUEUE  1GB: what a worker that pushes keeps on disk while the host is away
  GPUGLASS_GRAFANA     auto: where one is on PATH or can be downloaded (the default), or no: never
  GPUGLASS_OPEN        what other machines may reach, by its password, such as grafana,victoriametrics;
                       also vmagent, vmalert, alertmanager (the default: nothing)
  GPUGLASS_DASHBOARD_URL  the address by which people reach Grafana, or another one with these dashboards,
                       for messages of alerts to link to (default: http://127.0.0.1:3000)
  with Docker: GPUGLASS_VM_VERSION, GPUGLASS_ALERTMANAGER_VERSION, GPUGLASS_GRAFANA_VERSION,
  GPUGLASS_PYTHON_IMAGE, GPUGLASS_IMAGES (where ours are, for a registry of your own)
From the environment alone: GPUGLASS_PYTHON (the Python to use), GPUGLASS_COMPONENTS_CACHE (a folder
that keeps downloaded programs for the next install).
USAGE
}

say() { printf '%s\n' "$*"; }

die() {
    printf 'setup.sh: error: %s\n' "$*" >&2
    [ -z "$install_log" ] || : >"$install_log.told"
    exit 1
}

usage_error() {
    printf 'setup.sh: error: %s\n' "$*" >&2
    exit 2
}

step() {
    step_number=$((step_number + 1))
    if [ -t 1 ]; then
        printf '\033[1m[%d/%d]\033[0m %s\n' "$step_number" "$step_count" "$*"
    else
        printf '[%d/%d] %s\n' "$step_number" "$step_count" "$*"
    fi
}

parse_arguments() {
    while [ $# -gt 0 ]; do
        case $1 in
        --single-node | --host | --worker) choose role "$1" ;;
        --status | --stop | --uninstall) choose action "$1" ;;
        --docker | --no-docker) choose engine "$1" ;;
        --insecure | --secure) choose secrecy "$1" ;;
        --demo) demo=yes ;;
        --purge) purge=yes ;;
        --build) build_images=yes ;;
        --offline) offline=yes ;;
        --tls)
            [ -n "${2:-}" ] || usage_error "--tls needs a file, - or none"
            tls=$2
            shift
            ;;
        --tls=?*) tls=${1#*=} ;;
        --push)
            [ -n "${2:-}" ] || usage_error "--push needs an address such as https://HOST, or none"
            push=$2
            shift
            ;;
        --push=?*) push=${1#*=} ;;
        --credentials)
            [ -n "${2:-}" ] || usage_error "--credentials needs a file, or - for the standard input"
            given_credentials=$2
            shift
            ;;
        --credentials=?*) given_credentials=${1#*=} ;;
        --prefix)
            [ -n "${2:-}" ] || usage_error "--prefix needs a folder"
            prefix=$2
            shift
            ;;
        --prefix=?*) prefix=${1#*=} ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) usage_error "unknown option '$1'; see ./setup.sh --help" ;;
        esac
        shift
    done
    check_arguments
}

choose() {
    local -n chosen=$1
    [ -z "$chosen" ] || [ "$chosen" = "${2#--}" ] || usage_error "--$chosen and $2 exclude each other"
    chosen=${2#--}
}

check_arguments() {
    [ "$purge" = no ] || [ "$action" = uninstall ] || usage_error "--purge goes with --uninstall only"
    [ -n "$role$action" ] || {
        usage >&2
        exit 2
    }
    [ -z "$role" ] || [ -z "$action" ] || usage_error "--$role and --$action exclude each other"
    [ -z "$action" ] || [ "$demo$engine" = no ] || usage_error "--$action takes neither --demo nor a choice of Docker"
    [ "$build_images" = no ] || [ "$action$engine" = '' ] || [ "$engine" = docker ] ||
        usage_error "--build is for images, and does not go with --${action:-$engine}"
    [ "$offline" = no ] || [ "$action$build_images" = no ] || usage_error "--offline goes with --single-node, --host and --worker, and without --build"
    [ -z "$secrecy" ] || [[ $role == single-node || $role == host ]] || usage_error "--$secrecy goes with --single-node and --host only"
    [ -z "$tls" ] || [ "$role" = worker ] || usage_error "--tls goes with --worker only; the others listen on the loopback"
    [ -z "$push$given_credentials" ] || [ "$role" = worker ] ||
        usage_error "--push and --credentials go with --worker only; a host takes what is pushed with GPUGLASS_PUSH=yes in gpuglass.env"
    [ "$demo" = no ] || [ "$role" != host ] || usage_error "--demo needs an exporter, which --host has not"
    [[ $prefix == /* ]] || prefix=$PWD/$prefix
    check_path "$source_dir"
    check_path "$prefix"
    # The kernel's limit for the name of a socket, less what the supervisor appends.
    [ ${#prefix} -le 75 ] || usage_error "the path $prefix is too long; choose a shorter one with --prefix"
}

# A comma would part one of vmalert's values in two.
check_path() {
    [[ $1 =~ ^[A-Za-z0-9\ _./@+:=~-]+$ ]] ||
        usage_error "the path $1 has characters that do not survive in configuration files; choose another"
}

open_log() {
    install_log=$(mktemp "${TMPDIR:-/tmp}/gpuglass-setup.XXXXXX") || die "no log can be written to ${TMPDIR:-/tmp}"
    trap finish EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

# A failed first install leaves nothing; a failed later one leaves the version before it.
finish() {
    local code=$?
    trap - EXIT
    # A command that failed where nobody looked, on a full disk for example, has said so in its own words only.
    [ "$code" = 0 ] || [ "$code" -gt 128 ] || [ -e "$install_log.told" ] ||
        printf 'setup.sh: error: stopped by the failure above; run it again once that is mended\n' >&2
    if [ "$code" != 0 ] && [ "$installing" = yes ]; then
        remove_build
        remove_leftovers
        [ -e "$prefix/run/installed" ] || current_runner >/dev/null || remove_install
    fi
    [ "$keep_log" = yes ] || rm -f -- "$install_log"
    rm -f -- "$install_log.told"
    exit "$code"
}

claim_prefix() {
    local reason
    reason=$(mkdir -p -- "$prefix" 2>&1) || die "$prefix cannot be made (${reason##*: }); choose another with --prefix"
    [ -w "$prefix" ] || die "$prefix cannot be written to; choose another with --prefix"
    if [ ! -e "$prefix/.gpuglass-install" ]; then
        [ -z "$(ls -A "$prefix")" ] || die "$prefix is not empty and not an install of gpuglass; choose another with --prefix"
        : >"$prefix/.gpuglass-install" || die "$prefix cannot be written to (is the disk full?)"
    fi
    lock_prefix
    installing=yes
}

lock_prefix() {
    exec 9>>"$prefix/.lock"
    flock -n 9 || die "another setup.sh (process $(cat "$prefix/.lock")) is at work in $prefix"
    echo $$ >"$prefix/.lock"
}

# What the running install was made with: "KEY=VALUE" lines that only this script writes.
save_run() {
    local name
    {
        printf '%s=%s\n' role "$role" demo "$demo" grafana "$grafana" insecure "$insecure" web "$web" enrolled "$enrolled" push "$push_url"
        for name in "${!setting[@]}"; do printf '%s=%s\n' "$name" "${setting[$name]}"; done | sort
    } >"$prefix/run/settings.new"
    mv -f -- "$prefix/run/settings.new" "$prefix/run/settings"
    # The data may outlive the rest, and where they are depends on the kind of the install.
    if [ "$role" = worker ]; then echo "$engine"; else echo "$engine ${setting[GPUGLASS_STORAGE]} $(raw_retention)"; fi >"$prefix/.gpuglass-install"
    : >"$prefix/run/installed"
}

saved_engine() {
    cut -d ' ' -f 1 "$prefix/.gpuglass-install" 2>/dev/null || true
}

# The storage profile of the data that are here; those of an install that named none were made by the single one.
saved_storage() {
    local engine storage _
    read -r engine storage _ 2>/dev/null <"$prefix/.gpuglass-install" || return 0
    if [ -z "$storage" ] && [ -n "$engine" ] && [ "$(saved role)" != worker ]; then storage=single; fi
    echo "$storage"
}

saved() {
    sed -n "s/^$1=//p" "$prefix/run/settings" 2>/dev/null || true
}

# The one targets file that is ours; it stays as it is once a user has changed it.
write_own_target() {
    local file=$source_dir/victoriametrics/targets/this-node.yml record=$prefix/data/this-node.yml
    if [ "$role" != single-node ]; then
        remove_own_target
        return 0
    fi
    if [ -e "$file" ] && ! cmp -s "$file" "$record"; then
        return 0
    fi
    {
        echo "# This machine; written by setup.sh, which leaves the file alone once it was edited."
        echo "- targets: [\"127.0.0.1:${setting[GPUGLASS_EXPORTER_PORT]}\"]"
        echo "  labels: {node: \"${setting[GPUGLASS_NODE_NAME]}\"}"
    } >"$record.new"
    if ! cmp -s "$record.new" "$file"; then
        { install -m 644 -- "$record.new" "$file.new" && mv -f -- "$file.new" "$file"; } 2>/dev/null ||
            die "$file cannot be written"
    fi
    mv -f -- "$record.new" "$record"
}

# Everything but the data; the marker stays with them, so that a later install finds them again.
remove_install() {
    local in_volumes=no
    systemd_remove
    [ "$(saved_engine)" != docker ] || [ -z "$(saved_storage)" ] || in_volumes=yes
    rm -rf -- "${prefix:?}"/{bin,log,run,venvs,web,push,.lock} "$prefix"/simulator-* "$prefix"/grafana-* "$prefix"/*.part
    rm -f -- "$prefix/data/this-node.yml.new"
    [ "$in_volumes" = yes ] || [ -n "$(find "$prefix/data" -type f 2>/dev/null | head -n 1)" ] || remove_data
}

remove_data() {
    rm -rf -- "$prefix/data"
    rm -f -- "$prefix/.gpuglass-install"
    rmdir -- "$prefix" 2>/dev/null || true
    remove_user
}

# Our own targets file goes where nothing answers on it any more, unless a user made it theirs.
remove_own_target() {
    local file=$source_dir/victoriametrics/targets/this-node.yml
    if cmp -s "$file" "$prefix/data/this-node.yml"; then
        rm -f -- "$file" "$prefix/data/this-node.yml"
    fi
}

uninstall() {
    if [ ! -e "$prefix/.gpuglass-install" ]; then
        say "Nothing is installed in $prefix."
        return 0
    fi
    lock_prefix
    if [ "$(saved_engine)" = docker ]; then
        docker_uninstall
    else
        supervisor_remove
    fi
    [ "$purge" = no ] || remove_own_target
    remove_install
    if [ "$purge" = yes ]; then
        [ ! -e "$prefix" ] || remove_data
        say "Removed, with its data."
    elif [ "$(saved_engine)" = docker ]; then
        say "Removed. The data stay in Docker's volumes; --uninstall --purge removes them too."
    elif [ -e "$prefix/data" ]; then
        say "Removed. The data stay in $prefix/data; --uninstall --purge removes them too."
    else
        say "Removed."
    fi
}

run_action() {
    if [ "$action" = uninstall ]; then
        uninstall
        return
    fi
    [ -e "$prefix/run/installed" ] || die "nothing is installed in $prefix; see ./setup.sh --help"
    engine=$(saved_engine)
    "${engine}_$action"
}

# Docker where it answers, unless told otherwise or already installed without it.
choose_engine() {
    case $engine in
    docker) docker_usable || die "--docker: $docker_problem" ;;
    no-docker) engine=native ;;
    '')
        engine=$(saved_engine)
        if [ -z "$engine" ]; then
            engine=native
            ! docker_usable || engine=docker
        fi
        ;;
    esac
    [ "$(saved_engine)" = "$engine" ] || [ -z "$(saved_engine)" ] ||
        die "$prefix holds an install of the other kind ($(saved_engine)); ./setup.sh --uninstall --purge first"
}

main() {
    parse_arguments "$@"
    if [ -n "$action" ]; then
        run_action
        return
    fi
    load_settings "$source_dir/gpuglass.env"
    choose_storage
    choose_access
    read_web
    read_push
    open_log
    [ "$offline" = no ] || open_bundle
    choose_engine
    [ "$build_images" = no ] || [ "$engine" = docker ] || die "--build: this install has no containers; $docker_problem"
    "install_$engine"
}

main "$@"
