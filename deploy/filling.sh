# shellcheck shell=bash disable=SC2034,SC2154
# From single to tiered storage: no sample goes before minutes and hours have been made of it, unless somebody says for
# how long samples are to be kept. To be sourced.

# Sets unfilled: how long samples stay until then; empty: as long as the profile says.
choose_unfilled() {
    local kept
    unfilled=''
    is_tiered && [ -z "${given[GPUGLASS_RETENTION_RAW]:-}" ] || return 0
    kept=$(kept_until_now)
    [ -z "$kept" ] || [ "$(days_of "$kept")" -le "$(days_of "${setting[GPUGLASS_RETENTION_RAW]}")" ] || unfilled=$kept
}

# For how long the last run had samples kept; nothing where there was none.
kept_until_now() {
    local kept
    kept=$(cut -d ' ' -s -f 3 "$prefix/.gpuglass-install" 2>/dev/null) || true
    if [ -z "$kept" ] && [ "$(saved_storage)" = single ]; then
        kept=$(saved GPUGLASS_RETENTION)
        kept=${kept:-${setting[GPUGLASS_RETENTION]}}
    fi
    echo "$kept"
}

# Says what becomes of the data where a run changes how they are kept.
settle_storage() {
    local raw=${setting[GPUGLASS_RETENTION_RAW]} change=$storage_before-${setting[GPUGLASS_STORAGE]}
    if [ "$change" = tiered-single ]; then
        say "Storage becomes single: samples are kept for ${setting[GPUGLASS_RETENTION]} from now on. What the tiers hold stays on disk, to be seen again with GPUGLASS_STORAGE=tiered."
    elif [ "$change" = single-tiered ] && [ -z "$unfilled" ]; then
        say "Storage becomes tiered: samples older than $raw are given up, the tiers begin with those that are younger."
    elif [ -n "$unfilled" ] && [ "$change" != single-tiered ] && are_tiers_filled; then
        unfilled=''
        say "Minutes and hours are made of all samples: those older than $raw are given up now."
    elif [ -n "$unfilled" ]; then
        say "Storage is tiered, but samples stay for $unfilled until minutes and hours are made of them:" \
            "$prefix/bin/gpuglass rollups fill, then this command again."
    fi
}

# Asks the programs that run; where they do not, it is not known.
are_tiers_filled() {
    [ -x "$prefix/bin/gpuglass" ] && "$prefix/bin/gpuglass" rollups check >/dev/null 2>&1 </dev/null
}
