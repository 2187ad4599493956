# tiny-forge: the only commands to know. `make help` lists them.
#
# Build results stay outside the clone, so that a fresh clone builds quickly:
# set CARGO_TARGET_DIR or XDG_CACHE_HOME to move them.

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tiny-forge
export CARGO_TARGET_DIR ?= $(CACHE)/target
PLUGINS := slack webhook rules

.DEFAULT_GOAL := help
.PHONY: help run test build check bench api setup-run setup-test plugins web unit integration browser

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "  make %-8s %s\n", $$1, $$2}'

run: setup-run plugins web ## Start the server and the dashboard, with a private Docker engine where none answers
	@.ci/run-server.sh

test: setup-test check unit integration browser ## Run everything that CI runs

build: setup-run plugins web ## Make one release binary with dashboard and plugins inside: dist/tiny-forge
	cargo build --release --locked -p tiny-forge
	@mkdir -p dist && cp $(CARGO_TARGET_DIR)/release/tiny-forge dist/tiny-forge
	@ls -lh dist/tiny-forge | awk '{print "dist/tiny-forge: " $$5}'

check: setup-test plugins web ## Formatting, lints, licences, types
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	.ci/deny.sh
	cd web && npm run --silent lint && npm run --silent check

bench: build ## Size, start and memory of the release binary
	bench/figures.sh dist/tiny-forge

api: ## Write core/openapi.json and the web client's types anew
	cargo run --quiet --locked -p tiny-forge -- openapi > core/openapi.json.new
	mv core/openapi.json.new core/openapi.json
	cd web && npm run --silent api

setup-run:
	@.ci/setup.sh run

setup-test:
	@.ci/setup.sh test

plugins:
	cargo run --quiet --locked -p tiny-forge-plugin-build -- --out plugins/dist $(PLUGINS:%=plugins/%)

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci --no-fund --no-audit
	@touch $@

WEB_SOURCES := $(shell find web -type f -not -path 'web/node_modules/*' -not -path 'web/build/*' -not -path 'web/.svelte-kit/*' 2>/dev/null)

web/build/index.html: web/node_modules/.package-lock.json $(WEB_SOURCES)
	cd web && npm run --silent build

web: web/build/index.html

unit: web
	cargo test --locked --workspace --lib --bins
	cd web && npm run --silent test

integration: plugins web
	@# They wait for containers most of the time: two a core.
	cargo test --locked -p tiny-forge --test it -- --test-threads=4

browser: plugins web
	cargo build --locked -p tiny-forge
	cd web && TINY_FORGE_BIN=$(CARGO_TARGET_DIR)/debug/tiny-forge npm run --silent test:e2e
