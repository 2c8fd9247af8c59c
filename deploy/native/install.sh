# shellcheck shell=bash disable=SC2034,SC2154
# Puts the pieces of a native install into the prefix. Each is built beside its place and moved there as its last
# act, so that a run that dies half-way leaves nothing that a later one could take for whole. To be sourced.

readonly supervisor_version=4.3.0
# The programs of others that a host runs; Grafana, which can be done without, comes besides.
readonly component_names=(victoria-metrics vmagent vmalert vmauth vmbackup vmrestore alertmanager amtool)

# The first Python that is new enough; GPUGLASS_PYTHON names another.
find_python() {
    local candidate
    for candidate in ${GPUGLASS_PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python3.10}; do
        if is_good_python "$candidate"; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return 0
        fi
    done
    [ "$offline" = no ] || die_without_python
    if command -v "${GPUGLASS_PYTHON:-python3}" >/dev/null; then
        die "Python 3.10 or newer is needed, $("${GPUGLASS_PYTHON:-python3}" -V 2>&1 | tail -n 1) is what is here;" \
            "install a newer one, or name it: GPUGLASS_PYTHON=/path/to/python3"
    fi
    die "there is no python3 here; install it: $(apt_line python3 python3-venv)"
}

is_good_python() {
    local version
    version=$("$1" -c 'import sys; sys.exit(sys.version_info < (3, 10) or print("%d.%d" % sys.version_info[:2]))' 2>/dev/null) &&
        { [ "$offline" = no ] || bundle_is_for "$version"; }
}

die_without_python() {
    local here pythons
    pythons=$(about pythons)
    here=$("${GPUGLASS_PYTHON:-python3}" -V 2>&1 | tail -n 1) || here="no Python"
    die "--offline: this bundle is for Python ${pythons// / or }, and $here is what is here; install one of these," \
        "name it (GPUGLASS_PYTHON=/path/to/python3), or make a bundle for yours: make bundle PYTHONS=X.Y"
}

apt_line() {
    echo "apt-get update && apt-get install -y $*"
}

# Runs as root whatever needs it; fails where that cannot be.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        sudo "$@"
    else
        return 1
    fi
}

install_packages() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@"
}

# Runs a command with its output in the log; on failure one line says what went wrong.
logged() {
    local what=$1
    shift
    printf '\n## %s\n' "$*" >>"$install_log"
    "$@" >>"$install_log" 2>&1 9>&- && return 0
    keep_log=yes
    die "$what: $(reason_in_log); the whole story: $install_log"
}

# The likeliest reason in the log for the failure just seen.
reason_in_log() {
    local last
    last=$(tac "$install_log" | sed '/^## /q')
    if grep -qi 'no space left on device' <<<"$last"; then
        echo "the disk is full"
    elif [ "$offline" = yes ] && grep -qi 'no matching distribution' <<<"$last"; then
        echo "the bundle has nothing that fits this machine: $(grep -i 'no matching distribution' <<<"$last" | head -n 1 | cut -c 1-200)"
    elif grep -q 'CERTIFICATE_VERIFY_FAILED' <<<"$last"; then
        echo "what answers for the package index has a certificate that this machine does not trust; give pip its CA by PIP_CERT"
    elif grep -qiE 'temporary failure in name resolution|name or service not known|connection refused|network is unreachable|NewConnectionError|from versions: none|timed out|ProxyError' <<<"$last"; then
        echo "the network cannot be reached"
    else
        grep -iE '^ *(E|error|fatal)\b' <<<"$last" | head -n 1 | cut -c 1-200 | grep . || echo "it failed"
    fi
}

fingerprint() {
    sha256sum | cut -c 1-16
}

# Everything that decides what an installed package is: its sources, and the Python that runs it.
package_fingerprint() (
    cd "$source_dir" || exit 1
    {
        "$python" -c 'import sys; print(sys.executable, sys.version)'
        find pyproject.toml README.md LICENSE exporter/gpuglass -type f ! -name '*.pyc' -print0 2>/dev/null |
            sort -z | xargs -0 sha256sum
    } | fingerprint
)

# A virtual environment is bound to its path: it is built in place, and .complete is its last file.
make_environment() {
    local folder=$1 what=$2
    shift 2
    [ ! -e "$folder/.complete" ] || return 0
    rm -rf -- "$folder"
    mkdir -p -- "$prefix/venvs"
    create_venv "$folder"
    logged "$what could not be installed" pip_install "$folder" "$@"
    : >"$folder/.complete"
}

