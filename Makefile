# The few words a person types. `make help` lists them.
JOBS ?= $(shell nproc)
RUN_FLAGS ?= --demo

.PHONY: help run build dev test test-servers test-faults bench-servers check crash simulate sanitize bench image fuzz fresh clean
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 22

build: ## the release binary: build/release/jumun
	@tools/setup run
	@cmake --preset release >/dev/null
	@cmake --build build/release -j$(JOBS) --target jumun

run: build ## installs what is missing, builds, starts everything with demo data, prints the addresses
	@build/release/jumun up $(RUN_FLAGS)

dev: ## the debug binary with its tests and fault points
	@tools/setup run test
	@cmake --preset dev >/dev/null
	@cmake --build build/dev -j$(JOBS)

test: dev ## unit, conformance and HTTP tests
	@ctest --test-dir build/dev --output-on-failure -j$(JOBS)
	@tools/test-api

check: ## everything that fails a change: format, layers, analysers, clang, secrets, hardening
	@tools/setup run test check
	@tools/check

bench: build ## measures the platform and its parts, prints tables
	@tools/setup bench
	@set -e; for bench in $(wildcard tools/bench tools/bench-parts); do $$bench; done

bench-servers: build ## paid orders on PostgreSQL, Kafka and Redis, all on this machine
	@tools/setup bench servers
	@tools/bench-servers

crash: dev ## death at every fault point for CRASH_SECONDS, then kill -9 under load TORTURE times
	@tools/test-crash

test-servers: dev ## the drivers beside real servers, and the platform on them
	@tools/setup servers
	@tools/test-servers

test-faults: build ## orders come in while servers, network and processes fail (FAULT_RATE, FAULT_SHORT)
	@tools/setup servers
	@tools/test-faults

simulate: ## SEEDS seeds (default 2000) of the simulation, then every known mistake
	@tools/setup run
	@tools/simulate

sanitize: ## all tests under the address, undefined-behaviour and thread sanitizers
	@tools/setup run test
	@tools/sanitize

image: build ## the container image, built and tried, kept as build/jumun-VERSION.tar (root)
	@tools/setup image
	@tools/image

fuzz: ## each fuzz target for FUZZ_SECONDS (default 60)
	@tools/setup run fuzz
	@tools/fuzz

fresh: ## the README's two commands in a bare Debian 12
	@tools/setup fresh
	@tools/fresh

clean: ## removes what was built
	rm -rf build
