# shellcheck shell=bash disable=SC2034,SC2154
# The settings of an install: the environment wins over gpuglass.env in the clone, that over the default. To be sourced.

# The rules are evaluated on the samples themselves and look back as far as this.
readonly least_raw_days=7

# What .env says, unless the user says otherwise.
version_of() {
    sed -n "s/^$1=//p" "$source_dir/.env"
}

declare -A setting=(
    [GPUGLASS_EXPORTER_PORT]=9400
    [GPUGLASS_KEEPER_PORT]=9401
    [GPUGLASS_VICTORIAMETRICS_PORT]=8428
    [GPUGLASS_VICTORIAMETRICS_1M_PORT]=8438
    [GPUGLASS_VICTORIAMETRICS_1H_PORT]=8448
    [GPUGLASS_VMAGENT_PORT]=8429
    [GPUGLASS_VMALERT_PORT]=8880
    [GPUGLASS_ALERTMANAGER_PORT]=9093
    [GPUGLASS_GRAFANA_PORT]=3000
    [GPUGLASS_VMAUTH_PORT]=8427
    [GPUGLASS_VMAUTH_METRICS_PORT]=8426
    [GPUGLASS_SCRAPE_INTERVAL]=5s
    [GPUGLASS_NODE_NAME]=$(uname -n)
    # Whether a host lets workers push; how much of a worker waits on disk while the host is away.
    [GPUGLASS_PUSH]=no
    [GPUGLASS_PUSH_QUEUE]=1GB
    # Empty: the one of the install that is there, else the role's; see choose_storage.
    [GPUGLASS_STORAGE]=''
    [GPUGLASS_RETENTION]=400d
    [GPUGLASS_RETENTION_RAW]=7d
    [GPUGLASS_RETENTION_1M]=30d
    [GPUGLASS_RETENTION_1H]=400d
    # Empty: the keeper's own default.
    [GPUGLASS_COST_KWH_PRICE]=''
    [GPUGLASS_COST_GPU_HOUR_PRICE]=''
    [GPUGLASS_COST_CURRENCY]=''
    [GPUGLASS_COST_PUE]=''
    [GPUGLASS_COST_CARBON_GRAMS_PER_KWH]=''
    # Empty: no alert.
    [GPUGLASS_ALERT_TEMPERATURE_CELSIUS]=''
    [GPUGLASS_ALERT_UTILIZATION_RATIO]=''
    [GPUGLASS_ALERT_MEMORY_RATIO]=''
    # auto: where a Grafana can be had.
    [GPUGLASS_GRAFANA]=auto
    # Empty: all listen on the loopback. Else what other machines may reach; see choose_access.
    [GPUGLASS_OPEN]=''
    # Empty: the Grafana of this install, where it has one.
    [GPUGLASS_DASHBOARD_URL]=''
    [GPUGLASS_VM_VERSION]=$(version_of GPUGLASS_VM_VERSION)
    [GPUGLASS_ALERTMANAGER_VERSION]=$(version_of GPUGLASS_ALERTMANAGER_VERSION)
    [GPUGLASS_GRAFANA_VERSION]=$(version_of GPUGLASS_GRAFANA_VERSION)
    [GPUGLASS_PYTHON_IMAGE]=$(version_of GPUGLASS_PYTHON_IMAGE)
    [GPUGLASS_IMAGES]=gpuglass
)

# Where the user gave a setting.
declare -A given=()

