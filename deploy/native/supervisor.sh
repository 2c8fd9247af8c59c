# shellcheck shell=bash disable=SC2034,SC2154
# Runs the programs under a supervisor of this install's own, as the user who installs. To be sourced.

# Writes the configuration; says whether anything became different. What the supervisor reads at its start alone has it
# stopped.
supervisor_write() {
    local file=$prefix/run/supervisord.conf header
    mkdir -p -- "$prefix/log"
    chmod 700 "$prefix/run"
    header=$(render "$source_dir/deploy/native/supervisord.conf")
    [[ $(cat "$file" 2>/dev/null) == "$header"* ]] || supervisor_stop || true
    supervisor_configuration >"$file.new" || die "$file cannot be written"
    if cmp -s "$file.new" "$file"; then
        rm -f -- "$file.new"
        return 1
    fi
    mv -f -- "$file.new" "$file"
}

supervisor_configuration() {
    local program
    render "$source_dir/deploy/native/supervisord.conf"
    for program in $(programs); do
        printf '\n'
        render "$source_dir/deploy/native/programs/$program.conf"
        printf 'stdout_logfile=%s\n' "$prefix/log/$program.log"
        cat "$source_dir/deploy/native/programs/common.inc"
        printf 'environment=\n%s\n' "$(program_environment "$program" | supervisor_environment)"
    done
}

# The supervisor expands %(name)s in its configuration. Paths hold no percent sign: it expands some of them twice.
supervisor_environment() {
    sed -E 's/%/%%/g; s/^([^=]+)=(.*)$/    \1="\2",/; $ s/,$//'
}

supervisorctl() {
    local folder
    folder=$(find "$prefix/venvs" -maxdepth 1 -name 'supervisor-*' 2>/dev/null | head -n 1)
    "$folder/bin/supervisorctl" -c "$prefix/run/supervisord.conf" "$@"
}

# The process id of this install's supervisor; a stale file, or a number that now belongs to another, does not count.
supervisor_pid() {
    local pid command
    pid=$(cat "$prefix/run/supervisord.pid" 2>/dev/null) || return 1
    [[ $pid =~ ^[1-9][0-9]*$ ]] || return 1
    command=$(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline") || return 1
    [[ $command == *supervisord*"$prefix/run/supervisord.conf"* ]] || return 1
    echo "$pid"
}

supervisor_start() {
    local name unset=()
    for name in $(compgen -v GPUGLASS_); do
        unset+=(-u "$name")
    done
    logged "the supervisor did not start" env "${unset[@]}" "$supervisor/bin/supervisord" -c "$prefix/run/supervisord.conf"
    wait_until 10 supervisor_answers || die "the supervisor does not answer; see $prefix/log/supervisord.log"
}

supervisor_running() {
    supervisor_pid >/dev/null
}

supervisor_answers() {
    supervisorctl pid >/dev/null 2>&1
}

# Restarts what changed, and nothing else.
supervisor_update() {
    logged "the supervisor refused its new configuration" supervisorctl update
}

# "NAME STATE" of each program.
supervisor_states() {
    supervisorctl status 2>/dev/null | awk '{ print $1, $2 }'
}

supervisor_last_words() {
    tail -n 50 "$prefix/log/$1.log" 2>/dev/null | grep . | tail -n 1 | cut -c 1-300 || true
}

# Where a program's log is, in words for people.
supervisor_log() {
    echo "$prefix/log/$1.log"
}

# Ends the supervisor and everything under it; returns when they are gone. Fails when there was nothing to end.
supervisor_stop() {
    local pid found=no
    if pid=$(supervisor_pid); then
        found=yes
        kill -TERM "$pid" 2>/dev/null || true
        wait_until 90 gone "$pid" || die "the supervisor (process $pid) does not end; see $prefix/log/supervisord.log"
    fi
    for pid in $(supervised_pids); do
        found=yes
        kill -TERM "$pid" 2>/dev/null || true
        wait_until 60 gone "$pid" || die "process $pid of $prefix does not end"
    done
    [ "$found" = yes ]
}

# The processes that this install's supervisor started, by the mark that it leaves in their environment. They outlive
# a supervisor that was killed.
supervised_pids() {
    grep -lzxF "SUPERVISOR_SERVER_URL=unix://$prefix/run/supervisor.sock" /proc/[0-9]*/environ 2>/dev/null |
        cut -d / -f 3 || true
}

# Where the first process takes no note of those that end, as in many a rented container, they stay on as zombies.
gone() {
    ! kill -0 "$1" 2>/dev/null || grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null
}

supervisor_remove() {
    supervisor_stop || true
    rm -f -- "$prefix"/run/supervisor*
}
