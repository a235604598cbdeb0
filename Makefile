# `make` alone lists the targets. Everything needed is installed into .venv; Rust, Python and a C compiler must be there.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
export PYO3_PYTHON := $(BIN)/python
export PIP_DISABLE_PIP_VERSION_CHECK := 1
IDE := examples/ide
PYTHONS ?= 3.9 3.10 3.12 3.13

.PHONY: help run run-torch test test-rust test-python test-pythons wheel lint bench bench-pit bench-check soak docs build native clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

# Markers stand for what is installed; a changed pyproject installs again.
$(VENV)/.base: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	-$(BIN)/pip uninstall -q -y symphony  # What this package was called before.
	$(BIN)/pip install -q 'maturin>=1.9,<2' 'cffi>=1.15' 'rich>=13' ruff
	touch $@

$(VENV)/.test: $(VENV)/.base
	$(BIN)/pip install -q 'hypothesis>=6' 'mypy>=1.11' 'numpy>=1.26' 'pyright[nodejs]>=1.1.380' 'pytest>=8' 'pytest-timeout>=2.3' 'pytest-xdist>=3.6'
	touch $@

$(VENV)/.torch: $(VENV)/.base
	$(BIN)/pip install -q numpy torch
	touch $@

# Also when a peer is added here.
$(VENV)/.bench: $(VENV)/.base Makefile
	$(BIN)/pip install -q 'pyzmq>=26' dependency-injector wireup dishka svcs lagom punq dioxide
	$(BIN)/pip install -q diskcache networkx pygit2
	touch $@

# Bytecode too, as pip does when it installs: without it each boot would compile, which costs 50 ms and 2 MiB.
build: $(VENV)/.base
	VIRTUAL_ENV=$(VENV) $(BIN)/maturin develop --release -q
	$(BIN)/python -m compileall -q python/symphony

native:
	cargo build --release -q -p lines -p words
	install -m 755 target/release/lines $(IDE)/extensions/lines/lines
	install -m 755 target/release/libwords.so $(IDE)/extensions/words/libwords.so

run: build native ## review the standard library with the example IDE
	$(BIN)/python $(IDE)/review.py

run-torch: build native $(VENV)/.torch ## the same under TorchPolicy
	$(BIN)/python $(IDE)/review.py --torch

test: test-rust test-python ## every test; nothing is skipped

test-rust: $(VENV)/.base
	cargo build -q -p words  # Its test loads the library from its file.
	cargo test -q --workspace --exclude symphony_py  # That crate is tested from Python.

# Files are run two at a time. What promises a time may fail for want of a processor: what failed is run again, with the
# machine to itself, and has to pass then.
test-python: build native $(VENV)/.test $(VENV)/.torch
	$(BIN)/python -m pytest -q -n 2 --dist loadfile || \
		$(BIN)/python -m pytest -q --last-failed --last-failed-no-failures none

test-pythons: native ## the Python tests on the other interpreters present; PYTHONS="3.9 3.13" names some
	.ci/pythons $(PYTHONS)

wheel: $(VENV)/.base native ## wheels for the interpreters present, and the sources, into target/wheels; each is tried
	.ci/wheels 3.11 $(PYTHONS)

lint: build $(VENV)/.test $(VENV)/.torch ## rustfmt, clippy, dependencies, ruff, mypy, pyright, stubtest
	cargo fmt --check
	cargo clippy -q --workspace --all-targets -- -D warnings
	$(BIN)/python -m pytest -q tests/layout/test_dependencies.py
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright -p pyproject.toml
	test -f python/symphony/_core.pyi
	$(BIN)/python -m mypy.stubtest symphony._core --allowlist tests/typing/stubtest-allowlist.txt

# Figures that depend on the interpreter are taken on each one that `make test-pythons` has built for, too.
EMPTY :=
BUILT = $(subst $(EMPTY) ,:,$(wildcard $(CURDIR)/target/pythons/*/venv/bin/python))

bench: build native $(VENV)/.bench $(VENV)/.torch ## ourselves and the peers side by side, then Criterion
	SYMPHONY_BENCH_PYTHONS='$(BUILT)' $(BIN)/python benches/side_by_side.py
	cargo bench -q -p benches

bench-pit: build native $(VENV)/.bench ## the Pit's rows alone, printed; less than three minutes
	$(BIN)/python benches/side_by_side.py --only pit --print

bench-check: build native $(VENV)/.bench $(VENV)/.torch ## measure the ratios again; fail where one is 15% worse than the table
	SYMPHONY_BENCH_PYTHONS='$(BUILT)' $(BIN)/python benches/side_by_side.py --check

soak: build native $(VENV)/.test $(VENV)/.torch ## boot loops and kill storms; takes more than an hour
	SYMPHONY_CASES=100000 cargo test -q -p boot_orchestrator --test random_graphs --test random_boots
	SYMPHONY_FAULTS=all cargo test -q -p pit --lib fault_table -- --nocapture
	SYMPHONY_CASES=1000000 cargo test -q -p pit --test spared_histories -- --nocapture
	SYMPHONY_CASES=20000 cargo test -q -p boot_orchestrator -p ipc --test 'interleavings*'
	$(BIN)/python -m pytest -q tests/soak -o addopts=--import-mode=importlib --timeout=3600
	.ci/pythons 3.12 3.13 -- tests/soak/test_hangs.py -o addopts=--import-mode=importlib

docs: build ## the diagrams of docs/boot.md, drawn from boots, and the Rust documentation
	$(BIN)/python tests/docs/boot_diagrams.py
	cargo doc --workspace --no-deps

clean: ## remove what was built and installed
	rm -rf target $(VENV) $(IDE)/extensions/lines/lines $(IDE)/extensions/words/libwords.so
