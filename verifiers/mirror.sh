#!/bin/sh
# Mirrors a transparency log with a plain downloader: sh mirror.sh URL FOLDER [more arguments for curl]
#
# Fetches `checkpoint` and every tile that it covers, and nothing twice. What it fetches is not checked here: that is what
# `gantral-verify --mirror` and `gantral log monitor --mirror` are for. If it ends with an error, the log has grown
# meanwhile or is away: start it again. Source: spec/log.md L21 (C2SP tlog-tiles).
set -eu
url=${1%/}
folder=$2
shift 2
mkdir -p "$folder"
cd "$folder"

# What a run that was broken off had begun may not be whole.
if [ -e wanted ]; then
    sed -n 's/^output = "\(.*\)"$/\1/p' wanted | while read -r path; do rm -f "$path"; done
fi

curl -fsS "$@" -o checkpoint.new "$url/checkpoint"
size=$(sed -n 2p checkpoint.new)
case $size in
'' | *[!0-9]* | 0?* | ?????????????*)
    echo "error: $url/checkpoint is not a checkpoint" >&2
    exit 1
    ;;
esac

# Writes a number as tiles are named: 1234067 is x001/x234/067.
name() {
    number=$1
    text=$(printf '%03d' $((number % 1000)))
    number=$((number / 1000))
    while [ "$number" -gt 0 ]; do
        text=$(printf 'x%03d' $((number % 1000)))/$text
        number=$((number / 1000))
    done
    printf '%s' "$text"
}

# Says what to fetch of one row of tiles, which has so many entries.
row() {
    tile=0
    while [ $((tile * 256)) -lt "$2" ]; do
        width=$(($2 - tile * 256))
        path=tile/$1/$(name "$tile")
        if [ "$width" -lt 256 ]; then
            path=$path.p/$width
        fi
        if [ ! -e "$path" ]; then
            printf 'url = "%s/%s"\noutput = "%s"\n' "$url" "$path" "$path"
        fi
        tile=$((tile + 1))
    done
}

{
    row entries "$size"
    level=0
    count=$size
    while [ "$count" -gt 0 ]; do
        row "$level" "$count"
        level=$((level + 1))
        count=$((count / 256))
    done
} >wanted
if [ -s wanted ]; then
    curl -fsS --create-dirs "$@" -K wanted
fi
rm wanted
# Only now the mirror is as large as it says.
mv checkpoint.new checkpoint
