#!/usr/bin/env bash
# Makes this machine fit for a purpose, each with what the one before it needs:
#
#   setup.sh build   a C compiler, and Rust's std for WebAssembly
#   setup.sh run     a Docker engine, where none answers
#   setup.sh test    an engine to start, a registry, Caddy, a browser, valgrind, Python packages
#   setup.sh bench   as build, valgrind, and what is compared with: nginx, nchan, Extism
#
# Installs only what is missing, with rustup or from Debian's packages, and says
# so. Elsewhere it says exactly what to install.
set -euo pipefail

purpose=${1:-}
case $purpose in
    build | run | test | bench) ;;
    *) echo "usage: setup.sh build|run|test|bench" >&2; exit 2 ;;
esac

die() { echo "setup: $*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

missing=()
need() { # command package
    has "$1" || missing+=("$2")
}

# Not from Debian's packages: they are too old there.
RUST=1.95 NODE=20.19
at_least() { # version wanted
    [ "$(printf '%s\n' "$2" "$1" | sort --version-sort | head -n 1)" = "$2" ]
}
check_toolchains() {
    has cargo || die "cargo is missing: install Rust $RUST or newer from https://rustup.rs"
    local rust; rust=$(rustc --version | cut -d ' ' -f 2)
    at_least "$rust" $RUST || die "Rust $rust is too old: install $RUST or newer, e.g. with \`rustup update stable\`"
    has node && has npm || die "node or npm is missing: install Node.js $NODE or newer with npm, https://nodejs.org"
    local node; node=$(node --version)
    at_least "${node#v}" $NODE || die "Node.js ${node#v} is too old: install $NODE or newer, https://nodejs.org"
}

# Cargo links with it; its static C library is for the image of the demo.
need_compiler() {
    need cc gcc
    has cc && [[ $(cc -print-file-name=libc.a) = /* ]] || missing+=(libc6-dev)
}

# Plugins are WebAssembly. The std for it is rustup's, or is built from Debian's
# sources by Debian's own compiler.
WASM=wasm32-unknown-unknown
has_wasm_std() { [ -d "$(rustc --print target-libdir --target $WASM 2>/dev/null)" ]; }
has_debian_wasm() {
    [ -x /usr/bin/rustc ] && [ -x /usr/bin/cargo ] && [ -x /usr/bin/wasm-ld-19 ] &&
        [ -f /usr/lib/rustlib/src/rust/library/Cargo.lock ]
}
need_wasm() {
    has_wasm_std || has_debian_wasm && return
    if has rustup && timeout 120 rustup target add $WASM >/dev/null 2>&1 && has_wasm_std; then
        echo "setup: added Rust's $WASM with rustup"
    else
        missing+=(rustc-web cargo-web rust-web-src lld-19)
    fi
}

need_engine() {
    need dockerd docker.io
    # A package of its own since Debian 13.
    need docker docker-cli
    need ip iproute2
    need iptables iptables
}

need_test_tools() {
    need docker-registry docker-registry
    need caddy caddy
    need pkill procps
    need chromium chromium
    need valgrind valgrind
    # Test images hold nothing else, so it must not need a library.
    [ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1 || missing+=(busybox-static)
}

# Beside the other caches, where the tests look for it.
PYTHON=${XDG_CACHE_HOME:-$HOME/.cache}/tiny-forge/python
PYTHON_PACKAGES=(cloudevents==2.2.0)
need_python() {
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
}
has_python_packages() {
    [ -x "$PYTHON/bin/python" ] &&
        [ "$(cat "$PYTHON/packages" 2>/dev/null)" = "${PYTHON_PACKAGES[*]}" ]
}
install_python_packages() {
    has_python_packages && return
    echo "setup: installing for tests in $PYTHON: ${PYTHON_PACKAGES[*]}"
    python3 -m venv --clear "$PYTHON"
    "$PYTHON/bin/pip" install --quiet --disable-pip-version-check "${PYTHON_PACKAGES[@]}" ||
        die "pip cannot install ${PYTHON_PACKAGES[*]}: is the package index reachable?"
    echo "${PYTHON_PACKAGES[*]}" >"$PYTHON/packages"
}

need_rivals() {
    [ -x /usr/sbin/nginx ] || missing+=(nginx-light)
    [ -f /usr/lib/nginx/modules/ngx_nchan_module.so ] || missing+=(libnginx-mod-nchan)
}

# Extism's own build of its library comes as a Python package.
EXTISM=${XDG_CACHE_HOME:-$HOME/.cache}/tiny-forge/extism
EXTISM_PACKAGE=extism-sys==1.41.0
has_extism() { [ "$(cat "$EXTISM/package" 2>/dev/null)" = $EXTISM_PACKAGE ]; }
install_extism() {
    has_extism && return
    echo "setup: installing for benchmarks in $EXTISM: $EXTISM_PACKAGE"
    python3 -m pip install --quiet --disable-pip-version-check --no-deps --upgrade \
        --target "$EXTISM" $EXTISM_PACKAGE ||
        die "pip cannot install $EXTISM_PACKAGE: is the package index reachable?"
    echo $EXTISM_PACKAGE >"$EXTISM/package"
}

# One that was named is not ours to install.
has_running_engine() { [ -n "${TINY_FORGE_ENGINE:-}" ] || docker info >/dev/null 2>&1; }

wasm_hint() {
    [[ " ${missing[*]} " != *" rustc-web "* ]] || echo "; instead of rustc-web to lld-19: rustup target add $WASM"
}

install_missing() {
    has apt-get || die "this is neither Debian nor Ubuntu: please install what they call ${missing[*]}$(wasm_hint)"
    local root=()
    if [ "$(id -u)" != 0 ]; then
        has sudo || die "run this as root, or install: apt-get install ${missing[*]}"
        root=(sudo)
    fi
    echo "setup: installing with apt-get: ${missing[*]}"
    "${root[@]}" apt-get update -qq
    local package packages=()
    for package in "${missing[@]}"; do
        [ "$package" != docker-cli ] || apt-cache show docker-cli >/dev/null 2>&1 || package=docker.io
        packages+=("$package")
    done
    # Policy: engines and servers are started when they are needed, not as a service.
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
    echo "setup: installed ${packages[*]}"
}

check_toolchains
need_compiler
need_wasm
[ "$purpose" = build ] || need curl curl
if [ "$purpose" = test ] || { [ "$purpose" = run ] && ! has_running_engine; }; then need_engine; fi
if [ "$purpose" = test ]; then
    need_test_tools
    has_python_packages || need_python
fi
if [ "$purpose" = bench ]; then
    need valgrind valgrind
    need_rivals
    has_extism || python3 -m pip --version >/dev/null 2>&1 || missing+=(python3 python3-pip)
fi
[ ${#missing[@]} -eq 0 ] || install_missing
[ "$purpose" != test ] || install_python_packages
[ "$purpose" != bench ] || install_extism
