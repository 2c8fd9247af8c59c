# shellcheck shell=bash disable=SC2154
# What a run tells its user: what will show, what arrived, and where. To be sourced.

has_gpu() {
    local device
    for device in /dev/nvidia[0-9]* /dev/dxg; do
        [ ! -e "$device" ] || return 0
    done
    return 1
}

say_what_will_show() {
    [ "$role" != host ] && [ "$demo" = no ] && ! has_gpu || return 0
    say "No NVIDIA GPU is here: this machine's host facts alone will show (--demo adds eight stand-in GPUs)."
}

victoriametrics_url() {
    echo "http://127.0.0.1:$(saved GPUGLASS_VICTORIAMETRICS_PORT)"
}

# What arrived, told by the place where it arrives.
show_data() {
    local wait=$1
    case $(saved role) in
    single-node) "$venv/bin/gpuglass" status --victoriametrics.url "$(victoriametrics_url)" \
        --password-file "$(password_file)" --wait "$wait" ;;
    host)
        wait_until "${wait%s}" answers "$(victoriametrics_url)/health" || return 1
        say_host_answers
        ;;
    worker)
        wait_until "${wait%s}" answers "$(worker_url 127.0.0.1)/-/healthy" && say "The exporter answers." || return 1
        ! is_pushing || say_pushed "$wait"
        ;;
    esac
}

# A host may have no nodes yet, and then gpuglass status has nothing to show.
say_host_answers() {
    say "VictoriaMetrics answers."
    [ -e "$source_dir/victoriametrics/alertmanager/receivers.yml" ] ||
        say "Nobody is told of alerts yet: see victoriametrics/alertmanager/README.md"
}

# With a file as the second argument: to those who know the password in it.
answers() {
    "$venv/bin/python" "$source_dir/deploy/native/answers.py" "$@" 2>/dev/null
}

show_addresses() {
    say
    case $(saved role) in
    worker) if is_pushing; then show_pushing; else show_worker_addresses; fi ;;
    *) show_host_addresses ;;
    esac
}

show_host_addresses() {
    show_grafana
    say "PromQL:    $(promql_line)"
    # A package of the distribution may lack it.
    { [ -n "$venv" ] && ! answers "$(victoriametrics_url)/vmui/" "$(password_file)"; } || say "Browse:    $(victoriametrics_url)/vmui/"
    [ "$(saved GPUGLASS_STORAGE)" != tiered ] ||
        say "Tiers:     http://127.0.0.1:$(saved GPUGLASS_VICTORIAMETRICS_1M_PORT)/ (minutes)," \
            "http://127.0.0.1:$(saved GPUGLASS_VICTORIAMETRICS_1H_PORT)/ (hours)"
    say "Targets:   http://127.0.0.1:$(saved GPUGLASS_VMAGENT_PORT)/targets"
    say "Alerts:    http://127.0.0.1:$(saved GPUGLASS_ALERTMANAGER_PORT)/"
    if [ "$(saved insecure)" = yes ]; then
        say "Password:  none, since --insecure: who reaches these ports can read, write and silence; --secure ends that"
    else
        say "Password:  of these, user gpuglass: $(where_password_is)"
    fi
    [ -z "$(saved GPUGLASS_OPEN)" ] || say "Open:      $(saved GPUGLASS_OPEN), to all who reach this machine, over plain HTTP"
    [ "$(saved role)" = host ] || say "Exporter:  http://127.0.0.1:$(saved GPUGLASS_EXPORTER_PORT)/"
    say "Add nodes: victoriametrics/targets/*.yml, taken up within seconds"
    say "Enrol:     $prefix/bin/gpuglass enrol NODE   (what to type there, for TLS and a password)"
    show_door
    say "Command:   $prefix/bin/gpuglass --help"
}

# What to type for an answer.
promql_line() {
    local login
    login="-u \"gpuglass:\$($(printf %q "$prefix/bin/gpuglass") password)\" "
    [ "$(saved insecure)" != yes ] || login=''
    echo "curl $login'$(victoriametrics_url)/api/v1/query?query=up'"
}

show_grafana() {
    if [ "$(saved grafana)" = yes ]; then
        say "Grafana:   http://127.0.0.1:$(saved GPUGLASS_GRAFANA_PORT)/ (user admin, password: $(where_grafanas_password_is))"
    elif [ "$(saved role)" = host ]; then
        say "Grafana:   not here; each node shows itself at http://NODE:9400/"
    else
        say "Grafana:   not here; this node shows itself at http://127.0.0.1:$(saved GPUGLASS_EXPORTER_PORT)/"
    fi
}

where_password_is() {
    if [ "$(saved_engine)" = docker ]; then
        echo "$prefix/bin/gpuglass password"
    else
        password_file
    fi
}

where_grafanas_password_is() {
    if [ "$(saved_engine)" = docker ]; then
        echo "docker compose -p gpuglass exec grafana cat /var/lib/grafana/admin-password"
    else
        echo "$prefix/data/grafana/admin-password"
    fi
}

# The address by which others reach this machine: the one it would send from. With Docker there may be no Python here.
own_address() {
    local interpreter=("$venv/bin/python")
    [ -n "$venv" ] || interpreter=(compose exec -T exporter python3)
    "${interpreter[@]}" -c 'import socket, sys
for family, other, form in (socket.AF_INET, "192.0.2.1", "{}"), (socket.AF_INET6, "2001:db8::1", "[{}]"):
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((other, 9))
            print(form.format(probe.getsockname()[0]))
            sys.exit()
    except OSError:
        pass
print(socket.gethostname())'
}
