#!/usr/bin/env bash
# Starts and stops a private Docker engine, beside any other: its own data, its
# own bridge and its own addresses, so that two engines never share a network.
#
#   engine.sh start DIR   prints the address to use as DOCKER_HOST
#   engine.sh stop DIR    ends it as a host does that shuts down: containers that
#                         restart by themselves come back with it
#   engine.sh attend DIR  starts it, and ends it when standard input closes: also
#                         when whoever holds the other end is killed
#   engine.sh hold DIR    the same for tests, and deletes DIR then
#
# The bridge and its addresses are chosen once and kept in DIR, so that a stopped
# engine comes back as it was. Its bridge is its claim on these addresses: as long
# as DIR is there nobody else may have them, whether the engine runs or not.
#
# A held engine leaves the firewall alone: another dockerd rewrites these rules at
# its start, and must not find ours in its way, nor lose its own to us. Needs root,
# dockerd, iproute2, iptables.
set -euo pipefail

die() { echo "engine.sh: $*" >&2; exit 1; }

command=${1:-}; dir=${2:-}
usage="usage: engine.sh start|stop|attend|hold DIR"
[ -n "$dir" ] || die "$usage"
mkdir -p "$dir"; dir=$(cd "$dir" && pwd)
socket="$dir/docker.sock"
pidfile="$dir/dockerd.pid"

alive() { [ -f "$pidfile" ] && kill -0 "$(cat "$pidfile")" 2>/dev/null; }
answers() { [ "$(curl -s --max-time 2 --unix-socket "$socket" http://engine/_ping)" = OK ]; }

# The second octet of everything this engine hands out: one that nobody uses.
claim_network() {
    if [ ! -f "$dir/network" ]; then
        local taken; taken=$(ip route show)
        for number in $(seq 100 250); do
            grep -q "^10\.$number\." <<<"$taken" || { echo "$number" >"$dir/network"; break; }
        done
        [ -f "$dir/network" ] || die "no free network from 10.100.0.0 to 10.250.0.0"
    fi
    number=$(cat "$dir/network")
    bridge="tf-engine-$number"
    # It is gone after a reboot of the machine.
    if ! ip link show "$bridge" >/dev/null 2>&1; then
        ip link add "$bridge" type bridge
        ip address add "10.$number.0.1/24" dev "$bridge"
    fi
    ip link set "$bridge" up
}

start() {
    alive && answers && { echo "unix://$socket"; return; }
    [ "$(id -u)" = 0 ] || die "needs root to start a Docker engine: use sudo"
    command -v dockerd >/dev/null || die "dockerd is not installed: make setup-test installs it"
    [ -f "$dir/daemon.json" ] || echo '{}' >"$dir/daemon.json"
    # Two that choose a network, or write firewall rules, at the same time would
    # trip over each other.
    exec 9>"${TMPDIR:-/tmp}/tiny-forge-engine.lock"
    flock 9
    claim_network
    grep -q '"iptables": *false' "$dir/daemon.json" && exec 9>&-
    # Containers of other engines change the firewall at any time, and dockerd
    # gives up where its iptables is refused once: it gets three tries.
    local try
    for try in 1 2 3; do
        if run_daemon; then
            exec 9>&-
            echo "unix://$socket"
            return
        fi
    done
    tail -n 20 "$dir/dockerd.log" >&2
    die "dockerd does not start, see $dir/dockerd.log"
}

run_daemon() {
    rm -f "$pidfile" "$socket"
    # The socket is for whoever called us through sudo, too.
    local group=()
    [ -z "${SUDO_GID:-}" ] || group=(--group "$SUDO_GID")
    # A session of its own: Ctrl-C in the terminal must not reach it.
    setsid dockerd --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$pidfile" \
        -H "unix://$socket" "${group[@]}" --bridge "$bridge" \
        --default-address-pool "base=10.$number.128.0/17,size=24" \
        --insecure-registry 127.0.0.0/8 --config-file "$dir/daemon.json" \
        >>"$dir/dockerd.log" 2>&1 </dev/null 9>&- &
    local daemon=$!
    for _ in $(seq 600); do
        answers && return 0
        kill -0 "$daemon" 2>/dev/null || return 1
        sleep 0.1
    done
    kill "$daemon"
    return 1
}

engine() { docker --host "unix://$socket" "$@" 2>/dev/null; }

gone_within() { # tenths of a second
    for _ in $(seq "$1"); do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.1; done
    return 1
}

# The engine asks its containers to end; those that do not are not waited for. Where
# they outlive it by themselves, nothing happens to them, however long it takes.
stop() {
    alive || return 0
    local pid; pid=$(cat "$pidfile")
    local ids= processes=
    grep -q '"live-restore": *true' "$dir/daemon.json" || ids=$(engine ps --quiet) || true
    # shellcheck disable=SC2086
    processes=$([ -z "$ids" ] || engine inspect --format '{{.State.Pid}}' $ids) || true
    kill "$pid" 2>/dev/null || true
    gone_within 20 && return
    # shellcheck disable=SC2086
    [ -z "$processes" ] || kill -9 $processes 2>/dev/null || true
    gone_within 200 || kill -9 "$pid" 2>/dev/null || true
}

# Signals are for others: the end of the input is what ends this.
attend() {
    trap '' INT TERM HUP
    start
    while read -r _; do :; done
    stop
}

hold() {
    trap '' INT TERM HUP
    [ -f "$dir/daemon.json" ] || echo '{ "iptables": false, "ip-masq": false }' >"$dir/daemon.json"
    start
    while read -r _; do :; done
    # Nobody wants to see them again.
    for id in $(engine ps --all --quiet); do engine rm --force "$id" >/dev/null || true; done
    stop
    # Bridges of its networks outlive it, and so does its own.
    ip -o -4 address show | awk -v own="10.$(cat "$dir/network")." 'index($4, own) == 1 { print $2 }' |
        xargs -r -n 1 ip link delete || true
    umount "$dir"/exec/netns/* 2>/dev/null || true
    # An engine whose containers outlive it leaves this one too.
    umount --recursive "$dir/data" 2>/dev/null || true
    rm -rf "$dir"
}

case $command in
    start) start ;;
    stop) stop ;;
    attend) attend ;;
    hold) hold ;;
    *) die "$usage" ;;
esac
