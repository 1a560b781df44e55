# What a developer runs; `make` alone lists it. .ci/run runs `lint test cases`.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

# Where the real issuers and clients of the tests are (tests/real/README.md); tests read the same variable.
export CAMBIO_REAL_DIR ?= $(CURDIR)/.real
FUZZ_SECONDS ?= 60
# In CI a Cargo.lock that does not match Cargo.toml is an error, not an update.
LOCKED := $(if $(CI),--locked)
NEXTEST := $(shell cargo nextest --version >/dev/null 2>&1 && echo yes)

.PHONY: help
help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

.PHONY: real
real: ## install the real parts that tests talk to (once per machine, then at once)
	tests/real/install.sh

.PHONY: test
test: real ## every test: unit, integration against real parts, documentation, and signatures, keys and exchanges with ring
	$(if $(NEXTEST),cargo nextest run $(LOCKED),cargo test $(LOCKED) --lib --bins --tests)
	cargo test $(LOCKED) --doc
	cargo test $(LOCKED) --no-default-features --features ring --lib -- jose:: mint:: verify:: trust:: secrets:: audit::chain
	cargo test $(LOCKED) --no-default-features --features ring --test jwks_cases --test exchange_tokens --test exchange_trust

.PHONY: lint
lint: ## formatting, clippy, documentation; a warning is an error
	cargo fmt --check
	cargo clippy $(LOCKED) --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc $(LOCKED) --no-deps

.PHONY: cases
cases: ## the shipped policies and roles: checked, their cases run, their layout
	cargo build $(LOCKED) -q --bin cambio
	target/debug/cambio policy check --config deploy/cambio.yaml policies
	target/debug/cambio policy test --config deploy/cambio.yaml --min-coverage 90 policies
	target/debug/cambio policy check --config examples/gitlab-secrets-manager/cambio.yaml
	target/debug/cambio policy test --config examples/gitlab-secrets-manager/cambio.yaml
	target/debug/cambio policy fmt --check policies

.PHONY: bench
bench: ## the numbers, with their bounds beside them; also as JSON under target/
	cargo bench $(LOCKED) --bench exchange --bench policy --bench secrets

.PHONY: bench-service
bench-service: real ## a whole deployment under its design load (some 15 minutes), over SQLite and over PostgreSQL with Redis
	cargo bench $(LOCKED) --bench service

# Needs cargo-fuzz (`cargo install cargo-fuzz`). Stable Rust with RUSTC_BOOTSTRAP=1 and no sanitizer is enough: the crate
# forbids unsafe code, so what fuzzing looks for is panics, hangs and wrong answers. One target: FUZZ=name make fuzz.
.PHONY: fuzz
fuzz: ## each fuzz target for FUZZ_SECONDS (60)
	for target in $${FUZZ:-$$(cargo fuzz list)}; do \
	  echo "== $$target"; \
	  RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none "$$target" -- -max_total_time=$(FUZZ_SECONDS); \
	done

.PHONY: clean
clean: ## build products, and the links to the real parts (their cache stays)
	cargo clean
	rm -rf .real
