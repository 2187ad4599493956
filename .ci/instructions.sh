#!/usr/bin/env bash
# Instructions of a delivery, counted by callgrind: they do not depend on what
# else the machine does.
#
#   instructions.sh [--within FUNCTION] [--at-most LIMIT] PROGRAM SUBSCRIBERS
#
# PROGRAM is called as `PROGRAM SUBSCRIBERS EVENTS`, with few and with many
# EVENTS; the difference is divided by the deliveries between them, so that
# start and end do not count. With --within only what FUNCTION and its callees
# do is counted, on whatever thread (callgrind's patterns, e.g. '*Shard::run*';
# the program needs its symbols). Prints the figure; fails above LIMIT.
set -euo pipefail

FEW=1000 MANY=4000

die() { echo "instructions: $*" >&2; exit 1; }
usage="usage: instructions.sh [--within FUNCTION] [--at-most LIMIT] PROGRAM SUBSCRIBERS"

within=() limit=""
while [[ ${1:-} = --* ]]; do
    case $1 in
        --within) within=(--collect-atstart=no --toggle-collect="${2:?$usage}") ;;
        --at-most) limit=${2:?$usage} ;;
        *) die "$usage" ;;
    esac
    shift 2
done
program=${1:?$usage} subscribers=${2:?$usage}
command -v valgrind >/dev/null || die "valgrind is missing: run \`.ci/setup.sh test\`"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

count() { # events
    local out=$work/$1
    valgrind --tool=callgrind --callgrind-out-file="$out" "${within[@]}" \
        "$program" "$subscribers" "$1" >"$out.said" 2>&1 || { cat "$out.said" >&2; die "\`$program\` failed"; }
    awk '/^(summary|totals):/ {if ($2 > most) most = $2} END {print most + 0}' "$out"
}

few=$(count $FEW)
many=$(count $MANY)
deliveries=$(((MANY - FEW) * subscribers))
[ "$many" -gt "$few" ] || die "nothing was counted: is --within the name of a function of \`$program\`?"
each=$(awk "BEGIN {printf \"%.1f\", ($many - $few) / $deliveries}")
echo "$each instructions per delivery, $subscribers subscribers"
[ -z "$limit" ] || awk "BEGIN {exit !($each <= $limit)}" ||
    die "$each instructions per delivery are more than the $limit allowed: see what costs them with callgrind_annotate"
