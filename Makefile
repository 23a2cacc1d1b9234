# Two commands matter: `make run` and `make test`. Both need Rust, Node and make;
# the rest is installed by the lock files and by tests/install.

METKA := target/release/metka
WEB_SOURCES := $(shell find pixel dashboards -type f -not -path '*/node_modules/*' -not -path '*/dist/*' -not -path '*/test/*' 2>/dev/null)
CARGO_TOOLS := target/tools

.PHONY: run build test fuzz soak bench fmt lint audit size

## run: build everything, start it with the demo clinic, print the addresses
run: build
	$(METKA) serve --demo

## build: the release binary with everything it embeds
build: target/web.stamp
	cargo build --release --locked

## test: install what the tests need and pass them all (tests/run prints what each part took)
test:
	tests/run

## fuzz: each fuzz target for a minute (tests/fuzz SECONDS TARGET for one of them)
fuzz: target/web.stamp
	tests/fuzz 60

## soak: the fault tests at their full size (hours), with their figures, and ten minutes of each fuzz target
soak: build
	tests/soak

## bench: the numbers that the docs state, measured (most of an hour)
bench: build
	tests/install
	cargo bench --locked --bench bytes_per_hit
	cargo bench --locked --bench steps
	cargo bench --locked --bench rights
	cargo bench --locked --bench dashboard
	cargo bench --locked --bench fraud
	cargo bench --locked --bench addresses
	cargo bench --locked --bench load -- compare
	cargo bench --locked --bench load -- allocations
	cargo bench --locked --bench load -- instructions
	cargo bench --locked --bench micro
	cargo bench --locked --bench load -- idle
	cargo bench --locked --bench load -- sustained
	cargo bench --locked --bench load -- sustained --share 50 --dashboard

## fmt: rewrite the sources in house format
fmt:
	cargo fmt

## lint: formatting, clippy with warnings denied, TypeScript strict
lint: target/npm.stamp
	cargo fmt --check
	cargo clippy --release --locked --all-targets -- -D warnings
	npm run check --workspaces --if-present

## audit: licences, sources and bans of all dependencies; advisories where their database can be reached
audit: target/npm.stamp
	@command -v $(CARGO_TOOLS)/bin/cargo-deny >/dev/null || cargo install cargo-deny --locked --version 0.20.2 --root $(CARGO_TOOLS)
	$(CARGO_TOOLS)/bin/cargo-deny --locked check licenses sources bans
	@$(CARGO_TOOLS)/bin/cargo-deny --locked check advisories || echo "audit: the advisory database could not be reached or has findings: see above"
	node tests/audit-npm.mjs

## size: the numbers that README states: the script's size, the bytes of a stored hit
size: build
	npm run size --workspace @metka/pixel
	cargo bench --locked --bench bytes_per_hit

target/npm.stamp: package.json package-lock.json
	npm ci --no-audit --no-fund
	@mkdir -p target && touch $@

target/web.stamp: target/npm.stamp $(WEB_SOURCES)
	npm run build --workspace @metka/pixel --workspace @metka/dashboards
	@mkdir -p target && touch $@
