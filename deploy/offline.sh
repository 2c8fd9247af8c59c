# shellcheck shell=bash disable=SC2034,SC2154
# An install out of a bundle, which bundle.py wrote: what would come from the internet lies in offline/ beside
# setup.sh, and nothing is asked of a network. To be sourced.

# Whether this run is one, and where the bundle is.
offline=no
readonly bundle=$source_dir/offline

# Sees that the bundle is whole and for this machine, before anything is made.
open_bundle() {
    [ -e "$bundle" ] || die "--offline: $source_dir holds no bundle; make one where there is internet, by make bundle," \
        "and unpack it here"
    check_sums
    [ "$(about machine)" = "$(machine)" ] ||
        die "--offline: this bundle is for $(about machine), and this machine is $(machine); make one on such a machine"
    choose_bundle_way
    drop_older_bundle
    export GPUGLASS_COMPONENTS_SOURCES='cache path' GPUGLASS_COMPONENTS_CACHE=$bundle/components
}

about() {
    sed -n "s/^$1=//p" "$bundle/about"
}

check_sums() {
    local told damaged more
    told=$(cd "$source_dir" && LC_ALL=C sha256sum --check --quiet --strict offline/SHA256SUMS 2>&1) &&
        [ "$(tail -n 1 "$bundle/SHA256SUMS")" = '# end' ] && return 0
    damaged=$(sed -nE 's/^(.+): FAILED( open or read)?$/\1/p' <<<"$told")
    damaged=${damaged:-offline/SHA256SUMS}
    more=$(($(wc -l <<<"$damaged") - 1))
    damaged=${damaged%%$'\n'*}
    if [ -e "$source_dir/$damaged" ]; then
        damaged+=" is not as it was made"
    else
        damaged+=" is missing"
    fi
    [ "$more" = 0 ] || damaged+=", and $more more"
    die "--offline: the bundle is damaged: $damaged; unpack it again, or take another copy"
}

# An install keeps its way; else it is the bundle's.
choose_bundle_way() {
    local way
    way=$(about way)
    [ "$engine" != no-docker ] || engine=native
    [ -n "$engine" ] || engine=$(saved_engine)
    [ -n "$engine" ] || engine=$way
    [ "$engine" = "$way" ] || case $way in
    native) die "--offline: this bundle has no images, it installs without Docker; make another: make bundle DOCKER=yes" ;;
    *) die "--offline: this bundle has images alone, it installs with Docker; make another: make bundle" ;;
    esac
    [ "$engine" != native ] || engine=no-docker
}

# What a bundle that was unpacked here before had, and this one has not: its rules would go on being evaluated.
drop_older_bundle() {
    local name record=$bundle/.installed
    while IFS= read -r name; do
        [[ /$name/ == */../* ]] || rm -f -- "$source_dir/$name"
    done < <(comm -23 <(files_of "$record") <(files_of "$bundle/SHA256SUMS"))
    while IFS= read -r name; do
        rm -f -- "$source_dir/$name"
    done < <(cd "$source_dir" && comm -13 <(files_of offline/SHA256SUMS) <(find offline -mindepth 2 -not -type d | LC_ALL=C sort))
    cp -- "$bundle/SHA256SUMS" "$record" 2>/dev/null || true
}

files_of() {
    grep -v '^#' "$1" 2>/dev/null | cut -c 67- | LC_ALL=C sort
}

# Whether the bundle has wheels for a version of Python.
bundle_is_for() {
    [[ " $(about pythons) " == *" $1 "* ]]
}

# pip, which takes what is in the bundle alone whatever this machine's settings of pip are.
bundle_pip() {
    local name unset=()
    for name in $(compgen -v PIP_); do
        unset+=(-u "$name")
    done
    env "${unset[@]}" PIP_CONFIG_FILE=/dev/null "$@"
}

# Takes the stand-in driver that was built with the bundle, if it loads here.
driver_from_bundle() {
    local library=$bundle/simulator/libnvidia-ml.so.1
    "$python" -c 'import ctypes, sys; ctypes.CDLL(sys.argv[1])' "$library" 2>/dev/null || return 1
    mkdir -p -- "$simulator.part"
    cp -- "$library" "$simulator.part/"
    mv -- "$simulator.part" "$simulator"
}

# Loads the images, and sees that these are all that Compose will ask for.
images_from_bundle() {
    local image
    logged "the images could not be loaded" docker load --quiet --input "$bundle/images.tar"
    for image in $(compose config --images | sort -u); do
        docker image inspect "$image" >/dev/null 2>&1 ||
            die "--offline: the bundle has no image $image; make one with it, or let setup.sh fetch it without --offline"
    done
}
