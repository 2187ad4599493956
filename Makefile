# tiny-forge: the only commands to know. `make help` lists them.
#
# Build results stay outside the clone, so that a fresh clone builds quickly:
# set CARGO_TARGET_DIR or XDG_CACHE_HOME to move them. All clones share them.

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tiny-forge
export CARGO_TARGET_DIR ?= $(CACHE)/target

# Features are unified over what is selected: with the whole workspace selected
# always, each dependency is compiled once.
CARGO_BUILD := cargo build --locked --workspace
CARGO_TEST := cargo test --locked --workspace
DEBUG := $(CARGO_TARGET_DIR)/debug
RELEASE := $(CARGO_TARGET_DIR)/release

# What measures is a workspace of its own, and always optimised.
BENCH_DIR := $(CARGO_TARGET_DIR)/bench
BENCH_CARGO := CARGO_TARGET_DIR=$(BENCH_DIR) cargo
BENCH_FLAGS := --locked --release --manifest-path bench/Cargo.toml
BENCH := $(BENCH_DIR)/release/tiny-forge-bench

# So is Extism, which plugins are compared with; its library is its own build.
EXTISM_DIR := $(BENCH_DIR)/extism
EXTISM_FLAGS := --locked --release --manifest-path bench/peers/extism/Cargo.toml --target-dir $(EXTISM_DIR)
EXTISM := --extism $(EXTISM_DIR)/release/tiny-forge-bench-extism \
	--extism-guest $(EXTISM_DIR)/wasm32-unknown-unknown/release/tiny_forge_bench_extism_guest.wasm \
	--extism-library $(CACHE)/extism/extism_sys/libextism_sys.so

PLUGINS := slack webhook rules image-info
EXAMPLES := ntfy quiet-hours team

.DEFAULT_GOAL := help
# Cargo uses all cores by itself.
.NOTPARALLEL:
.PHONY: help run test build check bench soak api plugins web unit integration browser \
	setup-build setup-run setup-test setup-bench formatted bench-tool extism

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

run: setup-run plugins web ## Start server and dashboard, with a Docker engine of their own where none answers; ARGS="--listen 127.0.0.1:9000"
	$(CARGO_BUILD) --bin tiny-forge
	@.ci/run-server.sh $(ARGS)

test: formatted setup-test check unit integration browser ## Run everything that CI runs

build: setup-build plugins web ## Make one release binary with dashboard and plugins inside: dist/tiny-forge
	$(CARGO_BUILD) --release --bin tiny-forge
	@mkdir -p dist && cp $(CARGO_TARGET_DIR)/release/tiny-forge dist/tiny-forge
	@ls -lh dist/tiny-forge | awk '{print "dist/tiny-forge: " $$5}'

check: formatted setup-build web/node_modules/.package-lock.json ## Formatting, lints, licences, types
	cd web && npm run --silent lint && npm run --silent check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	$(BENCH_CARGO) clippy $(BENCH_FLAGS) --all-targets -- -D warnings
	cargo clippy $(EXTISM_FLAGS) --workspace --all-targets -- -D warnings
	.ci/deny.sh

bench: setup-bench build bench-tool extism ## Measure all there is to measure, beside nginx, nchan, Extism and the limit of the machine; ARGS=--quick
	$(CARGO_BUILD) --release --example hub --example guests --example hostile --example micro
	$(CARGO_BUILD) --example deliver
	.ci/instructions.sh --within '*Shard*run*' --times 50 --at-most 600 --figure $(BENCH_DIR)/instructions.json \
		"a delivery, 50 subscribers" $(DEBUG)/examples/deliver 50
	for round in 1 2 3; do $(RELEASE)/examples/micro > $(BENCH_DIR)/micro-$$round.json || exit; done
	$(BENCH) run --also $(BENCH_DIR)/instructions.json $(foreach round,1 2 3,--also $(BENCH_DIR)/micro-$(round).json) --hub $(RELEASE)/examples/hub --guests $(RELEASE)/examples/guests --hostile $(RELEASE)/examples/hostile $(EXTISM) --binary dist/tiny-forge --web web/build --examples examples/dist \
		--work $(BENCH_DIR) --out bench $(ARGS)

