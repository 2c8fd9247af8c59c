# shellcheck shell=bash disable=SC2034,SC2154
# The life of a native install: made, brought up, looked at, stopped. To be sourced.

readonly needed_megabytes=500

install_native() {
    step_count=5
    [ "$demo" = no ] || step_count=6
    umask 022
    claim_prefix
    python=$(find_python)
    choose_grafana
    remove_leftovers
    end_orphans
    check_ports
    [ -e "$prefix/venvs/gpuglass-$(package_fingerprint)/.complete" ] || check_disk
    say_what_will_show
    say_what_storage_becomes
    mkdir -p -- "$prefix"/{bin,data/targets,log,run} || die "$prefix cannot be written to"

    if [ "$demo" = yes ]; then
        # First, for it may lack a compiler, which an ordinary user cannot install.
        step "Stand-in driver"
        install_simulator
    fi
    step "Python environment"
    install_supervisor
    install_package
    step "Programs"
    install_programs
    step "Configuration"
    store_web
    write_command
    write_own_target
    bring_up
    step "Data"
    show_data 60s || die "no data arrived within a minute; $prefix/bin/gpuglass doctor says why, and the logs in $prefix/log"
    await_grafana
    show_addresses
}

# Programs whose supervisor was killed: they hold the ports, and nobody looks after them.
end_orphans() {
    supervisor_pid >/dev/null || ! stop_supervisor || say "Ended what an earlier run had left behind."
}

install_programs() {
    if [ "$role" = worker ]; then
        say "    none needed by a worker"
    else
        install_components
        [ "$grafana" = no ] || install_grafana
    fi
}

choose_grafana() {
    grafana=no
    [ "$role" = worker ] || [ "${setting[GPUGLASS_GRAFANA]}" = no ] || grafana=yes
}

bring_up() {
    local header changed=no
    header=$(render "$source_dir/deploy/native/supervisord.conf")
    [[ $(cat "$prefix/run/supervisord.conf" 2>/dev/null) == "$header"* ]] || stop_supervisor || true
    ! write_configuration || changed=yes
    save_run
    if ! supervisor_pid >/dev/null; then
        step "Starting $(programs | sed 's/ /, /g')"
        start_supervisor
    elif [ "$changed" = yes ]; then
        step "Restarting what changed"
        update_supervisor
    else
        step "Already running, nothing changed"
    fi
    wait_for_programs
    remove_outdated
}

# Its first start makes a database. All else works without it.
await_grafana() {
    [ "$grafana" = no ] || wait_until 60 answers "http://127.0.0.1:${setting[GPUGLASS_GRAFANA_PORT]}/api/health" ||
        say "Grafana does not answer yet; see $prefix/log/grafana.log"
}

native_status() {
    local code=0
    supervisor_pid >/dev/null || {
        say "gpuglass is installed in $prefix and not running; ./setup.sh --$(saved role) starts it"
        return 1
    }
    program_states || true
    all_running || code=1
    say
    venv=$(installed_venv)
    show_data 5s || code=1
    [ "$(saved role)" = worker ] || show_grafana
    return "$code"
}

# The environment that the programs run from.
installed_venv() {
    sed -n 's|^command=.*"\([^"]*\)/bin/gpuglass".*|\1|p' "$prefix/run/supervisord.conf" | head -n 1
}

native_stop() {
    if stop_supervisor; then
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
    ! supervisor_pid >/dev/null || states=$(program_states)
    for program in $(programs); do
        name=$(port_setting "$program")
        port=${setting[$name]}
        if grep -q "^$program RUNNING" <<<"$states" && [ "$(saved "$name")" = "$port" ]; then
            continue
        fi
        wanted+=("$(if [ "$program" = exporter ]; then listen_address; else echo 127.0.0.1; fi):$port")
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
