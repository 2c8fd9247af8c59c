# shellcheck shell=bash disable=SC2034,SC2154
# The way with containers: the same settings, handed to Compose. To be sourced.

docker_problem=''

docker_usable() {
    if ! command -v docker >/dev/null; then
        docker_problem="there is no docker command here"
    elif ! timeout 10 docker info >/dev/null 2>&1; then
        docker_problem="the Docker daemon does not answer (is it running, and may this user ask it?)"
    elif ! timeout 10 docker compose version --short 2>/dev/null | grep -qE '^v?([2-9]|[1-9][0-9])\.'; then
        docker_problem="Docker's compose plugin, version 2 or newer, is missing$(old_compose)"
    else
        return 0
    fi
    return 1
}

# What people take for it: Compose 1 does not know our files.
old_compose() {
    ! command -v docker-compose >/dev/null || echo "; docker-compose is version 1, which will not do"
}

# Compose with this install's files and settings.
compose() (
    local name files=()
    for name in $(compose_files); do
        files+=(-f "$source_dir/$name")
    done
    for name in "${!setting[@]}"; do
        export "$name=${setting[$name]}"
    done
    GPUGLASS_SCRAPE_TIMEOUT=$(scrape_timeout)
    GPUGLASS_BIND=$(listen_address)
    GPUGLASS_RETENTION=$(raw_retention)
    GPUGLASS_MEMORY_PERCENT=$(memory_percent)
    GPUGLASS_EXTERNAL_URL=$(external_url)
    GPUGLASS_EXTERNAL_PATH=$(external_path)
    COMPOSE_PROFILES=''
    use_access
    use_grafana
    use_web
    use_push
    export GPUGLASS_SCRAPE_TIMEOUT GPUGLASS_BIND GPUGLASS_RETENTION GPUGLASS_MEMORY_PERCENT
    GPUGLASS_GROUP=$(files_group)
    export GPUGLASS_EXTERNAL_URL GPUGLASS_EXTERNAL_PATH GPUGLASS_GROUP COMPOSE_PROFILES
    ! is_tiered || use_tiers
    docker compose --project-directory "$source_dir" "${files[@]}" "$@"
)

# The group by which the containers read receivers and their secrets; never root's.
files_group() {
    local group
    group=$(stat -c %g "$source_dir/victoriametrics/alertmanager")
    [ "$group" != 0 ] || group=9400
    echo "$group"
}