# Installs into an environment; WHEEL is the pip to do it with, where the environment has none yet.
pip_install() {
    local command=("$1/bin/python" -m pip --no-input --disable-pip-version-check install --quiet)
    shift
    if [ "$offline" = yes ]; then
        bundle_pip "${command[@]}" --no-index --find-links "$bundle/wheels" "$@"
    else
        "${command[@]}" "$@"
    fi
}

create_venv() {
    local folder=$1
    if [ "$offline" = yes ]; then
        bare_venv "$folder"
        pip_from_wheel "$folder" "$(find "$bundle/wheels" -name 'pip-*.whl')"
    elif "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        bare_venv "$folder"
        logged "pip could not be installed" "$folder/bin/python" -m ensurepip --default-pip
    else
        create_venv_without_ensurepip "$folder"
    fi
}

# Without pip: venv would swallow what its installation has to say.
bare_venv() {
    logged "no virtual environment could be made" "$python" -m venv --without-pip "$1"
}

pip_from_wheel() (
    export PYTHONPATH=$2
    logged "pip could not be installed" pip_install "$1" pip
)

# Debian splits ensurepip off into python3-venv. Its wheel of pip alone does the same, and needs no root.
create_venv_without_ensurepip() {
    local folder=$1 packages=$prefix/.packages suite wheel
    suite=$(package_suites | head -n 1) || true
    if ! unpack_packages "$packages" "${suite:-none}" python3-pip-whl >>"$install_log" 2>&1; then
        rm -rf -- "$packages"
        install_packages python3-venv >>"$install_log" 2>&1 9>&- ||
            die "this Python cannot make virtual environments; as root: $(apt_line python3-venv)"
        bare_venv "$folder"
        logged "pip could not be installed" "$folder/bin/python" -m ensurepip --default-pip
        return
    fi
    wheel=$(find "$packages/unpacked" -name 'pip-*.whl' | head -n 1)
    bare_venv "$folder"
    pip_from_wheel "$folder" "$wheel"
    rm -rf -- "$packages"
}

install_package() {
    venv=$prefix/venvs/gpuglass-$(package_fingerprint)
    make_environment "$venv" gpuglass "$source_dir"
}

install_supervisor() {
    supervisor=$prefix/venvs/supervisor-$supervisor_version
    make_environment "$supervisor" "the supervisor" "supervisor==$supervisor_version"
}

install_components() {
    "$source_dir/deploy/native/components.sh" "$prefix" "$@" 2>&1 9>&- | tee -a "$install_log" |
        sed -u '/^components.sh: error: /d; s/^/    /' && return 0
    die "$(sed -n 's/^components.sh: error: //p' "$install_log" | tail -n 1 | grep . || reason_in_log)"
}

# The dashboards are worth a word where they cannot be had, not an install that does not come about.
install_grafana() {
    local reason
    if "$source_dir/deploy/native/components.sh" "$prefix" grafana >>"$install_log" 2>&1 9>&-; then
        say "    $(grep '^grafana: ' "$install_log" | tail -n 1)"
        return 0
    fi
    reason=$(sed -n 's/^components.sh: error: //p' "$install_log" | tail -n 1)
    say "    no dashboards: ${reason:-$(reason_in_log)}"
    grafana=no
}

# The command for people: it knows the programs beside it, and asks those of this install. Paths hold no quotes.
write_command() {
    put_command <<COMMAND
#!/bin/sh
# Written by setup.sh.
PATH=\$PATH:'$prefix/bin'
export PATH
$({
        command_settings
        echo "GPUGLASS_TARGETS_DIR=$source_dir/victoriametrics/targets"
        echo "GPUGLASS_SOURCE_DIR=$source_dir"
        echo "GPUGLASS_DATA_DIR=$prefix/data"
        echo "GPUGLASS_RULES_CUSTOM_DIR=$source_dir/victoriametrics/rules/custom"
        echo "GPUGLASS_ALERTMANAGER_RECEIVERS_FILE=$source_dir/victoriametrics/alertmanager/receivers.yml"
        echo "GPUGLASS_ROLLUP_RULES_DIR=$source_dir/victoriametrics/rules/rollups"
        echo "GPUGLASS_SCRAPE_CONFIG=$source_dir/victoriametrics/scrape.yml"
        echo "GPUGLASS_TLS_DIR=$prefix/data/tls"
        echo "GPUGLASS_PASSWORD_FILE=$(password_file)"
        echo "GPUGLASS_WORKERS_DIR=$prefix/data/workers"
        ! is_pushing || echo "GPUGLASS_PUSH_DIR=$prefix/push"
        ! is_door_open || echo "GPUGLASS_PUSH_URL=https://$(own_address):${setting[GPUGLASS_VMAUTH_PORT]}"
        echo "GPUGLASS_GRAFANA_PASSWORD_FILE=$prefix/data/grafana/admin-password"
    } | sed -E 's/^([A-Z0-9_]+)=(.*)/: "${\1:=\2}"; export \1/')
exec '$venv/bin/gpuglass' "\$@"
COMMAND
}

