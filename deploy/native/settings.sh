# shellcheck shell=bash disable=SC2034,SC2154
# The settings of an install: the environment wins over gpuglass.env in the clone, that over the default. To be sourced.

declare -A setting=(
    [GPUGLASS_EXPORTER_PORT]=9400
    [GPUGLASS_KEEPER_PORT]=9401
    [GPUGLASS_VICTORIAMETRICS_PORT]=8428
    [GPUGLASS_VMAGENT_PORT]=8429
    [GPUGLASS_SCRAPE_INTERVAL]=5s
    [GPUGLASS_NODE_NAME]=$(uname -n)
    [GPUGLASS_RETENTION]=400d
    # The containers run the release that is pinned for the native way.
    [GPUGLASS_VM_VERSION]=$(sed -nE 's/.*-(v[0-9.]+)\.tar\.gz$/\1/p' "$source_dir/deploy/native/checksums.txt" | head -n 1)
    [GPUGLASS_PYTHON_IMAGE]=python:3.13-slim
)

load_settings() {
    local file=$1 name
    [ ! -e "$file" ] || read_settings_file "$file"
    for name in "${!setting[@]}"; do
        [ -z "${!name+set}" ] || set_setting environment "$name" "${!name}"
    done
    check_ports_differ
}

# KEY=VALUE lines are parsed, never run.
read_settings_file() {
    local file=$1 line number=0 name value
    local -A seen=()
    [ -f "$file" ] && [ -r "$file" ] || usage_error "$file: cannot be read"
    while IFS= read -r line || [ -n "$line" ]; do
        number=$((number + 1))
        line=$(trim "${line%$'\r'}")
        [[ $line != '' && $line != '#'* ]] || continue
        [[ $line == *=* ]] || usage_error "$file:$number: '$line' is not KEY=VALUE"
        name=$(trim "${line%%=*}")
        value=$(unquoted "$(trim "${line#*=}")")
        [ -n "${setting[$name]+set}" ] ||
            usage_error "$file:$number: unknown setting '$name' (there are: $(setting_names))"
        [ -z "${seen[$name]:-}" ] || usage_error "$file:$number: $name is set twice"
        seen[$name]=yes
        set_setting "$file:$number" "$name" "$value"
    done <"$file"
}

setting_names() {
    printf '%s\n' "${!setting[@]}" | sort | paste -sd ' ' -
}

set_setting() {
    local where=$1 name=$2 value=$3 wanted=
    case $name in
    *_PORT) is_port "$value" || wanted='a port from 1 to 65535' ;;
    GPUGLASS_SCRAPE_INTERVAL) is_interval "$value" || wanted='whole seconds from 1s to 60s' ;;
    GPUGLASS_RETENTION) [[ $value =~ ^[1-9][0-9]{0,4}[dwy]$ ]] || wanted='days, weeks or years such as 400d' ;;
    GPUGLASS_NODE_NAME)
        [[ $value =~ ^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$ ]] ||
            wanted='a name of letters, digits, dots, dashes and underscores'
        ;;
    GPUGLASS_VM_VERSION) [[ $value =~ ^v[0-9]+\.[0-9]+\.[0-9]+$ ]] || wanted='a version such as v1.152.0' ;;
    GPUGLASS_PYTHON_IMAGE) [[ $value =~ ^[A-Za-z0-9][A-Za-z0-9._/:@-]*$ ]] || wanted='the name of an image' ;;
    esac
    [ -z "$wanted" ] || usage_error "$where: $name: '$value' is not $wanted"
    setting[$name]=$value
}

is_port() {
    [[ $1 =~ ^[1-9][0-9]{0,4}$ ]] && [ "$1" -le 65535 ]
}

is_interval() {
    [[ $1 =~ ^[1-9][0-9]?s$ ]] && [ "${1%s}" -le 60 ]
}

check_ports_differ() {
    local name other
    for name in "${!setting[@]}"; do
        for other in "${!setting[@]}"; do
            if [[ $name == *_PORT && $other == *_PORT && $name < $other ]] &&
                [ "${setting[$name]}" = "${setting[$other]}" ]; then
                usage_error "$name and $other are both ${setting[$name]}; give them different ports"
            fi
        done
    done
}

# A scrape that may take as long as the interval would run into the next one.
scrape_timeout() {
    local milliseconds=$((${setting[GPUGLASS_SCRAPE_INTERVAL]%s} * 900))
    [ "$milliseconds" -le 10000 ] || milliseconds=10000
    echo "${milliseconds}ms"
}

trim() {
    local text=$1
    text=${text#"${text%%[![:space:]]*}"}
    printf '%s' "${text%"${text##*[![:space:]]}"}"
}

unquoted() {
    if [[ $1 =~ ^\"(.*)\"$ || $1 =~ ^\'(.*)\'$ ]]; then
        printf '%s' "${BASH_REMATCH[1]}"
    else
        printf '%s' "$1"
    fi
}