use_access() {
    local name
    GPUGLASS_HTTP_USER=$(http_user) GPUGLASS_ALERTMANAGER_WEB=$(alertmanager_web /var/lib/gpuglass/access)
    export GPUGLASS_HTTP_USER GPUGLASS_ALERTMANAGER_WEB
    for name in ${openable//|/ }; do
        export "GPUGLASS_LISTEN_${name^^}=$(listen_of "$name")"
    done
}

use_web() {
    GPUGLASS_WEB_CONFIG_FILE='' GPUGLASS_EXPORTER_SCHEME=http
    [ "${web:-none}" = none ] || GPUGLASS_WEB_CONFIG_FILE=$web_in_container
    [ "${web:-none}" != https ] || GPUGLASS_EXPORTER_SCHEME=https
    export GPUGLASS_WEB_CONFIG_FILE GPUGLASS_EXPORTER_SCHEME
}

use_grafana() {
    GPUGLASS_GRAFANA_REPLICAS=0
    GPUGLASS_GRAFANA_ADDRESS=none
    if [ "$grafana" = yes ]; then
        GPUGLASS_GRAFANA_REPLICAS=1
        GPUGLASS_GRAFANA_ADDRESS=127.0.0.1:${setting[GPUGLASS_GRAFANA_PORT]}
    fi
    export GPUGLASS_GRAFANA_REPLICAS GPUGLASS_GRAFANA_ADDRESS
}

# Where this worker pushes, or by which address workers reach this host's door.
use_push() {
    GPUGLASS_PUSH_URL='' GPUGLASS_VMAUTH_ADDRESS=none
    ! is_pushing || GPUGLASS_PUSH_URL=$push_url
    if is_door_open; then
        COMPOSE_PROFILES=push
        GPUGLASS_PUSH_URL=https://${setting[GPUGLASS_NODE_NAME]}:${setting[GPUGLASS_VMAUTH_PORT]}
        GPUGLASS_VMAUTH_ADDRESS=127.0.0.1:${setting[GPUGLASS_VMAUTH_METRICS_PORT]}
    fi
    export GPUGLASS_PUSH_URL GPUGLASS_VMAUTH_ADDRESS
}

# The names of the tiers inside, and their addresses on this machine.
use_tiers() {
    COMPOSE_PROFILES=${COMPOSE_PROFILES:+$COMPOSE_PROFILES,}tiered
    export GPUGLASS_ROLLUP_MINUTE_URL=http://victoria-metrics-1m:8428
    export GPUGLASS_ROLLUP_HOUR_URL=http://victoria-metrics-1h:8428
    export GPUGLASS_VICTORIAMETRICS_1M_URL=$GPUGLASS_ROLLUP_MINUTE_URL
    export GPUGLASS_VICTORIAMETRICS_1H_URL=$GPUGLASS_ROLLUP_HOUR_URL
    GPUGLASS_ROLLUP_LOOK_BACK=$(rollup_look_back)
    export GPUGLASS_ROLLUP_LOOK_BACK
    export GPUGLASS_VICTORIAMETRICS_1M_ADDRESS=127.0.0.1:${setting[GPUGLASS_VICTORIAMETRICS_1M_PORT]}
    export GPUGLASS_VICTORIAMETRICS_1H_ADDRESS=127.0.0.1:${setting[GPUGLASS_VICTORIAMETRICS_1H_PORT]}
}

# Compose leaves alone what belongs to a profile that is not chosen any more.
end_tiers() {
    [ "$role" = worker ] || compose --profile tiered rm --stop --force victoria-metrics-1m victoria-metrics-1h
}

# The same of the door for workers.
end_door() {
    [ "$role" = worker ] || compose --profile push rm --stop --force vmauth
}

compose_files() {
    [ "$role" = worker ] || echo docker-compose.host.yml
    [ "$role" = host ] || echo docker-compose.worker.yml
    ! is_pushing || echo deploy/docker/push.yml
    if [ "$demo" = yes ]; then
        echo deploy/docker/demo.yml
    elif [ "$role" != host ] && has_gpu && nvidia_runtime; then
        echo deploy/docker/gpu.yml
    fi
}

nvidia_runtime() {
    docker info --format '{{json .Runtimes}}' 2>/dev/null | grep -q '"nvidia"'
}

# Containers, volumes and the network have the project's name, whatever the prefix: there is room for one install.
refuse_second_install() {
    local other
    [ ! -e "$prefix/.gpuglass-install" ] || return 0
    other=$(docker ps --all --filter label=com.docker.compose.project=gpuglass \
        --format '{{.Label "com.docker.compose.project.working_dir"}}' | sort -u | tr '\n' ' ')
    [ -z "$other" ] ||
        die "gpuglass is on this machine with Docker already, from ${other% }: one install is all that Docker has room for;" \
            "update that one, or remove it by its ./setup.sh --uninstall (or docker compose -p gpuglass down)"
}

install_docker() {
    local options=(--detach --wait) before
    step_count=2
    umask 022
    refuse_second_install
    claim_prefix
    choose_grafana
    say_what_will_show
    settle_storage
    mkdir -p -- "$prefix"/{bin,data,run}
    if [ "$role" != host ] && [ "$demo" = no ] && has_gpu && ! nvidia_runtime; then
        say "Docker has no nvidia runtime: the container cannot see the GPUs; install the NVIDIA Container Toolkit."
    fi
    step "Images and containers"
    if [ "$offline" = yes ]; then
        images_from_bundle
        options+=(--no-build --pull never)
    fi
    write_docker_command
    write_own_target
    [ "$role" != worker ] || store_web_in_volume
    [ "$role" != worker ] || store_push_in_volume
    save_run
    is_tiered || logged "the tiers could not be ended" end_tiers
    is_door_open || logged "the door for workers could not be closed" end_door
    ! builds_images || options+=(--build)
    before=$(compose ps --quiet 2>/dev/null | sort) || true
    logged "the containers could not be started" compose up "${options[@]}" --remove-orphans
    [ "$(compose ps --quiet | sort)" != "$before" ] || say "    already running, nothing changed"
    step "Data"
    docker_show_data 60s || die "no data arrived within a minute; $prefix/bin/gpuglass doctor says why, and docker compose -p gpuglass logs"
    show_addresses
}

# A release's images are pulled, and built where they cannot be; those of anything else are built.
builds_images() {
    [ "$offline" = no ] || return 1
    [ "$build_images" = yes ] || grep -q '^__version__ = .*dev' "$source_dir/exporter/gpuglass/__init__.py"
}

# The command for people: it runs in the keeper's container, which knows the addresses; the exporter's lets go of GPUs.
# What looks after targets, and the doctor, run in one of their own, on the host's network and among its processes, as
# vmagent and the exporter do; what changes targets as the owner of their folder. So do backups, which see all volumes.
write_docker_command() {
    local service=keeper
    [ "$role" != worker ] || service=exporter
    put_command <<COMMAND
#!/bin/sh
# Written by setup.sh.
service=$service
case \${1-} in
targets | doctor)
    files='$source_dir/victoriametrics' inside=/etc/gpuglass/victoriametrics user=9400:9400
    case "\$1 \${2-}" in
    'targets add' | 'targets remove' | 'targets import') user=\$(stat -c %u:%g "\$files/targets") ;;
    doctor*)
        exec <<PASSWORD
