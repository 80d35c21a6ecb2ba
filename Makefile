PORT ?= 9000
VIA ?= direct
TARGET := $(or $(CARGO_TARGET_DIR),target)
TOOLS := target/tools
WEB := target/web
BROWSER := target/browser
API_TOOLS := target/api-tools
PAGES_PORT ?= 8080
LINT_TOOLS := target/lint-tools
# A stage of infra/samconfig.toml.
STAGE ?= dev
# Holds Corbado's published description of its Backend API.
CORBADO_SDK := @corbado/node-sdk@3.0.2
SANDBOX := $(TARGET)/debug/sandbox

# A workspace of its own.
BENCH := tests/bench/Cargo.toml
HARNESS := $(TARGET)/bench/harness/harness
BENCH_NODE := $(TARGET)/bench/node

.PHONY: help run invoke watch web browser api-tools test test-shims test-infra attacks fuzz chaos deny advisories check fmt \
	lint doc compile deployable build deploy smoke redrive bench bench-instructions bench-capacity bench-node harness tools lint-tools

help: ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

run: compile web ## Serve the demo on http://localhost:8080 (PAGES_PORT=…), the functions on 127.0.0.1:9000 (PORT=…).
	$(SANDBOX) run --port $(PORT) --pages-port $(PAGES_PORT) $(ARGS)

invoke: $(SANDBOX) ## Send events/F/E.json to the running functions: F=post-append E=first-passkey [VIA=url].
	@$(SANDBOX) invoke $(F) $(E) --via $(VIA) --port $(PORT)

$(SANDBOX):
	@$(MAKE) compile

watch: tools compile web ## The same with the functions under cargo-lambda: edit, save, click again.
	$(SANDBOX) watch --port $(PORT) --pages-port $(PAGES_PORT) $(ARGS) --cargo-lambda $(TOOLS)/bin/cargo-lambda

test: tools compile deployable web browser api-tools test-shims test-infra ## Run all tests; installs what they need below target/.
	cargo test --workspace --locked --no-fail-fast

