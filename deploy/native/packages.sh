# shellcheck shell=bash
# Packages of the distribution, downloaded and unpacked privately: own lists, own cache, own folder, so that it
# works for an ordinary user and nothing of the system is touched. To be sourced.

# The architecture, as packages and releases spell it.
machine() {
    case $(uname -m) in
    x86_64) echo amd64 ;;
    aarch64 | arm64) echo arm64 ;;
    *) uname -m ;;
    esac
}

# The machine's own mirror: "URI [KEYRING]" of the first source that carries the suite CODENAME. FOLDER is apt's.
package_mirror() {
    local suite=$1 folder=${2:-/etc/apt}
    mirror_from_stanzas "$suite" "$folder" || mirror_from_lines "$suite" "$folder"
}

# A machine has either kind of sources, seldom both: a file that is not there is no fault.
all_of() {
    cat -- "$@" 2>/dev/null || true
}

mirror_from_stanzas() {
    all_of "$2"/sources.list.d/*.sources | awk -v RS= -v suite="$1" '
        {
            split("", field)
            count = split($0, lines, "\n")
            for (i = 1; i <= count; i++) {
                if (lines[i] !~ /^[A-Za-z-]+:/) continue
                name = tolower(substr(lines[i], 1, index(lines[i], ":") - 1))
                field[name] = substr(lines[i], index(lines[i], ":") + 1)
            }
            if (" " field["types"] " " !~ " deb " || index(" " field["suites"] " ", " " suite " ") == 0) next
            split(field["uris"], uris, " ")
            split(field["signed-by"], keys, " ")
            print uris[1], (keys[1] ~ /^\// ? keys[1] : "")
            found = 1
            exit
        }
        END { exit !found }'
}

mirror_from_lines() {
    all_of "$2"/sources.list "$2"/sources.list.d/*.list | awk -v suite="$1" '
        $1 == "deb" {
            key = ""
            if (match($0, /\[[^]]*\]/)) {
                options = substr($0, RSTART, RLENGTH)
                if (match(options, /signed-by=[^] ,]*/)) key = substr(options, RSTART + 10, RLENGTH - 10)
                sub(/\[[^]]*\] */, "")
            }
            if ($3 == suite) { print $2, key; found = 1; exit }
        }
        END { exit !found }'
}

# Suites in which to look: the machine's own, then the newest one.
package_suites() (
    ID='' VERSION_CODENAME=''
    # shellcheck source=/dev/null
    [ ! -r /etc/os-release ] || . /etc/os-release
    [ -n "$VERSION_CODENAME" ] || return 1
    case $ID in
    ubuntu) printf '%s\n' "$VERSION_CODENAME" devel ;;
    debian) printf '%s\n' "$VERSION_CODENAME" sid | awk '!seen[$0]++' ;;
    *) printf '%s\n' "$VERSION_CODENAME" ;;
    esac
)

# Unpacks NAME... of SUITE into FOLDER/unpacked; prints one line why not, and fails.
unpack_packages() {
    local folder=$1 suite=$2 origin uri keyring output file
    shift 2
    if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
        echo "no apt-get here"
        return 1
    fi
    if ! origin=$(package_mirror "$(package_suites | head -n 1)"); then
        echo "no package mirror in this machine's apt sources"
        return 1
    fi
    read -r uri keyring <<<"$origin"
    write_private_apt "$folder" "$suite" "$uri" "$keyring"
    if ! output=$(private_apt "$folder" update 2>&1) ||
        ! output=$(cd "$folder/debs" && private_apt "$folder" download "$@" 2>&1); then
        grep -E '^(E|W): ' <<<"$output" | head -n 1 || echo "apt-get failed"
        return 1
    fi
    for file in "$folder"/debs/*.deb; do
        dpkg-deb -x "$file" "$folder/unpacked" || return 1
    done
}

write_private_apt() {
    local folder=$1 suite=$2 uri=$3 keyring=$4 components=main
    [[ $uri != *ubuntu* ]] || components='main universe'
    mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial" "$folder/debs"
    printf 'deb %s%s %s %s\n' "${keyring:+[signed-by=$keyring] }" "$uri" "$suite" "$components" >"$folder/sources.list"
    cat >"$folder/apt.conf" <<CONF
Dir::State::Lists "$folder/lists";
Dir::Cache "$folder/cache";
Dir::Etc::SourceList "$folder/sources.list";
Dir::Etc::SourceParts "/dev/null";
Acquire::Languages "none";
Acquire::Retries "1";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
APT::Sandbox::User "$(id -un)";
Debug::NoLocking "true";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
CONF
}

private_apt() {
    local folder=$1
    shift
    timeout 300 apt-get -qq -c "$folder/apt.conf" "$@"
}