load_settings() {
    local file=$1 name
    [ ! -e "$file" ] || read_settings_file "$file"
    for name in "${!setting[@]}"; do
        [ -z "${!name+set}" ] || set_setting environment "$name" "${!name}"
    done
    check_ports_differ
    check_currency
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
    if [[ -z $value && $name =~ ^GPUGLASS_(STORAGE|COST_|ALERT_|DASHBOARD_|OPEN) ]]; then
        setting[$name]=''
        unset "given[$name]"
        return 0
    fi
    case $name in
    *_PORT) is_port "$value" || wanted='a port from 1 to 65535' ;;
    GPUGLASS_SCRAPE_INTERVAL) is_interval "$value" || wanted='whole seconds from 1s to 60s' ;;
    GPUGLASS_RETENTION*) is_retention "$value" || wanted='days, weeks or years such as 400d, up to 100y' ;;
    GPUGLASS_STORAGE) [[ $value =~ ^(single|tiered)$ ]] || wanted='single or tiered' ;;
    GPUGLASS_PUSH) [[ $value =~ ^(yes|no)$ ]] || wanted='yes or no' ;;
    # vmagent takes no less.
    GPUGLASS_PUSH_QUEUE) [[ $value =~ ^([5-9][0-9]{2}MB|[1-9][0-9]{3,6}MB|[1-9][0-9]{0,3}GB)$ ]] || wanted='a size from 500MB, such as 1GB' ;;
    GPUGLASS_GRAFANA) [[ $value =~ ^(auto|no)$ ]] || wanted='auto or no' ;;
    GPUGLASS_OPEN)
        value=${value//[[:space:]]/}
        [[ $value =~ ^($openable)(,($openable))*$ ]] || wanted="a list of ${openable//|/, }"
        ;;
    GPUGLASS_COST_CURRENCY) [[ $value =~ ^[A-Za-z]{3}$ ]] || wanted='a currency of three letters, such as EUR' ;;
    GPUGLASS_COST_*_PRICE) is_number "$value" 0 10000000 || wanted='a number from 0 to 10000000, such as 0.31' ;;
    GPUGLASS_COST_PUE) is_number "$value" 1 10 || wanted='a number from 1 to 10, such as 1.3' ;;
    GPUGLASS_COST_CARBON_*) is_number "$value" 0 10000 || wanted='a number from 0 to 10000, such as 350' ;;
    GPUGLASS_ALERT_*_CELSIUS) is_number "$value" 1 150 || wanted='a number from 1 to 150, such as 85' ;;
    GPUGLASS_ALERT_*_RATIO) is_number "$value" 0 1 || wanted='a number from 0 to 1, such as 0.9' ;;
    GPUGLASS_DASHBOARD_URL)
        value=${value%/}
        [[ $value =~ ^https?://[][A-Za-z0-9._:/~-]+$ ]] ||
            wanted='an address such as https://grafana.example.org'
        ;;
    GPUGLASS_NODE_NAME)
        [[ $value =~ ^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$ ]] ||
            wanted='a name of letters, digits, dots, dashes and underscores'
        ;;
    GPUGLASS_GRAFANA_VERSION) [[ $value =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || wanted="a version such as $(version_of "$name")" ;;
    GPUGLASS_VM_VERSION | GPUGLASS_ALERTMANAGER_VERSION) [[ $value =~ ^v[0-9]+\.[0-9]+\.[0-9]+$ ]] || wanted="a version such as $(version_of "$name")" ;;
    GPUGLASS_IMAGES) [[ $value =~ ^[a-z0-9][a-z0-9._/:-]*[a-z0-9]$ ]] || wanted='where images are, such as registry.example.org/gpuglass' ;;
    GPUGLASS_PYTHON_IMAGE) [[ $value =~ ^[A-Za-z0-9][A-Za-z0-9._/:@-]*$ ]] || wanted='the name of an image' ;;
    esac
    [ -z "$wanted" ] || usage_error "$where: $name: '$value' is not $wanted"
    setting[$name]=$value
    given[$name]=$where
}

is_port() {
    [[ $1 =~ ^[1-9][0-9]{0,4}$ ]] && [ "$1" -le 65535 ]
}

is_interval() {
    [[ $1 =~ ^[1-9][0-9]?s$ ]] && [ "${1%s}" -le 60 ]
}

# VictoriaMetrics takes no more than 100 years.
is_retention() {
    [[ $1 =~ ^[1-9][0-9]{0,4}[dwy]$ ]] && [ "$(days_of "$1")" -le 36500 ]
}