\$(docker compose -p gpuglass exec -T grafana cat /var/lib/grafana/admin-password 2>/dev/null)
PASSWORD
        ;;
    esac
    exec docker run --rm --interactive --init --network host --pid host --read-only --cap-drop ALL \\
        --security-opt no-new-privileges:true --user "\$user" --group-add "\$(stat -c %g "\$files/targets")" \\
        --mount "type=bind,src=\$files,dst=\$inside,readonly" --mount "type=bind,src=\$files/targets,dst=\$inside/targets" \\
        --mount type=bind,src=/,dst=/host,readonly --env GPUGLASS_PATH_ROOTFS=/host \\
$(command_options)
        --env "GPUGLASS_CONTAINER_RUNTIMES=\$(docker info --format '{{json .Runtimes}}')" \\
        --workdir /etc/gpuglass --entrypoint gpuglass "\$(docker compose -p gpuglass images --quiet "\$service")" "\$@"
    ;;
backup | restore)
$(command_settings | sed "s/.*/    export '&'/")
    exec sh '$source_dir/deploy/docker/backup.sh' '$source_dir' '$prefix' "\$@"
    ;;
esac
[ "\${1-}" != release ] || service=exporter
no_terminal=
{ [ -t 0 ] && [ -t 1 ]; } || no_terminal=-T
exec docker compose -p gpuglass exec \$no_terminal -e "GPUGLASS_AUTHOR=\${GPUGLASS_AUTHOR:-\$(id -un)}" "\$service" gpuglass "\$@"
COMMAND
}

# What the commands in a container of their own are told.
command_options() {
    {
        command_settings | sed 's/^/--env /'
        [ "$role" = worker ] || {
            echo "--mount type=volume,src=gpuglass_tls,dst=/var/lib/gpuglass/tls,readonly"
            echo "--mount type=volume,src=gpuglass_access,dst=/var/lib/gpuglass/access,readonly"
            echo "--env GPUGLASS_PASSWORD_FILE=/var/lib/gpuglass/access/password"
        }
        [ "$role" = host ] || echo "--mount type=volume,src=gpuglass_control,dst=/run/gpuglass,readonly"
        echo "--env GPUGLASS_TLS_DIR=/var/lib/gpuglass/tls"
        ! is_pushing || {
            echo "--mount type=volume,src=gpuglass_push,dst=$push_in_container,readonly"
            echo "--env GPUGLASS_PUSH_DIR=$push_in_container"
        }
        echo "--env GPUGLASS_GRAFANA_PASSWORD_FILE=/dev/stdin"
    } | sed 's/.*/        & \\/'
}

# What the install was made with, for the commands that come later.
docker_restore() {
    local name
    role=$(saved role)
    demo=$(saved demo)
    grafana=$(saved grafana)
    insecure=$(saved insecure)
    insecure=${insecure:-no}
    web=$(saved web)
    web=${web:-none}
    push_url=$(saved push)
    push_url=${push_url:-none}
    for name in "${!setting[@]}"; do
        [ -z "$(saved "$name")" ] || setting["$name"]=$(saved "$name")
    done
}

docker_show_data() {
    case $role in
    worker)
        say "The exporter answers."
        ! is_pushing || say_pushed "$1"
        ;;
    # Compose has waited until it does.
    host) say_host_answers ;;
    *) compose exec -T keeper gpuglass status --wait "$1" ;;
    esac
}

# "NAME: STATE" of each container that is not up and well; the one that hands volumes over has ended.
containers_in_trouble() {
    docker ps --all --filter label=com.docker.compose.project=gpuglass \
        --format '{{.Label "com.docker.compose.service"}}: {{.Status}}' |
        grep -v '^volumes: ' | grep -Ev ': Up .*\(healthy\)$' || true
}

docker_status() {
    local trouble
    docker_restore
    if [ -z "$(compose ps --quiet --status running)" ]; then
        say "gpuglass is installed with Docker and not running; ./setup.sh --$role starts it"
        return 1
    fi
    compose ps
    say
    trouble=$(containers_in_trouble)
    if [ -n "$trouble" ]; then
        say "Not well: ${trouble//$'\n'/, }; see docker compose -p gpuglass logs, and $prefix/bin/gpuglass doctor"
        return 1
    fi
    docker_show_data 5s
    [ "$role" = worker ] || show_grafana
}

docker_stop() {
    docker_restore
    compose --progress quiet stop
    say "Stopped."
}

docker_uninstall() {
    docker_restore
    local volumes=()
    [ "$purge" = no ] || volumes=(--volumes)
    compose --profile tiered --profile push --progress quiet down --remove-orphans --rmi all "${volumes[@]}"
    docker image ls --quiet --filter label=org.opencontainers.image.title=gpuglass | sort -u |
        xargs -r docker image rm --force >/dev/null
    # Of no use without the rest: its key, and its socket.
    docker volume rm --force gpuglass_web gpuglass_push gpuglass_control >/dev/null
}
