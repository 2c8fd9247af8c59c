#!/bin/sh
# Starts vmagent:  vmagent.sh PROGRAM FLAGS...
#
# Before, it cuts what a killed vmagent left behind the end of its queues on disk. vmagent notes that end
# (WriterOffset in metainfo.json) at most once a second, so a file can be longer. The next vmagent goes on at the
# noted end and keeps the old bytes after it; once the storage is away again, it can take them for new ones, call
# the file corrupted and drop all that it holds (v1.150.0 does, and those before it). Nothing else ever reads them.
set -u

: "${1:?usage: vmagent.sh PROGRAM FLAGS...}"

say() {
    printf 'vmagent.sh: %s\n' "$*" >&2
}

# Sets end: how many bytes were ever written to the queue, as its last vmagent noted.
read_end() {
    end=$(sed -nE 's/.*"WriterOffset": *(0|[1-9][0-9]{0,17})[,}].*/\1/p' "$1/metainfo.json" 2>/dev/null)
    case $end in
    '' | *[!0123456789]*) return 1 ;;
    esac
}

# Sets file and start: the file that holds the end. It is named by 16 hex digits, the offset of its first byte.
find_file() {
    file='' start=-1
    for candidate in "$1"/0???????????????; do
        case ${candidate##*/} in
        *[!0123456789ABCDEF]*) continue ;;
        esac
        offset=$((0x${candidate##*/}))
        if [ "$offset" -le "$end" ] && [ "$offset" -gt "$start" ]; then
            file=$candidate start=$offset
        fi
    done
    [ -f "$file" ] && [ ! -h "$file" ]
}

cut_tail() {
    if ! read_end "$1"; then
        say "$1/metainfo.json does not say where the queue ends; left as it is"
    elif ! find_file "$1"; then
        say "$1 has no file for the end of its queue; left as it is"
    elif ! size=$(stat -c %s -- "$file"); then
        say "$file has no size; left as it is"
    elif [ "$size" -gt $((end - start)) ]; then
        truncate -c -s $((end - start)) -- "$file" &&
            say "$file: cut $((size - (end - start))) bytes that a killed vmagent left behind the end of its queue"
    fi
}

data=vmagent-remotewrite-data
for argument; do
    case $argument in
    -remoteWrite.tmpDataPath=* | --remoteWrite.tmpDataPath=*) data=${argument#*=} ;;
    esac
done

for queue in "$data"/persistent-queue/*; do
    [ -f "$queue/metainfo.json" ] || continue
    # A vmagent that runs holds this lock.
    (
        if flock -n 9; then
            cut_tail "$queue"
        else
            say "$queue cannot be locked, another vmagent may use it; left as it is"
        fi
    ) 9>>"$queue/flock.lock"
done

exec "$@"
