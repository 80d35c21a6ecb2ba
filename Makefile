PORT ?= 9000
VIA ?= direct
TARGET := $(or $(CARGO_TARGET_DIR),target)
TOOLS := target/tools
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

.PHONY: help run invoke watch test test-shims test-infra check fmt lint doc compile deployable build deploy smoke \
	bench bench-instructions bench-capacity bench-node harness tools lint-tools

help: ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

run: compile ## Seed the demo users and serve the functions on 127.0.0.1:9000 (PORT=…).
	$(SANDBOX) run --port $(PORT)

invoke: $(SANDBOX) ## Send events/F/E.json to the running functions: F=post-append E=first-passkey [VIA=url].
	@$(SANDBOX) invoke $(F) $(E) --via $(VIA) --port $(PORT)

$(SANDBOX):
	@$(MAKE) compile

watch: tools compile ## Serve the functions under cargo-lambda: edit, save, call again.
	$(SANDBOX) watch --port $(PORT) --cargo-lambda $(TOOLS)/bin/cargo-lambda

test: tools compile deployable test-shims test-infra ## Run all tests; installs what they need below target/.
	cargo test --workspace --locked

test-shims: compile ## Run what is pasted into Corbado against the real functions.
	node --test --test-reporter=spec tests/corbado/*.test.mjs

test-infra: tools lint-tools deployable ## Lint the template and the pipeline, deploy the template on an emulator.
	$(TOOLS)/bin/python -B -m unittest discover -s tests/infra

check: fmt lint doc test ## Run what CI runs.

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

# Named one by one: with the whole workspace the tests' features would come along.
FUNCTIONS := -p pre-login -p post-login -p post-append -p auth-api -p custom-auth

deployable: ## Compile the functions with the features of what is deployed, quickly: for tests.
	cargo build --profile deployable --locked --no-default-features $(FUNCTIONS)

build: tools ## Build what is deployed, for Lambda, below target/lambda (ARCH=arm64).
	PATH="$(CURDIR)/$(TOOLS)/bin:$$PATH" $(TOOLS)/bin/cargo-lambda lambda build --release --locked --no-default-features $(FUNCTIONS) \
		$(if $(ARCH),--$(subst _,-,$(ARCH)))

# The pipeline deploys what another job has built, so nothing is built here.
deploy: lint-tools ## Deploy target/lambda to AWS (STAGE=dev).
	$(LINT_TOOLS)/bin/sam deploy --template infra/template.yaml --config-env $(STAGE)

smoke: lint-tools ## Ask a deployment whether it answers and refuses strangers (STAGE=dev).
	$(LINT_TOOLS)/bin/sam list stack-outputs --config-file infra/samconfig.toml --config-env $(STAGE) --output json | python3 infra/smoke

# F=post-append counts that one only, which is what CI has time for; UPDATE=1 writes the counts instead of comparing them.
bench-instructions: harness ## Count instructions by callgrind; fails where they rise by 5 % (F=…, UPDATE=1).
	@command -v valgrind >/dev/null || { echo "valgrind is needed: apt-get install valgrind"; exit 1; }
	cargo build --release --locked --no-default-features $(if $(F),-p $(F),$(FUNCTIONS))
	$(HARNESS) instructions functions=$(TARGET)/release baseline=tests/bench/instructions.json $(if $(F),only=$(F)) \
		$(if $(UPDATE),update=1)

bench: harness bench-node ## Time cold starts and warm invocations against Node and other Rust; prints a table (COLD=20 WARM=3).
	cargo build --release --locked --no-default-features $(FUNCTIONS)
	cargo build --manifest-path $(BENCH) --target-dir $(TARGET)/bench --release --locked -p hello -p default-features
	$(HARNESS) time functions=$(TARGET)/release foreign=$(TARGET)/bench/release node=$(BENCH_NODE) \
		cold=$(or $(COLD),20) warm=$(or $(WARM),3) out=$(TARGET)/bench/times.json

bench-capacity: harness ## Print the figures of tests/bench/capacity.md; after `make bench`. Takes two minutes.
	$(HARNESS) capacity functions=$(TARGET)/release times=$(TARGET)/bench/times.json

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

lint-tools: $(LINT_TOOLS)/.installed ## Install what lints and deploys below target/.

# Apart from the test tools: both pin the AWS libraries, and not to the same versions.
$(LINT_TOOLS)/.installed: tests/infra/requirements.txt
	python3 -m venv $(LINT_TOOLS)
	$(LINT_TOOLS)/bin/pip install --quiet --disable-pip-version-check -r tests/infra/requirements.txt
	@touch $@
