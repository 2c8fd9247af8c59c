# shellcheck shell=bash disable=SC2034,SC2154
# What a worker serves to the network, and how: TLS and passwords by a web configuration, or plainly. To be sourced.

# The web configuration that --tls gave, and what is in force: none, or the scheme that it makes the exporter speak.
web_content='' web=none
# The name that it was enrolled by, if that is known: its certificate is good for it.
enrolled=''
readonly web_in_container=/var/lib/gpuglass/web/web.yml

# From FILE, or from the standard input if that is "-"; "none" goes back to serving plainly.
read_web() {
    if [ -z "$tls" ]; then
        web=$(saved web)
        web=${web:-none}
        enrolled=$(saved enrolled)
        return 0
    fi
    [ "$tls" != none ] || return 0
    if [ "$tls" = - ]; then
        [ ! -t 0 ] || say "Paste what gpuglass enrol printed on the monitoring host, then press Ctrl-D:"
        web_content=$(tr -d '\000') || true
    else
        [ -f "$tls" ] && [ -r "$tls" ] || usage_error "--tls: $tls cannot be read; name the file of gpuglass enrol"
        web_content=$(tr -d '\000' <"$tls") || usage_error "--tls: $tls cannot be read"
    fi
    [ -n "$web_content" ] || usage_error "--tls: nothing came; give what gpuglass enrol printed on the monitoring host"
    web=http
    ! grep -q '^tls_server_config:' <<<"$web_content" || web=https
    enrolled=$(sed -nE 's/^# ([A-Za-z0-9._:-]+): its key is in here.*/\1/p' <<<"$web_content" | head -n 1)
    [[ $enrolled != *:* ]] || enrolled="[$enrolled]"
}

# Puts it where its owner alone reads it, once it is known to be good. Fails with what is wrong with it.
store_web() {
    local folder=$prefix/web told
    if [ "$web" = none ]; then
        rm -rf -- "$folder"
        return 0
    fi
    if [ -z "$web_content" ]; then
        [ -e "$folder/web.yml" ] || die "$folder/web.yml is gone; enrol this node anew, or give --tls none"
        return 0
    fi
    (umask 077 && mkdir -p -- "$folder" && printf '%s\n' "$web_content" >"$folder/web.yml.new") 2>/dev/null ||
        die "$folder cannot be written"
    if ! told=$("$venv/bin/gpuglass" config check "$folder/web.yml.new" 2>&1); then
        rm -f -- "$folder/web.yml.new"
        told=${told%%$'\n'*}
        die "--tls: ${told/"$folder/web.yml.new"/"$tls"}"
    fi
    mv -f -- "$folder/web.yml.new" "$folder/web.yml"
}

# The same in the container's volume, where the exporter's user alone reads it.
store_web_in_volume() {
    local told
    if [ "$tls" = none ]; then
        logged "the old key could not be removed" compose run --rm -T --no-deps --entrypoint python3 exporter -c '
import pathlib, sys
pathlib.Path(sys.argv[1]).unlink(missing_ok=True)' "$web_in_container"
    fi
    [ -n "$web_content" ] || return 0
    if ! told=$(compose run --rm -T --no-deps --entrypoint python3 exporter -c '
import os, pathlib, subprocess, sys
os.umask(0o077)
file = pathlib.Path(sys.argv[1])
new = file.with_suffix(".new")
new.write_text(sys.stdin.read())
if subprocess.run(["gpuglass", "config", "check", new]).returncode:
    new.unlink()
    sys.exit(1)
new.replace(file)' "$web_in_container" <<<"$web_content" 2>&1); then
        die "--tls: $(grep -F "${web_in_container%.yml}.new" <<<"$told" | head -n 1 | sed "s|${web_in_container%.yml}.new|$tls|" | grep . || tail -n 1 <<<"$told")"
    fi
}

# Where this worker answers to those who know it by an address.
worker_url() {
    local scheme
    scheme=$(saved web)
    [ "$scheme" = https ] || scheme=http
    echo "$scheme://$1:$(saved GPUGLASS_EXPORTER_PORT)"
}

show_worker_addresses() {
    local address port node scheme=''
    port=$(saved GPUGLASS_EXPORTER_PORT) node=$(saved GPUGLASS_NODE_NAME)
    address=$(saved enrolled)
    address=${address:-$(own_address)}
    say "Metrics of this machine:  $(worker_url "$address")/metrics"
    if [ "$web" = none ]; then
        say "Whoever reaches this port can read them. To let in the monitoring host alone, as root:"
        say "  $(firewall_rule "$port")"
        say "For TLS and a password: on the monitoring host, gpuglass enrol $address"
    elif [ "$web" = https ]; then
        scheme=', __scheme__: https'
    fi
    say "On the monitoring host:  gpuglass targets add $address:$port --label node=$node${scheme:+ --label __scheme__=https}"
    say "or put this into a file in victoriametrics/targets/, nodes.yml for example:"
    say
    say "- targets: [\"$address:$port\"]"
    say "  labels: {node: \"$node\"$scheme}"
    [ "$web" != https ] || [ -n "$(saved enrolled)" ] || say "
In place of $address, write a name that it was enrolled by: its certificate is good for no other."
}

# In the words of the firewall that is here. Ubuntu has ufw on every machine, and most often it does nothing.
firewall_rule() {
    if command -v ufw >/dev/null && grep -qi '^ENABLED=yes' "${ufw_settings:-/etc/ufw/ufw.conf}" 2>/dev/null; then
        echo "ufw allow proto tcp from MONITORING-HOST to any port $1"
    elif command -v firewall-cmd >/dev/null; then
        echo "firewall-cmd --permanent --add-rich-rule='rule family=ipv4 source address=MONITORING-HOST port port=$1 protocol=tcp accept' && firewall-cmd --reload"
    else
        echo "iptables -I INPUT -p tcp --dport $1 ! -i lo ! -s MONITORING-HOST -j DROP; ip6tables -I INPUT -p tcp --dport $1 ! -i lo -j DROP"
    fi
}