test-shims: compile web ## Run what is pasted into Corbado against the real functions.
	node --test --test-reporter=spec tests/corbado/*.test.mjs

test-infra: tools lint-tools deployable ## Lint the template and the pipeline, deploy the template on an emulator.
	$(TOOLS)/bin/python -B -m unittest discover -s tests/infra

attacks: tools compile deployable ## Attack the real binaries: a table of attacks and refusals.
	cargo test --workspace --locked --test attacks -- --nocapture

# Of inputs there is no end, so the time decides.
fuzz: compile ## Fuzz each parser for FUZZ_SECONDS (10).
	BOLERO_RANDOM_ITERATIONS=1000000000 BOLERO_RANDOM_TEST_TIME_MS=$(or $(FUZZ_SECONDS),10)000 \
		cargo test --workspace --locked --test fuzz -- --nocapture

chaos: compile ## Let systems fail and kill processes under 20 500 calls (CHAOS_SEED=1).
	CHAOS_SEED=$(or $(CHAOS_SEED),1) CHAOS_APPENDS=10000 CHAOS_LOGINS=10000 CHAOS_CHALLENGES=500 \
		cargo test --workspace --locked --test chaos -- --nocapture

deny: lint-tools ## Check the dependencies' licences, bans and sources.
	$(LINT_TOOLS)/bin/cargo-deny --locked --config .cargo/deny.toml check --deny warnings licenses bans sources

advisories: lint-tools ## Look for known weaknesses of the dependencies; fetches the RustSec database.
	$(LINT_TOOLS)/bin/cargo-deny --locked --config .cargo/deny.toml check advisories

check: fmt lint deny doc test ## Run what CI runs.

fmt: ## Check the formatting.
	cargo fmt --all --check
	cargo fmt --manifest-path $(BENCH) --all --check

lint: ## Run clippy; a warning is an error.
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy --manifest-path $(BENCH) --target-dir $(TARGET)/bench -p harness -p hello --locked -- -D warnings

doc: ## Build the documentation; a warning is an error.
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

compile: ## Compile everything for this machine. Always the whole workspace: one set of features, compiled once.
	@command -v cargo >/dev/null || { echo "Rust 1.94.1 or later is needed: https://rustup.rs"; exit 1; }
	cargo build --workspace --locked

web: $(WEB)/connect.js ## Bundle Corbado's web components for the demo.

$(WEB)/connect.js: $(wildcard crates/sandbox/web/package*.json crates/sandbox/web/build.mjs crates/sandbox/web/src/*)
	@command -v npm >/dev/null || { echo "Node.js 20 or later with npm is needed: https://nodejs.org"; exit 1; }
	@mkdir -p $(WEB)
	cp -R crates/sandbox/web/package.json crates/sandbox/web/package-lock.json crates/sandbox/web/build.mjs crates/sandbox/web/src $(WEB)/
	cd $(WEB) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && node build.mjs

browser: $(BROWSER)/.installed ## Install what drives the browser, and Corbado's SDK, for tests.

$(BROWSER)/.installed: $(wildcard tests/browser/package*.json)
	@mkdir -p $(BROWSER)
	cp $^ $(BROWSER)/
	cd $(BROWSER) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

api-tools: $(API_TOOLS)/.installed ## Install what tries the Backend API by its description.

$(API_TOOLS)/.installed: tests/api-requirements.txt
	python3 -m venv $(API_TOOLS)
	$(API_TOOLS)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# Named one by one: with the whole workspace the tests' features would come along.
FUNCTIONS := -p pre-login -p post-login -p post-append -p auth-api -p custom-auth

deployable: ## Compile the functions with the features of what is deployed, quickly: for tests.
	cargo build --profile deployable --locked --no-default-features $(FUNCTIONS)

# What Lambda runs: ARCH=x86_64 or arm64, or what this machine is.
ARCH ?= $(shell uname -m)
MACHINE := $(patsubst arm64,aarch64,$(ARCH))
LAMBDA_TARGET := $(MACHINE)-unknown-linux-musl
# cargo-lambda's zig compiles the little C in ring for any machine. As a linker it would fix the address: those of .cargo/config.toml.
build: export CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER = rust-lld
build: export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER = $(CURDIR)/.cargo/static-pie
build: tools ## Build what is deployed below target/lambda (ARCH=arm64, DEFER=1: with the queue client).
	@command -v rustup >/dev/null || { echo "rustup is needed: it brings $(LAMBDA_TARGET)"; exit 1; }
	rustup target add $(LAMBDA_TARGET)
	PATH="$(CURDIR)/$(TOOLS)/bin:$$PATH" $(TOOLS)/bin/cargo-lambda lambda build --target $(LAMBDA_TARGET) --release --locked \
		--no-default-features $(if $(F),-p $(F),$(FUNCTIONS)) $(if $(DEFER),--features post-append/defer)

# The pipeline deploys what another job has built, so nothing is built here.
deploy: lint-tools ## Deploy target/lambda to AWS (STAGE=dev).
	$(LINT_TOOLS)/bin/sam deploy --template infra/template.yaml --config-env $(STAGE)

smoke: lint-tools ## Ask a deployment whether it answers and refuses strangers (STAGE=dev).
	$(LINT_TOOLS)/bin/sam list stack-outputs --config-file infra/samconfig.toml --config-env $(STAGE) --output json | python3 infra/smoke

# F=post-append builds and counts that one only; UPDATE=1 writes the counts instead of comparing them.
bench-instructions: build harness ## Count instructions by callgrind; fails where they rise by 5 % (F=…, UPDATE=1).
	@command -v valgrind >/dev/null || { echo "valgrind is needed: apt-get install valgrind"; exit 1; }
	$(HARNESS) instructions functions=$(TARGET)/lambda baseline=tests/bench/instructions.json $(if $(F),only=$(F)) \
		$(if $(UPDATE),update=1)

bench: build harness bench-node ## Time cold starts and warm invocations against Node and other Rust; prints a table (COLD=20 WARM=3).
	cargo build --manifest-path $(BENCH) --target-dir $(TARGET)/bench --release --locked -p hello -p default-features
	$(HARNESS) time functions=$(TARGET)/lambda foreign=$(TARGET)/bench/release node=$(BENCH_NODE) \
		cold=$(or $(COLD),20) warm=$(or $(WARM),3) out=$(TARGET)/bench/times.json

bench-capacity: harness ## Print the figures of tests/bench/capacity.md; after `make bench`. Takes two minutes.
	$(HARNESS) capacity functions=$(TARGET)/lambda times=$(TARGET)/bench/times.json

# The handlers in JavaScript: unbundled with what they need, and bundled the smallest way that esbuild knows.
bench-node:
	rm -rf $(BENCH_NODE) && mkdir -p $(BENCH_NODE)/production
	cp tests/bench/node/* $(BENCH_NODE) && cp tests/bench/node/package*.json $(BENCH_NODE)/production
	npm ci --silent --prefix $(BENCH_NODE) && npm ci --silent --omit=dev --prefix $(BENCH_NODE)/production
	cd $(BENCH_NODE) && node_modules/.bin/esbuild post-append.mjs pre-login.mjs --bundle --minify --platform=node --target=node20 \
		--format=esm --main-fields=module,main --out-extension:.js=.mjs --outdir=bundled --log-level=warning \
		--banner:js="import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"

harness:
	cargo build --manifest-path $(BENCH) --target-dir $(TARGET)/bench --profile harness --locked -p harness

tools: $(TOOLS)/.installed ## Install the test tools (emulator, cargo-lambda) below target/.

$(TOOLS)/.installed: tests/requirements.txt tests/amplify/package-lock.json Makefile
	python3 -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	cd $(TOOLS) && rm -rf package && npm pack --silent $(CORBADO_SDK) | xargs tar -xzf
	mkdir -p $(TOOLS)/amplify && cp tests/amplify/package*.json $(TOOLS)/amplify && npm ci --silent --prefix $(TOOLS)/amplify
	@touch $@

redrive: lint-tools ## Try updates again that could not be made (STAGE=dev); see infra/RUNBOOK.md.
	$(LINT_TOOLS)/bin/sam list stack-outputs --config-file infra/samconfig.toml --config-env $(STAGE) --output json \
		| python3 -c 'import json, sys; print(next(it["OutputValue"] for it in json.load(sys.stdin) if it["OutputKey"] == "DeferredDeadLetterQueueArn"))' \
		| xargs aws sqs start-message-move-task --source-arn

lint-tools: $(LINT_TOOLS)/.installed ## Install what lints and deploys below target/.

# Apart from the test tools: both pin the AWS libraries, and not to the same versions.
$(LINT_TOOLS)/.installed: tests/infra/requirements.txt
	python3 -m venv $(LINT_TOOLS)
	$(LINT_TOOLS)/bin/pip install --quiet --disable-pip-version-check -r tests/infra/requirements.txt
	@touch $@
