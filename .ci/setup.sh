#!/usr/bin/env bash
# Makes this machine fit: `setup.sh run` for what running needs, `setup.sh test`
# for what the tests need besides. Installs only what is missing, from Debian's
# packages, and says so. Elsewhere it says exactly what to install.
set -euo pipefail

purpose=${1:?usage: setup.sh run|test}
missing=()
need() { # command package
    command -v "$1" >/dev/null 2>&1 || missing+=("$2")
}

need curl curl
need cc gcc
# An engine that answers is enough for running; tests always start their own.
engine_answers() { docker info >/dev/null 2>&1; }
if [ "$purpose" = test ] || ! engine_answers; then
    need dockerd docker.io
    need docker docker.io
    need ip iproute2
    need iptables iptables
fi
if [ "$purpose" = test ]; then
    need docker-registry docker-registry
    [ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1 || missing+=(busybox-static)
    need chromium chromium
fi

# Plugins are WebAssembly: this needs Rust's std for wasm32-unknown-unknown,
# from rustup, or built from Debian's sources.
target=wasm32-unknown-unknown
has_wasm_std() { [ -d "$(rustc --print target-libdir --target $target 2>/dev/null)" ]; }
if ! has_wasm_std && [ ! -x /usr/bin/wasm-ld-19 -o ! -d /usr/lib/rust-web ]; then
    if command -v rustup >/dev/null && timeout 60 rustup target add $target >/dev/null 2>&1 && has_wasm_std; then
        echo "setup: added Rust's $target with rustup"
    elif [ ! -x /usr/bin/wasm-ld-19 ] || ! dpkg -s rust-web-src >/dev/null 2>&1; then
        missing+=(rustc-web cargo-web rust-web-src lld-19)
    fi
fi

for tool in cargo node npm; do
    command -v $tool >/dev/null || { echo "setup: $tool is missing: install Rust 1.95+ (rustup.rs) and Node.js 20+ first" >&2; exit 1; }
done
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
    echo "setup: this is not Debian or Ubuntu; please install the equivalents of: ${missing[*]}" >&2
    exit 1
fi
sudo=""
if [ "$(id -u)" != 0 ]; then
    sudo=$(command -v sudo) || { echo "setup: run as root, or install: ${missing[*]}" >&2; exit 1; }
fi
echo "setup: installing with apt-get: ${missing[*]}"
# The engine is started by us when it is needed, not as a service.
$sudo apt-get update -qq
$sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
