# shellcheck shell=bash disable=SC2154
# Who may ask the monitoring host's programs: those who know the password of the user gpuglass. To be sourced.

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

# The user whom the programs ask for; empty: they ask nobody.
http_user() {
    echo gpuglass
}

# Alertmanager's web configuration; empty: it asks nobody.
alertmanager_web() {
    echo "$(access_folder)/alertmanager.yml"
}
