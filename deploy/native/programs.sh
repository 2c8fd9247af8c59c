# shellcheck shell=bash disable=SC2034,SC2154
# What an install runs and how: the programs of a role, the command line and the environment of each. Who starts
# them is another's affair: supervisor.sh and ../systemd/systemd.sh. To be sourced.

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
    text=${text//@PUSH_URL@/$push_url}
    text=${text//@PUSH_DIR@/$prefix/push}
    text=${text//@PUSH_QUEUE@/${setting[GPUGLASS_PUSH_QUEUE]}}
    for name in "${!setting[@]}"; do
        case $name in
        *_PORT | *_NODE_NAME | *_RETENTION_1?) text=${text//@${name#GPUGLASS_}@/${setting[$name]}} ;;
        esac
    done
    for name in ${openable//|/ }; do
        text=${text//@LISTEN_${name^^}@/$(listen_of "$name")}
    done
    text=${text//@HTTP_USER@/$(http_user)}
    text=${text//@PASSWORD_FILE@/$(password_file)}
    text=${text//@ALERTMANAGER_WEB@/$(alertmanager_web)}
    text=${text//@RETENTION@/$(raw_retention)}
    text=${text//@MEMORY_PERCENT@/$(memory_percent)}
    text=${text//@EXTERNAL_URL@/$(external_url)}
    text=${text//@EXTERNAL_PATH@/$(external_path)}
    printf '%s\n' "$text"
}

# A worker is scraped from elsewhere, unless it pushes; everything else stays on this machine.
listen_address() {
    if [ "$role" = worker ] && ! is_pushing; then echo '*'; else echo 127.0.0.1; fi
}

# Where a program listens: that for workers that push is for others, too.
program_listens() {
    case $1 in
    exporter) listen_address ;;
    vmauth) echo '*' ;;
    *) listen_of "$(openable_name "$1")" ;;
    esac
}

# What starts the exporter in a demo: the rest of its command line follows.
demo_starter() {
    [ "$demo" = no ] ||
        printf '"%s" ' "$venv/bin/python" "$source_dir/deploy/demo.py" "$demo_scenario" "$(scratch)/demo.conf"
}

# Where the exporter may write what it needs while it runs.
scratch() {
    if [ "$runner" = systemd ]; then echo "$runtime_folder"; else echo "$prefix/run"; fi
}

# The part of the exporter's command line that names its web configuration.
web_option() {
    [ "${web:-none}" = none ] || printf '"--web.config.file=%s" ' "$prefix/web/web.yml"
}

programs() {
    local exporter=(exporter) tiers=() boards=(grafana) door=()
    ! is_pushing || { echo exporter vmagent-push; return; }
    [ "$role" != worker ] || { echo exporter; return; }
    [ "$role" != host ] || exporter=()
    [ "$grafana" = yes ] || boards=()
    ! is_tiered || tiers=(victoria-metrics-1m victoria-metrics-1h)
    ! is_door_open || door=(vmauth)
    echo victoria-metrics "${tiers[@]}" keeper "${door[@]}" alertmanager vmalert vmagent "${exporter[@]}" "${boards[@]}"
}

# The name of the setting that holds a program's port.
port_setting() {
    local name=${1/victoria-metrics/victoriametrics}
    name=${name%-push}
    name=${name//-/_}
    echo "GPUGLASS_${name^^}_PORT"
}

is_tiered() {
    [ "${setting[GPUGLASS_STORAGE]}" = tiered ]
}

# How long the samples themselves are kept.
raw_retention() {
    if is_tiered; then echo "${unfilled:-${setting[GPUGLASS_RETENTION_RAW]}}"; else echo "${setting[GPUGLASS_RETENTION]}"; fi
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

# KEY=VALUE lines. SETUP_REVISION has a program restarted whose files changed while its command line did not.
program_environment() {
    case $1 in
    exporter)
        environment_line SETUP_REVISION "$demo"
        ! is_pushing || {
            environment_line GPUGLASS_PUSH_URL "$push_url"
            environment_line GPUGLASS_PUSH_DIR "$prefix/push"
            environment_line GPUGLASS_PUSH_VMAGENT_URL "http://127.0.0.1:${setting[GPUGLASS_VMAGENT_PORT]}"
        }
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
        environment_line GPUGLASS_PASSWORD_FILE "$(password_file)"
        component_addresses
        ;;
    vmagent-push)
        environment_line SETUP_REVISION "$(cat "$prefix/bin/vmagent" "$source_dir"/victoriametrics/{push.yml,vmagent.sh} | fingerprint)"
        environment_line GPUGLASS_SCRAPE_INTERVAL "${setting[GPUGLASS_SCRAPE_INTERVAL]}"
        environment_line GPUGLASS_SCRAPE_TIMEOUT "$(scrape_timeout)"
        environment_line GPUGLASS_EXPORTER_ADDRESS "127.0.0.1:${setting[GPUGLASS_EXPORTER_PORT]}"
        environment_line GPUGLASS_NODE_NAME "${setting[GPUGLASS_NODE_NAME]}"
        ;;
    keeper)
        environment_line SETUP_REVISION 1
        environment_line GPUGLASS_PASSWORD_FILE "$(password_file)"
        keeper_settings
        ;;
    grafana) grafana_settings ;;
    victoria-metrics | alertmanager | vmalert | vmauth) environment_line SETUP_REVISION "$(fingerprint <"$prefix/bin/$1")" ;;
    victoria-metrics-1?)
        environment_line SETUP_REVISION "$(cat "$prefix/bin/victoria-metrics" "$source_dir/victoriametrics/tier.yml" | fingerprint)"
        ;;
    esac
}

# Its dashboards it reads again by itself.
grafana_settings() {
    environment_line SETUP_REVISION "$(cat "$prefix/bin/grafana" "$source_dir"/grafana/{grafana.ini,start.sh} "$source_dir"/grafana/provisioning/*/*.yml "$(password_file)" | fingerprint)"
    environment_line GF_SERVER_HTTP_ADDR "$(listen_of grafana)"
    environment_line GF_SERVER_HTTP_PORT "${setting[GPUGLASS_GRAFANA_PORT]}"
    environment_line GF_PATHS_DATA "$prefix/data/grafana"
    environment_line GF_PATHS_LOGS "$prefix/data/grafana/log"
    environment_line GF_PATHS_PLUGINS "$prefix/data/grafana/plugins"
    environment_line GF_PATHS_PROVISIONING "$source_dir/grafana/provisioning"
    environment_line GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH "$source_dir/grafana/dashboards/gpu-fleet.json"
    environment_line GPUGLASS_DASHBOARDS "$source_dir/grafana/dashboards"
    environment_line GPUGLASS_SCRAPE_INTERVAL "${setting[GPUGLASS_SCRAPE_INTERVAL]}"
    environment_line GPUGLASS_PASSWORD_FILE "$(password_file)"
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
    if is_door_open; then
        environment_line GPUGLASS_VMAUTH_ADDRESS "127.0.0.1:${setting[GPUGLASS_VMAUTH_METRICS_PORT]}"
    else
        environment_line GPUGLASS_VMAUTH_ADDRESS none
    fi
    for program in $(programs); do
        name=$(port_setting "$program")
        [[ $program =~ ^(exporter|vmauth)$ ]] || environment_line "${name%_PORT}_ADDRESS" "127.0.0.1:${setting[$name]}"
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
    printf '%s=%s\n' "$1" "$2"
}
