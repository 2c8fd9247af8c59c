# shellcheck shell=bash disable=SC2034,SC2154
# Pushing, where a host cannot reach its workers: the host's door for them, and a worker that goes through it.
# To be sourced.

# What --push and --credentials gave; where this worker pushes, or none; and the credentials themselves.
push='' given_credentials='' push_url=none credentials_content=''
readonly push_in_container=/var/lib/gpuglass/push

# Without --push, a worker goes on as it did.
read_push() {
    if [ "$role" != worker ]; then
        refuse_given "only a worker that pushes has a queue" GPUGLASS_PUSH_QUEUE
        return 0
    fi
    [ -z "${given[GPUGLASS_PUSH]:-}" ] || usage_error "${given[GPUGLASS_PUSH]}: GPUGLASS_PUSH opens a monitoring host for workers; a worker gets --push"
    push_url=$(saved push)
    case $push in
    '') push_url=${push_url:-none} ;;
    none) push_url=none ;;
    *) push_url=$(whole_push_url "$push") || exit 2 ;;
    esac
    if ! is_pushing; then
        [ -z "$given_credentials" ] || usage_error "--credentials goes with --push https://HOST only"
        return 0
    fi
    [ -z "$tls" ] || usage_error "--tls is for workers that are scraped; one that pushes listens on the loopback only"
    # What it was while it was scraped is over.
    web=none web_content='' enrolled=''
    read_credentials
    check_push_name
}

is_pushing() {
    [ "$push_url" != none ]
}

whole_push_url() {
    local url=${1%/}
    [[ $url =~ ^https://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$ ]] ||
        usage_error "--push: '$1' is no address such as https://HOST or https://HOST:8427, nor none"
    [ -n "${BASH_REMATCH[2]}" ] || url+=:8427
    is_port "${url##*:}" || usage_error "--push: '$1' has no port from 1 to 65535"
    echo "$url"
}

# From FILE, or from the standard input if that is "-".
read_credentials() {
    local before
    before=$(saved push)
    if [ -z "$given_credentials" ]; then
        [ "${before:-none}" != none ] ||
            usage_error "--push needs --credentials FILE, or - for the standard input: what gpuglass workers add printed on the monitoring host"
        return 0
    fi
    if [ "$given_credentials" = - ]; then
        [ ! -t 0 ] || say "Paste what gpuglass workers add printed on the monitoring host, then press Ctrl-D:"
        credentials_content=$(tr -d '\000') || true
    else
        [ -f "$given_credentials" ] && [ -r "$given_credentials" ] ||
            usage_error "--credentials: $given_credentials cannot be read; name the file of gpuglass workers add"
        credentials_content=$(tr -d '\000' <"$given_credentials") || usage_error "--credentials: $given_credentials cannot be read"
    fi
    [ -n "$credentials_content" ] || usage_error "--credentials: nothing came; give what gpuglass workers add printed on the monitoring host"
}

# The host has the say in a worker's name.
check_push_name() {
    local name
    if [ -n "$credentials_content" ]; then
        name=$(sed -n 's/^node: *//p' <<<"$credentials_content" | head -n 1)
    else
        name=$(saved GPUGLASS_NODE_NAME)
    fi
    [ -n "$name" ] || return 0
    [ -z "${given[GPUGLASS_NODE_NAME]:-}" ] || [ "${setting[GPUGLASS_NODE_NAME]}" = "$name" ] ||
        usage_error "${given[GPUGLASS_NODE_NAME]}: GPUGLASS_NODE_NAME is ${setting[GPUGLASS_NODE_NAME]}, and the monitoring host knows this worker as $name; remove the setting, or add the worker there by the other name"
    set_setting --credentials GPUGLASS_NODE_NAME "$name"
}

# Puts the credentials where their owner alone reads it, once the host was seen to know it. Fails with what is wrong.
store_push() {
    local folder=$prefix/push
    if ! is_pushing; then
        rm -rf -- "$folder"
        return 0
    fi
    if [ -z "$credentials_content" ]; then
        [ -e "$folder/token" ] || die "$folder is gone; add this worker anew on the monitoring host, and give its --credentials"
        return 0
    fi
    joins "$venv/bin/gpuglass" push join - --push.url "$push_url" --push.dir "$folder"
}

# The same in the containers' volume.
store_push_in_volume() {
    ! is_pushing || [ -z "$credentials_content" ] ||
        joins compose run --rm -T --no-deps --entrypoint gpuglass exporter push join - \
            --push.url "$push_url" --push.dir "$push_in_container"
}

joins() {
    local told
    told=$("$@" <<<"$credentials_content" 2>&1 9>&-) || push_fails "$told"
}

# With what gpuglass said of it, or whatever was said last.
push_fails() {
    die "--push: $(sed -n 's/^gpuglass: error: //p' <<<"$1" | head -n 1 | grep . || tail -n 1 <<<"$1")"
}

show_pushing() {
    say "Pushes to:  $push_url, as $(saved GPUGLASS_NODE_NAME)"
    say "Live page:  http://127.0.0.1:$(saved GPUGLASS_EXPORTER_PORT)/, on this machine alone"
    say "Check:      $prefix/bin/gpuglass push check"
    say "Command:    $prefix/bin/gpuglass --help"
}

# Whether this host lets workers push.
is_door_open() {
    [ "$role" != worker ] && [ "${setting[GPUGLASS_PUSH]}" = yes ]
}

show_door() {
    [ "$(saved GPUGLASS_PUSH)" = yes ] || return 0
    say "Push:      port $(saved GPUGLASS_VMAUTH_PORT) of this machine, open to workers that have a token"
    say "           $prefix/bin/gpuglass workers add NAME   (what to type there)"
}

# That what this worker sends is taken; fails with why it is not.
say_pushed() {
    local told command=("$venv/bin/gpuglass" push check --push.dir "$prefix/push")
    [ -n "$venv" ] || command=(compose exec -T exporter gpuglass push check)
    if told=$("${command[@]}" --push.url "$push_url" --push.vmagent-url "http://127.0.0.1:$(saved GPUGLASS_VMAGENT_PORT)" --wait "$1" 2>&1); then
        say "$told"
    else
        push_fails "$told"
    fi
}