# What this install is and where its programs answer: KEY=VALUE lines for commands on this machine.
command_settings() {
    local name ports=(EXPORTER KEEPER VICTORIAMETRICS VMAGENT VMALERT ALERTMANAGER)
    echo "GPUGLASS_ROLE=$role"
    for name in "${ports[@]}"; do
        echo "GPUGLASS_${name}_URL=http://127.0.0.1:${setting[GPUGLASS_${name}_PORT]}"
    done
    ! is_pushing || {
        echo "GPUGLASS_PUSH_URL=$push_url"
        echo "GPUGLASS_PUSH_VMAGENT_URL=http://127.0.0.1:${setting[GPUGLASS_VMAGENT_PORT]}"
    }
    [ "$grafana" != yes ] || echo "GPUGLASS_GRAFANA_URL=http://127.0.0.1:${setting[GPUGLASS_GRAFANA_PORT]}"
    ! is_tiered || {
        echo "GPUGLASS_ROLLUP_MINUTE_URL=http://127.0.0.1:${setting[GPUGLASS_VICTORIAMETRICS_1M_PORT]}"
        echo "GPUGLASS_ROLLUP_HOUR_URL=http://127.0.0.1:${setting[GPUGLASS_VICTORIAMETRICS_1H_PORT]}"
    }
}

put_command() {
    cat >"$prefix/bin/gpuglass.new"
    chmod 755 "$prefix/bin/gpuglass.new"
    mv -f -- "$prefix/bin/gpuglass.new" "$prefix/bin/gpuglass"
}

simulator_fingerprint() (
    cd "$source_dir/simulator" || exit 1
    find . -type f ! -path './build/*' ! -path './scenarios/*' -print0 | sort -z | xargs -0 sha256sum | fingerprint
)

install_simulator() {
    simulator=$prefix/simulator-$(simulator_fingerprint)
    [ ! -e "$simulator/libnvidia-ml.so.1" ] || return 0
    [ "$offline" = no ] || ! driver_from_bundle || return 0
    need_compiler
    # Built where no path has a space, which make would take for two.
    build=$(mktemp -d "${TMPDIR:-/tmp}/gpuglass-build.XXXXXX")
    logged "the stand-in driver could not be built" make -C "$source_dir/simulator" "BUILD=$build"
    mkdir -p -- "$simulator.part"
    mv -- "$build/libnvidia-ml.so.1" "$simulator.part/"
    mv -- "$simulator.part" "$simulator"
    remove_build
}

remove_build() {
    [ -z "$build" ] || rm -rf -- "$build"
    build=''
}

need_compiler() {
    command -v make >/dev/null && command -v cc >/dev/null && return 0
    [ "$offline" = no ] || die "--offline: the bundle's stand-in driver does not run here, and there is no C compiler to build another"
    say "    installing a C compiler"
    install_packages gcc libc6-dev make >>"$install_log" 2>&1 9>&- ||
        die "--demo builds a stand-in driver and needs a C compiler; as root: $(apt_line gcc libc6-dev make)"
}

# What an earlier run left half-done.
remove_leftovers() {
    local folder
    for folder in "$prefix"/venvs/*; do
        [ ! -d "$folder" ] || [ -e "$folder/.complete" ] || rm -rf -- "$folder"
    done
    rm -rf -- "$prefix"/.components.* "$prefix"/.packages "$prefix"/*.part
}

# What an earlier version of the checkout needed; called once the programs run from the new one.
remove_outdated() {
    local folder
    for folder in "$prefix"/venvs/* "$prefix"/simulator-* "$prefix"/grafana-*; do
        case $folder in
        "$venv" | "$supervisor" | "${simulator:-none}") ;;
        "$prefix"/grafana-*) grep -qF "$folder/" "$prefix/bin/grafana" 2>/dev/null || rm -rf -- "$folder" ;;
        *) rm -rf -- "$folder" ;;
        esac
    done
}
