#!/usr/bin/env bash
# What the program weighs: `figures.sh BINARY`. Prints a table and writes
# figures.json beside this script. Needs bash, curl and /proc; starts servers of
# its own on free ports, with data of their own, and ends them.
set -euo pipefail

binary=$(realpath "${1:?usage: figures.sh BINARY}")
out=$(dirname "$(realpath "$0")")/figures.json
runs=${RUNS:-10}
work=$(mktemp -d)
server=0
figures=()

stop() {
    [ "$server" != 0 ] || return 0
    kill -TERM "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=0
}
trap 'stop; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

figure() { # name value unit
    printf '%-40s %12s %s\n' "$@"
    figures+=("$(printf '{"name": "%s", "value": %s, "unit": "%s"}' "$@")")
}

now_us() { local t=$EPOCHREALTIME; echo "${t/./}"; }
median() { sort -n | awk '{v[NR] = $1} END {print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }
get() { curl --silent --fail "$url$1"; }

# Starts a server on $data and sets `url`. There is no engine: nobody's
# containers are measured.
start() {
    : >"$work/said"
    "$binary" serve --listen 127.0.0.1:0 --data "$data" --engine unix:///nonexistent/docker.sock \
        >"$work/said" 2>"$work/log" &
    server=$!
    url=""
    while [ -z "$url" ]; do
        kill -0 $server 2>/dev/null || { cat "$work/log" >&2; exit 1; }
        read -r said <"$work/said" && url=${said##* } || sleep 0.001
    done
}

# From the start of the process to the first answer over HTTP.
start_time_ms() {
    local began; began=$(now_us)
    start
    get /healthz >/dev/null
    echo $((($(now_us) - began) / 1000)) >>"$work/times"
}

plugins_running() {
    [ "$(get /api/plugins | grep -o '"state":"running"' | wc -l)" = "$1" ]
}

wait_for() { # seconds command…
    local tries=$(($1 * 20)); shift
    until "$@"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || { echo "figures.sh: waited in vain for: $*" >&2; exit 1; }
        sleep 0.05
    done
}

rss_mib() { awk '/^VmRSS/ {printf "%.1f", $2 / 1024}' "/proc/$server/status"; }

# Of a process that has nothing to do: after some seconds of quiet.
idle_rss_mib() { sleep 3; rss_mib; }

three_plugins() { # folder
    mkdir -p "$1"
    cat >"$1/bench.toml" <<'TOML'
[plugin.slack]
file = "builtin:slack"
config.url = "https://hooks.slack.com/services/none"
grants.http = ["https://hooks.slack.com"]

[plugin.hook]
file = "builtin:webhook"
config.url = "https://hooks.example/none"
config.sign_with = []
grants.http = ["https://hooks.example"]

[plugin.rules]
file = "builtin:rules"

[plugin.rules.config]
rules = [{ name = "bad news", then = "keep", all = [{ field = "severity", at_least = "error" }] }]

[pipeline.alerts]
when.severity = "critical"
steps = ["rules"]
sinks = ["slack", "hook"]
TOML
}

size() {
    figure "binary" "$(awk "BEGIN {printf \"%.1f\", $(stat --format %s "$binary") / 1048576}")" MiB
}

start_without_plugins() {
    rm -f "$work/times"
    for _ in $(seq "$runs"); do
        data=$(mktemp -d "$work/data.XXXX")
        start_time_ms
        stop
    done
    figure "start, empty data directory" "$(median <"$work/times")" ms
}

memory_without_plugins() {
    data=$work/bare
    start
    figure "idle memory, no plugin" "$(idle_rss_mib)" MiB
    stop
}

start_with_plugins() {
    data=$work/plugged
    three_plugins "$data/plugins"
    # Once, to compile: what follows finds the machine code in the cache.
    local began; began=$(now_us)
    start
    wait_for 120 plugins_running 3
    figure "3 built-in plugins ready, compiling" "$((($(now_us) - began) / 1000))" ms
    stop
    rm -f "$work/times"
    local ready=$work/ready; rm -f "$ready"
    for _ in $(seq "$runs"); do
        began=$(now_us)
        start_time_ms
        wait_for 30 plugins_running 3
        echo $((($(now_us) - began) / 1000)) >>"$ready"
        stop
    done
    figure "start, 3 cached plugins" "$(median <"$work/times")" ms
    figure "3 cached plugins ready" "$(median <"$ready")" ms
}

memory_with_plugins() {
    start
    wait_for 30 plugins_running 3
    figure "idle memory, 3 built-in plugins" "$(idle_rss_mib)" MiB
    stop
}

head_id() { get /api/status | sed -E 's/.*"head":([0-9]+).*/\1/'; }

# Each of these requests is a command whose state change and event are one
# durable transaction; 50 connections ask at the same time.
events_a_second() {
    local requests=${REQUESTS:-2000} body='{"spec": {"image": "bench:1"}}'
    data=$work/events
    start
    curl --silent --fail --output /dev/null "$url/api/projects" \
        --header 'content-type: application/json' --data '{"name": "bench", "spec": {"image": "bench:1"}}'
    for _ in $(seq "$requests"); do
        printf 'url = "%s"\noutput = /dev/null\n' "$url/api/projects/bench/stages/prod"
    done >"$work/requests"
    local before began; before=$(head_id) began=$(now_us)
    # It shows its progress even when it is told not to.
    curl --silent --fail --parallel --parallel-max 50 --request PUT \
        --header 'content-type: application/json' --data "$body" --config "$work/requests" 2>"$work/log"
    local took_us=$(($(now_us) - began)) events=$(($(head_id) - before))
    [ "$events" -ge "$requests" ] || { echo "figures.sh: $requests requests made $events events" >&2; exit 1; }
    figure "events journaled over HTTP" "$((events * 1000000 / took_us))" events/s
    stop
}

size
start_without_plugins
memory_without_plugins
start_with_plugins
memory_with_plugins
events_a_second

{
    echo "["
    for ((at = 0; at < ${#figures[@]}; at++)); do
        [ $at = $((${#figures[@]} - 1)) ] && comma="" || comma=","
        echo "  ${figures[at]}$comma"
    done
    echo "]"
} >"$out"
echo "written to $out"
