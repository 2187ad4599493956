#!/usr/bin/env bash
# Starts and stops a private Docker engine, beside any other: its own data, its
# own bridge and its own addresses, so that two engines never share a network.
#
#   engine.sh start DIR   prints the address to use as DOCKER_HOST
#   engine.sh stop DIR    ends it, with its containers; its data stays
#   engine.sh hold DIR    starts it, and when standard input closes ends it and
#                         deletes DIR: for tests, even for those that are killed
#
# The bridge's name and addresses follow from DIR, so that a stopped engine comes
# back as it was. Needs root, dockerd, iproute2, iptables.
set -euo pipefail

die() { echo "engine.sh: $*" >&2; exit 1; }

command=${1:-}; dir=${2:-}
[ -n "$dir" ] || die "usage: engine.sh start|stop|hold DIR"
mkdir -p "$dir"; dir=$(cd "$dir" && pwd)
# 1 to 250: the second octet of everything this engine hands out.
number=$(( $(printf %s "$dir" | cksum | cut -d' ' -f1) % 250 + 1 ))
bridge="tf$(printf %s "$dir" | cksum | cut -d' ' -f1 | head -c 10)"
socket="$dir/docker.sock"
pidfile="$dir/dockerd.pid"

alive() { [ -f "$pidfile" ] && kill -0 "$(cat "$pidfile")" 2>/dev/null; }
answers() { curl -s --max-time 2 --unix-socket "$socket" http://engine/_ping | grep -q OK; }

start() {
    alive && answers && { echo "unix://$socket"; return; }
    [ "$(id -u)" = 0 ] || die "needs root to start a Docker engine: use sudo"
    command -v dockerd >/dev/null || die "dockerd is not installed: make setup installs it"
    if ! ip link show "$bridge" >/dev/null 2>&1; then
        ip link add "$bridge" type bridge
        ip address add "10.$number.0.1/24" dev "$bridge"
    fi
    ip link set "$bridge" up
    rm -f "$pidfile" "$socket"
    echo "{}" >"$dir/daemon.json"
    # A session of its own: Ctrl-C in the terminal must not reach it.
    setsid dockerd --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$pidfile" \
        -H "unix://$socket" --bridge "$bridge" \
        --default-address-pool "base=10.$number.128.0/17,size=24" \
        --insecure-registry 127.0.0.0/8 --config-file "$dir/daemon.json" ${TINY_FORGE_DOCKERD_ARGS:-} \
        >"$dir/dockerd.log" 2>&1 </dev/null &
    local daemon=$!
    for _ in $(seq 300); do
        answers && { echo "unix://$socket"; return; }
        kill -0 "$daemon" 2>/dev/null || { tail -n 20 "$dir/dockerd.log" >&2; die "dockerd ended, see $dir/dockerd.log"; }
        sleep 0.1
    done
    die "dockerd did not answer within 30 s, see $dir/dockerd.log"
}
stop() {
    if alive; then
        local pid; pid=$(cat "$pidfile")
        for id in $(docker --host "unix://$socket" ps --quiet 2>/dev/null); do
            docker --host "unix://$socket" kill "$id" >/dev/null 2>&1 || true
        done
        kill "$pid" 2>/dev/null || true
        for _ in $(seq 200); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
        kill -9 "$pid" 2>/dev/null || true
    fi
    ip link delete "$bridge" 2>/dev/null || true
}

hold() {
    start
    while read -r _; do :; done
    stop
    umount "$dir"/exec/netns/* 2>/dev/null || true
    rm -rf "$dir"
}

case $command in
    start) start ;;
    stop) stop ;;
    hold) trap '' INT TERM HUP; hold ;;
    *) die "usage: engine.sh start|stop|hold DIR" ;;
esac