# A decimal number without an exponent, from LEAST to MOST, which are whole.
is_number() {
    local least=$2 most=$3 whole fraction
    [[ $1 =~ ^([0-9]{1,12})(\.([0-9]{1,12}))?$ ]] || return 1
    whole=$((10#${BASH_REMATCH[1]})) fraction=${BASH_REMATCH[3]}
    [ "$whole" -ge "$least" ] && { [ "$whole" -lt "$most" ] || [[ $whole = "$most" && $fraction =~ ^0*$ ]]; }
}

days_of() {
    case $1 in
    *w) echo $((${1%w} * 7)) ;;
    *y) echo $((${1%y} * 365)) ;;
    *) echo "${1%d}" ;;
    esac
}

check_currency() {
    local name
    for name in GPUGLASS_COST_KWH_PRICE GPUGLASS_COST_GPU_HOUR_PRICE; do
        [ -z "${setting[$name]}" ] || [ -n "${setting[GPUGLASS_COST_CURRENCY]}" ] ||
            usage_error "$name needs GPUGLASS_COST_CURRENCY, such as EUR"
    done
}

# A profile once chosen stays until another is asked for: what single keeps for a year, tiered drops after a week.
choose_storage() {
    if [ "$role" = worker ]; then
        refuse_given "a worker has neither storage nor rules; set it on the monitoring host" \
            GPUGLASS_STORAGE GPUGLASS_RETENTION GPUGLASS_COST_ GPUGLASS_ALERT_ GPUGLASS_DASHBOARD_
        setting[GPUGLASS_STORAGE]=''
        return 0
    fi
    local before
    before=$(saved_storage)
    if [ -n "${setting[GPUGLASS_STORAGE]}" ]; then
        storage_before=$before
    elif [ -n "$before" ]; then
        setting[GPUGLASS_STORAGE]=$before
    elif [ "$role" = host ]; then
        setting[GPUGLASS_STORAGE]=tiered
    else
        setting[GPUGLASS_STORAGE]=single
    fi
    check_raw_retention
    choose_unfilled
    if is_tiered; then
        [ -z "${given[GPUGLASS_RETENTION]:-}" ] ||
            usage_error "${given[GPUGLASS_RETENTION]}: GPUGLASS_RETENTION is for single storage, and this one is tiered;" \
                "set GPUGLASS_RETENTION_RAW, GPUGLASS_RETENTION_1M and GPUGLASS_RETENTION_1H, or GPUGLASS_STORAGE=single"
        check_retentions
    else
        refuse_given "it is for tiered storage, and this one is single; set GPUGLASS_RETENTION, or GPUGLASS_STORAGE=tiered" GPUGLASS_RETENTION_
    fi
}

# A setting that would change nothing here would be taken for one that does.
refuse_given() {
    local why=$1 name family
    shift
    for family in "$@"; do
        for name in "${!given[@]}"; do
            [[ $name != "$family"* ]] || usage_error "${given[$name]}: $name: $why"
        done
    done
}

check_raw_retention() {
    local name=GPUGLASS_RETENTION
    ! is_tiered || name=GPUGLASS_RETENTION_RAW
    [ "$(days_of "${setting[$name]}")" -ge "$least_raw_days" ] ||
        usage_error "$name is ${setting[$name]}; at least ${least_raw_days}d are needed, for alerts and recording rules look back that far"
}

# Each tier is made from the one before it, and again for samples that come late: that has to be there still.
check_retentions() {
    local raw=${setting[GPUGLASS_RETENTION_RAW]} minute=${setting[GPUGLASS_RETENTION_1M]} hour=${setting[GPUGLASS_RETENTION_1H]}
    [ "$(days_of "$minute")" -gt "$(days_of "$raw")" ] ||
        usage_error "GPUGLASS_RETENTION_1M is $minute, which is no longer than GPUGLASS_RETENTION_RAW, $raw; make it longer"
    [ "$(days_of "$hour")" -gt "$(days_of "$minute")" ] ||
        usage_error "GPUGLASS_RETENTION_1H is $hour, which is no longer than GPUGLASS_RETENTION_1M, $minute; make it longer"
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
