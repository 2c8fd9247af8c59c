#!/bin/sh
# Starts Grafana:  start.sh PROGRAM FLAGS...
#
# Before the first start it makes a password for the user admin, in a file that only its owner can read. Grafana takes
# it when it makes its database, and never again: a password changed in Grafana is not the one in the file.
set -eu

: "${1:?usage: start.sh PROGRAM FLAGS...}" "${GF_PATHS_DATA:?start.sh: GF_PATHS_DATA names no folder}"

password=$GF_PATHS_DATA/admin-password
if [ ! -s "$password" ] && [ ! -e "$GF_PATHS_DATA/grafana.db" ]; then
    umask 077
    mkdir -p -- "$GF_PATHS_DATA"
    head -c 1024 /dev/urandom | LC_ALL=C tr -dc 'A-Za-z0-9' | cut -c 1-24 >"$password.new"
    mv -f -- "$password.new" "$password"
fi
umask 027

# Grafana reads the files itself, so that no password is in anybody's environment.
GF_SECURITY_ADMIN_PASSWORD="\$__file{$password}"
export GF_SECURITY_ADMIN_PASSWORD
if [ -n "${GPUGLASS_PASSWORD_FILE:-}" ]; then
    # For the data sources, and for who reads Grafana's own metrics.
    GPUGLASS_PASSWORD="\$__file{$GPUGLASS_PASSWORD_FILE}"
    GF_METRICS_BASIC_AUTH_PASSWORD=$GPUGLASS_PASSWORD
    export GPUGLASS_PASSWORD GF_METRICS_BASIC_AUTH_PASSWORD
fi
exec "$@"
