# shellcheck shell=bash disable=SC2034,SC2154
# The life of a native install: made, brought up, looked at, stopped. To be sourced.

readonly needed_megabytes=500

install_native() {
    step_count=5
    [ "$demo" = no ] || step_count=6
    umask 022
    choose_runner
    claim_prefix
    python=$(find_python)
    choose_grafana
    remove_leftovers
    end_orphans
    check_ports
    [ -e "$prefix/venvs/gpuglass-$(package_fingerprint)/.complete" ] || check_disk
    say_what_will_show
    settle_storage
    mkdir -p -- "$prefix"/{bin,data/targets,run} || die "$prefix cannot be written to"

    if [ "$demo" = yes ]; then
        # First, for it may lack a compiler, which an ordinary user cannot install.
        step "Stand-in driver"
        install_simulator
    fi
    step "Python environment"
    [ "$runner" != supervisor ] || install_supervisor
    install_package
    step "Programs"
    install_programs
    step "Configuration"
    store_web
    store_password
    store_push
    write_command
    write_own_target
    bring_up
    step "Data"
    show_data 60s || die "no data arrived within a minute; $prefix/bin/gpuglass doctor says why, and $("${runner}_log" NAME) of each program"
    await_grafana
    show_addresses
}

# Programs whose supervisor was killed: they hold the ports, and nobody looks after them.
end_orphans() {
    supervisor_running || ! supervisor_stop || say "Ended what an earlier run had left behind."
}

install_programs() {
    if is_pushing; then
        install_components vmagent
    elif [ "$role" = worker ]; then
        say "    none needed by a worker"
    else
        install_components "${component_names[@]}"
        [ "$grafana" = no ] || install_grafana
    fi
}

choose_grafana() {
    grafana=no
    [ "$role" = worker ] || [ "${setting[GPUGLASS_GRAFANA]}" = no ] || grafana=yes
}

# Who runs the programs: systemd, or else a supervisor of this install's own.
choose_runner() {
    runner=supervisor
    if systemd_usable; then
        runner=systemd
        refuse_other_install
    elif [ -d /run/systemd/system ]; then
        say "Programs run under a supervisor, which a reboot ends; systemd $oldest_systemd or newer runs them where root installs: docs/install.md"
    fi
}

# Who runs those of this install now; fails where nobody does.
current_runner() {
    local candidate
    for candidate in supervisor systemd; do
        if "${candidate}_running"; then
            echo "$candidate"
            return 0
        fi
    done
    return 1
}

# An install that goes over to systemd, or away from it, keeps its data.
leave_other_runner() {
    local other
    for other in supervisor systemd; do
        [ "$other" = "$runner" ] || "${other}_remove"
    done
}

bring_up() {
    local changed=no
    leave_other_runner
    ! "${runner}_write" || changed=yes
    save_run
    if ! "${runner}_running"; then
        step "Starting $(programs | sed 's/ /, /g')"
        "${runner}_start"
    elif [ "$changed" = yes ]; then
        step "Restarting what changed"
        "${runner}_update"
    else
        step "Already running, nothing changed"
    fi
    wait_for_programs
    remove_outdated
}

all_running() {
    local states
    states=$("${runner}_states")
    [ -n "$states" ] && ! grep -qv ' RUNNING$' <<<"$states"
}

wait_for_programs() {
    local name state
    wait_until 30 all_running && return 0
    read -r name state < <("${runner}_states" | grep -v ' RUNNING$') || die "$runner does not say how the programs are"
    die "$name does not stay up ($state): $("${runner}_last_words" "$name"); see $("${runner}_log" "$name")"
}

wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.2
    done
}

# Its first start makes a database. All else works without it.
await_grafana() {
    [ "$grafana" = no ] || wait_until 60 answers "http://127.0.0.1:${setting[GPUGLASS_GRAFANA_PORT]}/api/health" ||
        say "Grafana does not answer yet; see $("${runner}_log" grafana)"
}

native_status() {
    local code=0
    push_url=$(saved push)
    push_url=${push_url:-none}
    runner=$(current_runner) || {
        say "gpuglass is installed in $prefix and not running; ./setup.sh --$(saved role) starts it"
        return 1
    }
    "${runner}_states" || true
    all_running || code=1
    say "Logs: $("${runner}_log" NAME)"
    say
    venv=$(installed_venv)
    show_data 5s || code=1
    [ "$(saved role)" = worker ] || show_grafana
    return "$code"
}

# The environment that the programs run from.
installed_venv() {
    sed -n "s|^exec '\(.*\)/bin/gpuglass' .*|\1|p" "$prefix/bin/gpuglass"
}

native_stop() {
    runner=$(current_runner) || runner=supervisor
    if "${runner}_stop"; then
        say "Stopped."
    else
        say "Nothing was running."
    fi
}

check_disk() {
    local free folder=$prefix
    free=$(df -Pk -- "$folder" | awk 'NR == 2 { print int($4 / 1024) }')
    [ "$free" -ge "$needed_megabytes" ] ||
        die "$folder has $free MB free, $needed_megabytes MB are needed; make room or choose another place with --prefix"
}

# Looks at the ports that this run will open, except those that our own programs hold already.
check_ports() {
    local program name port wanted=() owner states=''
    ! states=$(current_runner) || states=$("${states}_states")
    for program in $(programs); do
        name=$(port_setting "$program")
        port=${setting[$name]}
        if grep -q "^$program RUNNING" <<<"$states" && [ "$(saved "$name")" = "$port" ]; then
            continue
        fi
        wanted+=("$(program_listens "$program"):$port")
        [ "$program" != vmauth ] || wanted+=("127.0.0.1:${setting[GPUGLASS_VMAUTH_METRICS_PORT]}")
    done
    [ ${#wanted[@]} -gt 0 ] || return 0
    read -r port owner < <("$python" "$source_dir/deploy/native/ports.py" "${wanted[@]}" || true) || return 0
    for name in "${!setting[@]}"; do
        [[ $name != *_PORT || ${setting[$name]} != "$port" ]] ||
            die "port $port is in use by $owner; end it, or set $name to a free port$(without_it "$name")" \
                "(environment or gpuglass.env)"
    done
}

# What can be done without.
without_it() {
    [ "$1" != GPUGLASS_GRAFANA_PORT ] || printf ', or GPUGLASS_GRAFANA to no'
}
