#!/usr/bin/env bash
# Licences, bans and sources of all crates; advisories too where their database
# can be reached.
set -euo pipefail
if ! command -v cargo-deny >/dev/null; then
    echo "check: installing cargo-deny"
    cargo install --quiet --locked cargo-deny
fi
cargo deny --all-features check --hide-inclusion-graph bans licenses sources