soak: setup-test plugins web bench-tool ## Fifty deploys by port and fifty by domain, under load; half an hour of clients of every kind, the server killed every five minutes; ARGS="--minutes 5"
	$(CARGO_BUILD) --example app
	DEPLOYS=50 $(CARGO_TEST) --test it -- zero_downtime --nocapture
	$(CARGO_BUILD) --release --example hub
	$(BENCH) soak --hub $(RELEASE)/examples/hub --work $(BENCH_DIR) $(ARGS)

plugins: setup-build ## Build first-party plugins to plugins/dist, examples to examples/dist
	$(CARGO_BUILD) --bin tiny-forge-plugin-build
	$(DEBUG)/tiny-forge-plugin-build --out plugins/dist $(PLUGINS:%=plugins/%)
	$(DEBUG)/tiny-forge-plugin-build --out examples/dist $(EXAMPLES:%=examples/plugins/%)

web: web/build/index.html ## Build the dashboard to web/build

unit: setup-build plugins web ## Tests without an engine
	$(CARGO_TEST) --lib --bins --test vital
	$(CARGO_TEST) --doc
	$(BENCH_CARGO) test $(BENCH_FLAGS)
	cd web && npm run --silent test

integration: setup-test plugins web bench-tool ## Tests of the plugin builder, and of the server on a real engine and registry; a short soak; the cost of a delivery and of a plugin's call
	@# What runs in containers there, which no test target brings along.
	$(CARGO_BUILD) --example app
	@# They wait for containers most of the time: two a core.
	$(CARGO_TEST) --test it -- --test-threads=4
	$(CARGO_BUILD) --example hub
	$(BENCH) soak --hub $(DEBUG)/examples/hub --work $(BENCH_DIR) $(SHORT_SOAK)
	$(CARGO_BUILD) --example deliver --example guests
	.ci/instructions.sh --within '*Shard*run*' --times 50 --at-most $(DELIVERY_MAX) \
		"a delivery, 50 subscribers" $(DEBUG)/examples/deliver 50
	.ci/instructions.sh --at-most $(CALL_MAX) "a call of a warm filter" \
		$(DEBUG)/examples/guests --wasm examples/dist/quiet-hours.wasm --config '{"from":"22:00","to":"06:00"}' --calls

# 217 when this was written; the raw limit, a bare send(), takes about 110.
DELIVERY_MAX := 280
# 80,000 when this was written: our own code is not optimised here.
CALL_MAX := 100000

# Two kills, and as many clients as a program that is not optimised serves.
SHORT_SOAK := --minutes 0.7 --kill-every 15 --subscribers 300 --rate 300 --all 0.3

browser: setup-test plugins web ## Tests of the dashboard in a real browser
	@# With failpoints it is the program that the tests above have built.
	$(CARGO_BUILD) --bin tiny-forge --features tiny-forge/failpoints
	cd web && TINY_FORGE_BIN=$(DEBUG)/tiny-forge npm run --silent test:e2e

api: web/node_modules/.package-lock.json ## Write core/openapi.json and the web client's types anew
	$(CARGO_BUILD) --bin tiny-forge
	$(DEBUG)/tiny-forge openapi > core/openapi.json.new
	mv core/openapi.json.new core/openapi.json
	cd web && npm run --silent api

bench-tool: setup-build
	$(BENCH_CARGO) build $(BENCH_FLAGS)

extism: setup-bench
	cargo build $(EXTISM_FLAGS)
	cargo build $(EXTISM_FLAGS) --package tiny-forge-bench-extism-guest --target wasm32-unknown-unknown

setup-build setup-run setup-test setup-bench: setup-%:
	@.ci/setup.sh $*

# First of all: it takes a second, the rest takes minutes.
formatted:
	cargo fmt --all --check
	cargo fmt --all --check --manifest-path bench/Cargo.toml
	cargo fmt --all --check --manifest-path bench/peers/extism/Cargo.toml

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci --no-fund --no-audit
	@touch $@

WEB_SOURCES := $(shell find web -type d \( -name node_modules -o -name build -o -name .svelte-kit -o -name e2e \
	-o -name test-results -o -name playwright-report \) -prune -o -type f -print)

web/build/index.html: web/node_modules/.package-lock.json $(WEB_SOURCES)
	cd web && npm run --silent build -- --logLevel warn
