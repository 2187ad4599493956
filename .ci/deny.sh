#!/usr/bin/env bash
# Licences, bans and sources of all crates. The version is pinned, so that a new
# rule of the tool does not fail an old commit. Installing it takes some minutes,
# once; it stays in cargo's own bin folder.
set -euo pipefail
version=0.20.2
if [ "$(cargo deny --version 2>/dev/null)" != "cargo-deny $version" ]; then
    echo "check: installing cargo-deny $version"
    # In a target folder of its own: it shares nothing with us.
    env -u CARGO_TARGET_DIR cargo install --quiet --locked cargo-deny@$version
fi
for manifest in Cargo.toml bench/Cargo.toml bench/peers/extism/Cargo.toml; do
    cargo deny --manifest-path "$manifest" --config "$PWD/deny.toml" --locked --all-features \
        check --hide-inclusion-graph --allow license-not-encountered bans licenses sources
done
