#!/usr/bin/env bash
# `make run`: the server with the dashboard, on the engine that answers, else on
# a private one that ends with it.
set -euo pipefail
cd "$(dirname "$0")/.."
state=${XDG_DATA_HOME:-$HOME/.local/share}/tiny-forge

if ! docker info >/dev/null 2>&1; then
    echo "run: no Docker engine answers; starting a private one (data in $state/engine)"
    DOCKER_HOST=$(.ci/engine.sh start "$state/engine")
    export DOCKER_HOST
    trap '.ci/engine.sh stop "$state/engine"' EXIT
fi
echo "run: see the whole in a minute, from a second terminal:"
echo "       $CARGO_TARGET_DIR/debug/tiny-forge demo"
cargo build --quiet --locked -p tiny-forge
# Ctrl-C reaches the server itself; we only clean up after it.
trap : INT TERM
"$CARGO_TARGET_DIR/debug/tiny-forge" serve "$@" &
server=$!
while kill -0 $server 2>/dev/null; do wait $server || true; done
