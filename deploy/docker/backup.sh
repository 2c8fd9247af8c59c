#!/bin/sh
# Runs "gpuglass backup" and "gpuglass restore" where containers hold the data:
#
#   backup.sh CLONE PREFIX backup|restore ARGUMENT...
#
# in a container of the keeper's image that sees all volumes, the clone, and the folder of backups by its own name. It
# is root there, to read what belongs to several users and to give it back to them, and may do little else. What of the
# environment begins with GPUGLASS_ goes along.
set -eu

clone=$1 prefix=$2 command=$3
shift 3

fail() {
    printf 'gpuglass: error: %s\n' "$*" >&2
    exit 1
}

image=$(docker compose -p gpuglass images --quiet keeper) && [ -n "$image" ] ||
    fail "there is no container of the keeper; run setup.sh first"

# The folder is the argument that is neither an option nor the value of one.
making=no folder='' before='' count=$#
[ "$command" = restore ] || making=yes
for word; do [ "$word" != --check ] || making=no; done
while [ "$count" -gt 0 ]; do
    word=$1
    shift
    count=$((count - 1))
    option=$word
    case $word in
    -*) ;;
    *)
        if [ "$before" != --keep ]; then
            [ "$making" = no ] || mkdir -p -- "$word" || exit 1
            [ -d "$word" ] || fail "$word: no such folder"
            word=$(cd -- "$word" && pwd)
            folder=$word
        fi
        ;;
    esac
    before=$option
    set -- "$@" "$word"
done
case $folder in *[,\"]*) fail "$folder: Docker takes no folder with a comma or a quote; name another" ;; esac

# Options of Docker, put before the arguments one by one.
set -- --workdir / --entrypoint gpuglass "$image" "$command" "$@"
for volume in $(docker volume ls --quiet --filter label=com.docker.compose.project=gpuglass); do
    case $volume in
    # What is made anew by whoever needs it.
    gpuglass_vmagent | gpuglass_targets | gpuglass_rules) ;;
    *) set -- --mount "type=volume,src=$volume,dst=/data/${volume#gpuglass_}" "$@" ;;
    esac
done
for name in $(env | sed -n 's/^\(GPUGLASS_[A-Z0-9_]*\)=.*/\1/p'); do
    set -- --env "$name" "$@"
done
[ -z "$folder" ] || set -- --mount "type=bind,src=$folder,dst=$folder" "$@"
# Setup's own targets file is known by its record.
[ ! -e "$prefix/data/this-node.yml" ] ||
    set -- --mount "type=bind,src=$prefix/data/this-node.yml,dst=/data/this-node.yml,readonly" "$@"
exec docker run --rm --init --network host --read-only --tmpfs /tmp --user 0:0 \
    --cap-drop ALL --cap-add CHOWN --cap-add DAC_OVERRIDE --cap-add FOWNER \
    --security-opt no-new-privileges:true --mount "type=bind,src=$clone,dst=/clone" \
    --env GPUGLASS_SOURCE_DIR=/clone --env GPUGLASS_DATA_DIR=/data \
    --env GPUGLASS_PASSWORD_FILE=/data/access/password "$@"
