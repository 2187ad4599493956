#!/usr/bin/env bash
# Instructions of what a program does many times, counted by callgrind: they do
# not depend on what else the machine does.
#
#   instructions.sh [--within FUNCTION] [--times TIMES] [--at-most LIMIT] [--figure FILE] WHAT PROGRAM [ARGUMENT...]
#
# PROGRAM is called as `PROGRAM ARGUMENT... COUNT`, with a small and with a large
# COUNT; the difference is divided by what happened between them, TIMES (1) for
# each of COUNT, so that start and end do not count. WHAT names it in what is
# printed. With --within only what FUNCTION and its callees do is counted, on
# whatever thread (callgrind's patterns, e.g. '*Shard::run*'; the program needs
# its symbols). Prints the figure; fails above LIMIT, or with --figure writes it to FILE
# for the report of `make bench`, with LIMIT as its target.
set -euo pipefail

FEW=1000 MANY=4000

die() { echo "instructions: $*" >&2; exit 1; }
usage="usage: instructions.sh [--within FUNCTION] [--times TIMES] [--at-most LIMIT] [--figure FILE] WHAT PROGRAM [ARGUMENT...]"

within=() times=1 limit="" figure=""
while [[ ${1:-} = --* ]]; do
    case $1 in
        --within) within=(--collect-atstart=no --toggle-collect="${2:?$usage}") ;;
        --times) times=${2:?$usage} ;;
        --at-most) limit=${2:?$usage} ;;
        --figure) figure=${2:?$usage} ;;
        *) die "$usage" ;;
    esac
    shift 2
done
what=${1:?$usage}
program=("${2:?$usage}" "${@:3}")
command -v valgrind >/dev/null || die "valgrind is missing: run \`.ci/setup.sh test\`"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

count() { # COUNT
    local out=$work/$1 pid
    # A child, as the compiler of plugins, has to see the same processor: not all that this
    # machine's can do is known to valgrind. What it does is not counted.
    valgrind --tool=callgrind --trace-children=yes --callgrind-out-file="$out.%p" "${within[@]}" \
        "${program[@]}" "$1" >"$out.said" 2>&1 &
    pid=$!
    wait $pid || { cat "$out.said" >&2; die "\`${program[*]} $1\` failed"; }
    awk '/^(summary|totals):/ {if ($2 > most) most = $2} END {print most + 0}' "$out.$pid"
}

few=$(count $FEW)
many=$(count $MANY)
[ "$many" -gt "$few" ] || die "nothing was counted: is --within the name of a function of \`${program[0]}\`?"
each=$(awk "BEGIN {printf \"%.1f\", ($many - $few) / (($MANY - $FEW) * $times)}")
echo "$each instructions: $what"
is_within() { awk "BEGIN {exit !($each <= $limit)}"; }
if [ -n "$figure" ]; then
    is_within && ok=true || ok=false
    printf '[{"name": "%s", "value": %s, "target": "≤ %s", "unit": "instructions", "ok": %s}]\n' \
        "$what" "$each" "$limit" $ok >"$figure"
    exit
fi
[ -z "$limit" ] || is_within ||
    die "$each are more than the $limit allowed: see what costs them with callgrind_annotate"
