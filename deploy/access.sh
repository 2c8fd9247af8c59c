# shellcheck shell=bash disable=SC2034,SC2154
# Who may ask the monitoring host's programs: those who know the password of the user gpuglass; and from where. To be
# sourced.

# What GPUGLASS_OPEN may name. Each has a password, Grafana one of its own, but for the keeper.
readonly openable='grafana|victoriametrics|vmagent|vmalert|alertmanager|keeper'

# The folder with the password, and what Alertmanager makes of it; in containers, a volume.
access_folder() {
    echo "$prefix/data/access"
}

password_file() {
    echo "$(access_folder)/password"
}

# Makes the password once for an install.
store_password() {
    [ "$role" = worker ] || logged "no password could be made" "$venv/bin/python" -m gpuglass.keeper.passwords "$(access_folder)"
}

# With --insecure nobody is asked for a password, until --secure. What is open is refused where nobody is asked, unless
# it was so before.
choose_access() {
    local name
    insecure=$(saved insecure)
    [ -z "$secrecy" ] || insecure=$([ "$secrecy" = secure ] && echo no || echo yes)
    insecure=${insecure:-no}
    [ "$role" != worker ] || refuse_given "it is for the programs of the monitoring host; a worker's exporter is open" GPUGLASS_OPEN
    [ "$secrecy" != insecure ] || return 0
    for name in ${setting[GPUGLASS_OPEN]//,/ }; do
        asks_for_password "$name" || { [ "$insecure" = yes ] && [[ ,$(saved GPUGLASS_OPEN), == *",$name,"* ]]; } ||
            usage_error "${given[GPUGLASS_OPEN]}: GPUGLASS_OPEN: $name asks nobody for a password;" \
                "$(way_out "$name"), or type --insecure to open it to everybody"
    done
}

asks_for_password() {
    [ "$1" = grafana ] || { [ "$1" != keeper ] && [ "$insecure" = no ]; }
}

way_out() {
    if [ "$1" = keeper ]; then echo "leave it out"; else echo "type --secure to have it ask again"; fi
}

is_open() {
    [[ ,${setting[GPUGLASS_OPEN]}, == *",$1,"* ]]
}

# The tiers go with the storage that they belong to.
openable_name() {
    case $1 in
    victoria-metrics*) echo victoriametrics ;;
    *) echo "$1" ;;
    esac
}

# The address on which a program listens.
listen_of() {
    if is_open "$1"; then echo 0.0.0.0; else echo 127.0.0.1; fi
}

# The user whom the programs ask for; empty: they ask nobody.
http_user() {
    [ "$insecure" = yes ] || echo gpuglass
}

# Alertmanager's web configuration, in its folder; empty: it asks nobody.
alertmanager_web() {
    [ "$insecure" = yes ] || echo "${1:-$(access_folder)}/alertmanager.yml"
}
