# shellcheck shell=bash disable=SC2034,SC2154
# Writes the supervisor's configuration and drives it. To be sourced.

demo_scenario=$source_dir/simulator/scenarios/demo.conf

render() {
    local text name
    text=$(<"$1")
    text=${text//@DEMO@/$(demo_starter)}
    text=${text//@WEB_OPTION@/$(web_option)}
    text=${text//@BIN@/$prefix/bin}
    text=${text//@VENV@/$venv}
    text=${text//@SOURCE@/$source_dir}
    text=${text//@DATA@/$prefix/data}
    text=${text//@PUBLISHED@/$prefix/data/targets}
    text=${text//@RUN@/$prefix/run}
    text=${text//@LOG@/$prefix/log}
    text=${text//@EXPORTER_LISTEN@/$(listen_address)}
    for name in "${!setting[@]}"; do
        case $name in
        *_PORT | *_NODE_NAME | *_RETENTION_1?) text=${text//@${name#GPUGLASS_}@/${setting[$name]}} ;;
        esac
    done
    text=${text//@RETENTION@/$(raw_retention)}
    text=${text//@MEMORY_PERCENT@/$(memory_percent)}
    text=${text//@EXTERNAL_URL@/$(external_url)}
    text=${text//@EXTERNAL_PATH@/$(external_path)}
    printf '%s\n' "$text"
}

# The supervisor expands %(name)s in its configuration. Paths hold no percent sign: it expands some of them twice.
escaped() {
    printf '%s' "${1//%/%%}"
}

# A worker is scraped from elsewhere; everything else stays on this machine.
listen_address() {
    if [ "$role" = worker ]; then echo 0.0.0.0; else echo 127.0.0.1; fi
}

# What starts the exporter in a demo: the rest of its command line follows.
demo_starter() {
    [ "$demo" = no ] ||
        printf '"%s" ' "$venv/bin/python" "$source_dir/deploy/demo.py" "$demo_scenario" "$prefix/run/demo.conf"
}

# The part of the exporter's command line that names its web configuration.
web_option() {
    [ "${web:-none}" = none ] || printf '"--web.config.file=%s" ' "$prefix/web/web.yml"
}

programs() {
    local exporter=(exporter) tiers=() boards=(grafana)
    [ "$role" != worker ] || { echo exporter; return; }
    [ "$role" != host ] || exporter=()
    [ "$grafana" = yes ] || boards=()
    ! is_tiered || tiers=(victoria-metrics-1m victoria-metrics-1h)
    echo victoria-metrics "${tiers[@]}" keeper alertmanager vmalert vmagent "${exporter[@]}" "${boards[@]}"
}

# The name of the setting that holds a program's port.
port_setting() {
    local name=${1/victoria-metrics/victoriametrics}
    name=${name//-/_}
    echo "GPUGLASS_${name^^}_PORT"
}

is_tiered() {
    [ "${setting[GPUGLASS_STORAGE]}" = tiered ]
}

# How long the samples themselves are kept.
raw_retention() {
    if is_tiered; then echo "${setting[GPUGLASS_RETENTION_RAW]}"; else echo "${setting[GPUGLASS_RETENTION]}"; fi
}

# How far back a missing rollup is made: what is about to go does not count.
rollup_look_back() {
    local days
    days=$(days_of "${setting[GPUGLASS_RETENTION_RAW]}")
    echo "$((days > 401 ? 400 : days - 1))d"
}

# What the storage of the samples may take of the machine's memory; each tier takes 5.
memory_percent() {
    if is_tiered; then echo 15; else echo 25; fi
}

# The Grafana with the boards, if there is one.
dashboard_url() {
    if [ -n "${setting[GPUGLASS_DASHBOARD_URL]}" ]; then
        echo "${setting[GPUGLASS_DASHBOARD_URL]}"
    elif [ "$grafana" = yes ]; then
        echo "http://127.0.0.1:${setting[GPUGLASS_GRAFANA_PORT]}"
    fi
}

# Where the links of alerts lead: to the boards, else to vmalert itself.
external_url() {
    local boards
    boards=$(dashboard_url)
    if [ -n "$boards" ]; then
        echo "$boards/d"
    else
        echo "http://127.0.0.1:${setting[GPUGLASS_VMALERT_PORT]}"
    fi
}

# What comes after that for an alert in general; empty: vmalert's own page of it.
external_path() {
    [ -z "$(dashboard_url)" ] || echo gpu-fleet
}

# SETUP_REVISION makes the supervisor restart a program whose files changed while its command line did not.
program_environment() {
    case $1 in
    exporter)
        environment_line SETUP_REVISION "$demo"
        [ "$demo" = no ] || {
            environment_line LD_LIBRARY_PATH "$simulator${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
            environment_line DEMO_REVISION "$(cat "$source_dir/deploy/demo.py" "$demo_scenario" | fingerprint)"
        }
        ;;
    vmagent)
        environment_line SETUP_REVISION "$(cat "$prefix/bin/vmagent" "$source_dir"/victoriametrics/{scrape.yml,vmagent.sh} | fingerprint)"
        environment_line GPUGLASS_SCRAPE_INTERVAL "${setting[GPUGLASS_SCRAPE_INTERVAL]}"
        environment_line GPUGLASS_SCRAPE_TIMEOUT "$(scrape_timeout)"
        environment_line GPUGLASS_TARGETS_PUBLISHED "$prefix/data/targets"
        environment_line GPUGLASS_TLS_DIR "$prefix/data/tls"
        component_addresses
        ;;
    keeper)
        environment_line SETUP_REVISION 1
        keeper_settings
        ;;
    grafana) grafana_settings ;;
    victoria-metrics | alertmanager | vmalert) environment_line SETUP_REVISION "$(fingerprint <"$prefix/bin/$1")" ;;
    victoria-metrics-1?)
        environment_line SETUP_REVISION "$(cat "$prefix/bin/victoria-metrics" "$source_dir/victoriametrics/tier.yml" | fingerprint)"
        ;;
    esac
}

# Its dashboards it reads again by itself.
grafana_settings() {
    environment_line SETUP_REVISION "$(cat "$prefix/bin/grafana" "$source_dir"/grafana/{grafana.ini,start.sh} "$source_dir"/grafana/provisioning/*/*.yml | fingerprint)"
    environment_line GF_SERVER_HTTP_PORT "${setting[GPUGLASS_GRAFANA_PORT]}"
    environment_line GF_PATHS_DATA "$prefix/data/grafana"
    environment_line GF_PATHS_LOGS "$prefix/log"
    environment_line GF_PATHS_PLUGINS "$prefix/data/grafana/plugins"
    environment_line GF_PATHS_PROVISIONING "$source_dir/grafana/provisioning"
    environment_line GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH "$source_dir/grafana/dashboards/gpu-fleet.json"
    environment_line GPUGLASS_DASHBOARDS "$source_dir/grafana/dashboards"
    environment_line GPUGLASS_SCRAPE_INTERVAL "${setting[GPUGLASS_SCRAPE_INTERVAL]}"
    data_sources
}

# Where Grafana finds the samples. With single storage one place serves as all three.
data_sources() {
    local name port=${setting[GPUGLASS_VICTORIAMETRICS_PORT]}
    for name in VICTORIAMETRICS VICTORIAMETRICS_1M VICTORIAMETRICS_1H; do
        ! is_tiered || port=${setting[GPUGLASS_${name}_PORT]}
        environment_line "GPUGLASS_${name}_URL" "http://127.0.0.1:$port"
    done
}

# Where vmagent finds our own components.
component_addresses() {
    local program name
    [ "$grafana" = yes ] || environment_line GPUGLASS_GRAFANA_ADDRESS none
    for name in VICTORIAMETRICS_1M VICTORIAMETRICS_1H; do
        is_tiered || environment_line "GPUGLASS_${name}_ADDRESS" none
    done
    for program in $(programs); do
        name=$(port_setting "$program")
        [ "$program" = exporter ] || environment_line "${name%_PORT}_ADDRESS" "127.0.0.1:${setting[$name]}"
    done
}

keeper_settings() {
    local name
    if is_tiered; then
        environment_line GPUGLASS_ROLLUP_LOOK_BACK "$(rollup_look_back)"
        environment_line GPUGLASS_ROLLUP_MINUTE_URL "http://127.0.0.1:${setting[GPUGLASS_VICTORIAMETRICS_1M_PORT]}"
        environment_line GPUGLASS_ROLLUP_HOUR_URL "http://127.0.0.1:${setting[GPUGLASS_VICTORIAMETRICS_1H_PORT]}"
    fi
    for name in $(printf '%s\n' "${!setting[@]}" | sort); do
        [[ -z ${setting[$name]} || ! $name =~ ^GPUGLASS_(COST|ALERT)_ ]] || environment_line "$name" "${setting[$name]}"
    done
}

environment_line() {
    printf '    %s="%s",\n' "$1" "$(escaped "$2")"
}

supervisor_configuration() {
    local program
    render "$source_dir/deploy/native/supervisord.conf"
    for program in $(programs); do
        printf '\n'
        render "$source_dir/deploy/native/programs/$program.conf"
        printf 'stdout_logfile=%s\n' "$prefix/log/$program.log"
        cat "$source_dir/deploy/native/programs/common.inc"
        printf 'environment=\n%s\n' "$(program_environment "$program" | sed '$ s/,$//')"
    done
}

# Writes the configuration in place; says whether anything became different.
write_configuration() {
    local file=$prefix/run/supervisord.conf
    supervisor_configuration >"$file.new" || die "$file cannot be written"
    if cmp -s "$file.new" "$file"; then
        rm -f -- "$file.new"
        return 1
    fi
    mv -f -- "$file.new" "$file"
}

supervisorctl() {
    local folder
    folder=$(find "$prefix/venvs" -maxdepth 1 -name 'supervisor-*' 2>/dev/null | head -n 1)
    "$folder/bin/supervisorctl" -c "$prefix/run/supervisord.conf" "$@"
}

# The process id of this install's supervisor; a stale file, or a number that now belongs to another, does not count.
supervisor_pid() {
    local pid command
    pid=$(cat "$prefix/run/supervisord.pid" 2>/dev/null) || return 1
    [[ $pid =~ ^[1-9][0-9]*$ ]] || return 1
    command=$(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline") || return 1
    [[ $command == *supervisord*"$prefix/run/supervisord.conf"* ]] || return 1
    echo "$pid"
}

start_supervisor() {
    local name unset=()
    for name in $(compgen -v GPUGLASS_); do
        unset+=(-u "$name")
    done
    chmod 700 "$prefix/run"
    logged "the supervisor did not start" env "${unset[@]}" "$supervisor/bin/supervisord" -c "$prefix/run/supervisord.conf"
    wait_until 10 supervisor_answers || die "the supervisor does not answer; see $prefix/log/supervisord.log"
}

supervisor_answers() {
    supervisorctl pid >/dev/null 2>&1
}

# Restarts what changed, and nothing else.
update_supervisor() {
    logged "the supervisor refused its new configuration" supervisorctl update
}

wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.2
    done
}

# "NAME STATE" of each program.
program_states() {
    supervisorctl status 2>/dev/null | awk '{ print $1, $2 }'
}

all_running() {
    local states
    states=$(program_states)
    [ -n "$states" ] && ! grep -qv ' RUNNING$' <<<"$states"
}

wait_for_programs() {
    local name state
    wait_until 30 all_running && return 0
    read -r name state < <(program_states | grep -v ' RUNNING$') || die "the supervisor does not answer"
    die "$name does not stay up ($state): $(last_log_line "$name"); see $prefix/log/$name.log"
}

last_log_line() {
    tail -n 50 "$prefix/log/$1.log" 2>/dev/null | grep . | tail -n 1 | cut -c 1-300 || true
}

# Ends the supervisor and everything under it; returns when they are gone. Fails when there was nothing to end.
stop_supervisor() {
    local pid found=no
    if pid=$(supervisor_pid); then
        found=yes
        kill -TERM "$pid" 2>/dev/null || true
        wait_until 90 gone "$pid" || die "the supervisor (process $pid) does not end; see $prefix/log/supervisord.log"
    fi
    for pid in $(supervised_pids); do
        found=yes
        kill -TERM "$pid" 2>/dev/null || true
        wait_until 60 gone "$pid" || die "process $pid of $prefix does not end"
    done
    [ "$found" = yes ]
}

# The processes that this install's supervisor started, by the mark that it leaves in their environment. They outlive
# a supervisor that was killed.
supervised_pids() {
    grep -lzxF "SUPERVISOR_SERVER_URL=unix://$prefix/run/supervisor.sock" /proc/[0-9]*/environ 2>/dev/null |
        cut -d / -f 3 || true
}

gone() {
    ! kill -0 "$1" 2>/dev/null
}
