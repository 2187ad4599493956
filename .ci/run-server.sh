#!/usr/bin/env bash
# `make run`: the server with the dashboard, on the engine that answers, else on
# a private one that ends with it. Arguments are those of `tiny-forge serve`.
set -euo pipefail
cd "$(dirname "$0")/.."

program=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/tiny-forge/target}/debug/tiny-forge
home=${XDG_DATA_HOME:-$HOME/.local/share}/tiny-forge
arguments=("$@")

given() { # name: what the flag, else the variable of that name says
    local flag="--$1" variable="TINY_FORGE_${1^^}" at
    for ((at = 0; at < ${#arguments[@]}; at++)); do
        case ${arguments[at]} in
            "$flag") echo "${arguments[at + 1]:-}"; return ;;
            "$flag="*) echo "${arguments[at]#*=}"; return ;;
        esac
    done
    echo "${!variable:-}"
}

choose_engine() {
    [ -z "$(given engine)" ] || return 0
    if docker info >/dev/null 2>&1; then
        # The command may know another place than the usual one.
        : "${DOCKER_HOST:=$(docker context inspect --format '{{.Endpoints.docker.Host}}')}"
        export DOCKER_HOST
        return
    fi
    start_private_engine
}

# It ends when its input closes: also when we are killed.
start_private_engine() {
    local root=()
    [ "$(id -u)" = 0 ] || root=(sudo)
    mkdir -p -m 700 "$home"
    echo "run: no Docker engine answers; starting a private one, its data in $home/engine"
    coproc engine { exec "${root[@]}" .ci/engine.sh attend "$home/engine"; }
    engine_pid=$engine_PID engine_input=${engine[1]}
    read -r DOCKER_HOST <&"${engine[0]}" || exit 1
    export DOCKER_HOST
    trap end_private_engine EXIT
}

end_private_engine() {
    echo "run: ending the private engine"
    exec {engine_input}>&-
    wait "$engine_pid" 2>/dev/null || true
}

# Passes on what the server says, and what to do next once it listens.
announce() {
    trap '' INT TERM HUP
    local line
    while IFS= read -r line; do
        echo "$line"
        case $line in *"listens on http://"*) next_steps "${line##* }" ;; esac
    done
}

next_steps() { # address
    local data plugins server=""
    data=$(given data); plugins=$(given plugins)
    [ "$1" = http://127.0.0.1:8080 ] || server="TINY_FORGE_SERVER=$1 "
    echo
    echo "  dashboard        $1"
    [ -n "$(given config)" ] || echo "  plugins folder   ${plugins:-${data:-$home}/plugins}"
    [ -z "${DOCKER_HOST:-}" ] || echo "  docker           DOCKER_HOST=$DOCKER_HOST docker ps"
    echo "  see it all       $server$program demo    (in a second terminal)"
    echo "  end it           Ctrl-C"
    echo
}

choose_engine
# A session of its own: what ends us is passed on once, whoever was asked.
setsid "$program" serve "$@" > >(announce) &
server=$!
trap 'kill -TERM $server 2>/dev/null || true' INT TERM HUP
code=0
while :; do
    wait $server && code=0 || code=$?
    kill -0 $server 2>/dev/null || break
done
# What our own wait was interrupted by is no failure.
case $code in 130 | 129 | 143) code=0 ;; esac
exit $code
