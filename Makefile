# The two commands a newcomer needs are `make run` and `make test`. `make help` lists the rest.
CARGO ?= cargo


.PHONY: help run demo test check unit load soak bench fuzz mutants chart page image newcomer deny clean

help: ## Say what can be made.
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: ## Start Countersign on its embedded defaults and say what to type next.
	$(CARGO) run --release --locked --bin countersign -- serve

demo: ## Show it at work: an authority, a registry, pulls and reviews, with nothing but this machine.
	$(CARGO) build --release --locked --bin countersign --bin countersign-demo
	$${CARGO_TARGET_DIR:-target}/release/countersign-demo $(DEMO)

test: ## Install what the tests need, and run all of them.
	tools=$$(scripts/install-tools base e2e kubernetes | sed 's,/[^/]*$$,,' | paste -sd :) && PATH="$$tools:$$PATH" \
	$(CARGO) test --locked --workspace --features gateway/e2e,cache/e2e

unit: ## Run the tests that need nothing installed.
	$(CARGO) test --locked --workspace

check: ## Formatting, lints and documentation, with warnings denied.
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --document-private-items

load: ## Measure the warm and cold paths, and print a baseline.
	loadtest/run

soak: ## Play a mixture for half an hour, and watch what grows. MINUTES says for how long.
	loadtest/run --soak $(or $(MINUTES),30)

bench: ## Measure the parts, each beside the least that its work could cost.
	$(CARGO) bench --locked --workspace --bench '*'

fuzz: ## Feed every parser what nobody would write, a minute each.
	scripts/fuzz

mutants: ## Break what decides about signatures, one place at a time, and say what no test notices.
	scripts/mutants

chart: ## Check what the Helm chart renders, that its alerts fire, and what a real API server makes of it.
	scripts/chart --cluster

newcomer: ## Do what README says, as it is printed, in an empty clone.
	scripts/newcomer

page: ## Look at the page of a gateway at work, in a headless browser.
	scripts/page

image: ## Make the container image of the last commit, and start it.
	scripts/image --check

deny: ## Check which crates the product is made of, under which licences and from where.
	scripts/deny

clean: ## Remove what was built.
	$(CARGO) clean
