# Everything happens in .venv and target; nothing is installed outside the checkout.
#
#   make demo      set up and show what the hub does       make lint     formatters, linters, types, drift
#   make test      set up and run all tests                make protos   generate what comes from protos/
#   make kills     SIGKILL under load, KILLS=100 times
#   make bench-history HISTORY=1000000  what years of history cost
#   make bench-peers  the same job done by PostgreSQL, side by side
#   make bench-snapshot PERSONS=1000000  what a snapshot costs those who settle, and saves at a start
#   make bench-persons PERSONS=1000000  what a person takes of memory, and whether settlements cost more among many
#   make faults    failing calls, full disks, power cuts: FAULT_CALLS=20 calls of a kind, CUTS=20 cuts
#   make fuzz      invented requests, frames and journals, FUZZ_SECONDS=60 for each target
#   make golden    keep what this version writes, once for every release
#   make race      RACE=100000 settlements over gRPC against one loss report
#   make simulate  SEEDS=20000 simulated histories with crashes anywhere, or the one of SEED=7
#   make mutants   plant known bugs in a copy and show that the simulator catches each
#   make secrets   show by Valgrind that no key decides where the processor goes or what it reads
#   make develop   install editable, for work on Python    make bench    all benchmarks in one table

PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)

VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
# The lock file is held to in a checkout. A source distribution has fewer crates, so its own lock file is pruned.
PIP := MATURIN_PEP517_ARGS=--locked $(BIN)/python -m pip --disable-pip-version-check --quiet
# The interpreter that the binding is built against, whichever cargo command builds it.
export PYO3_PYTHON := $(BIN)/python

# What ends up in the installed package: a change of any of it makes the installation stale.
SOURCES := pyproject.toml Cargo.toml Cargo.lock \
	$(shell find rust -type f \( -name '*.rs' -o -name Cargo.toml \)) \
	$(shell find python -type f \( -name '*.py' -o -name '*.pyi' -o -name '*.json' \) -not -path '*/.*')

.DEFAULT_GOAL := demo
.PHONY: demo test kills race simulate mutants secrets faults fuzz golden lint venv develop protos \
	bench bench-report bench-peers bench-history bench-snapshot bench-persons clean

demo: $(VENV)/installed
	$(BIN)/medsettle demo

test: venv
	cargo test --locked
	$(BIN)/pytest

# How often the hub dies under load; each time takes about two seconds.
KILLS ?= 100
HISTORY ?= 100000

kills: venv
	MEDSETTLE_KILLS=$(KILLS) $(BIN)/pytest tests/e2e/test_kill.py --numprocesses=0

# How many calls of a kind are failed or made the last, and how often the power is cut under load on each file system.
FAULT_CALLS ?= 20
CUTS ?= 20

faults: venv
	MEDSETTLE_FAULT_CALLS=$(FAULT_CALLS) MEDSETTLE_CUTS=$(CUTS) $(BIN)/pytest tests/faults --numprocesses=0

# Inputs that reach something new gather in target; what breaks a rule is left beside them and printed.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS := request record frame recovery
FUZZ_FOUND := $(CURDIR)/target/fuzz-found

fuzz:
	@command -v cargo-fuzz >/dev/null || { echo "this needs cargo-fuzz: cargo install --locked cargo-fuzz" >&2; exit 1; }
	@for target in $(FUZZ_TARGETS); do \
		mkdir -p $(FUZZ_FOUND)/$$target && \
		(cd tests/fuzz && CARGO_TARGET_DIR=$(CURDIR)/target/fuzz cargo fuzz run --fuzz-dir . --sanitizer none $$target \
			$(FUZZ_FOUND)/$$target corpus/$$target -- -max_total_time=$(FUZZ_SECONDS) -max_len=8192 -verbosity=0 \
			-print_final_stats=1 -artifact_prefix=$(FUZZ_FOUND)/$$target-) || exit 1; \
	done

golden: venv
	$(BIN)/python tests/python/golden.py

# How many settlements race one loss report.
RACE ?= 100000

race: venv
	MEDSETTLE_RACE=$(RACE) $(BIN)/pytest tests/e2e/test_race.py --numprocesses=0

# How many simulated histories; or the one to repeat.
SEEDS ?= 20000
SEED ?=

simulate: $(BIN)/python
	MEDSETTLE_SEEDS=$(SEEDS) MEDSETTLE_SEED=$(SEED) cargo test --release --locked --package medsettle-tests --test engine \
		simulator::as_many_histories_as_were_asked_for -- --exact --ignored --nocapture

mutants: $(BIN)/python
	$(BIN)/python tests/python/mutants.py

# Needs valgrind. With the line numbers of the code, by which reports are told apart.
secrets:
	CARGO_PROFILE_RELEASE_DEBUG=line-tables-only cargo test --release --locked --package medsettle-cryptogram --features card \
		--test hidden_key -- --ignored

lint: venv
	cargo fmt --check
	cargo clippy --locked --workspace --all-targets -- --deny warnings
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/buf lint protos
	$(BIN)/python protos/generate.py --check

venv: $(VENV)/installed-for-work

develop: venv
	$(BIN)/maturin develop --release --locked

protos: venv
	$(BIN)/python protos/generate.py
	cargo run --locked --package medsettle-wire --example generate

# Persons of those benchmarks that ask how many there are: enough for a table, and few enough to wait for.
BENCH_PERSONS ?= 100000
BENCH_DIR := $(CURDIR)/target/bench
# Where every benchmark notes its figures, this one alone or all of them; of a name the last counts.
FIGURES := MEDSETTLE_BENCH_FIGURES=$(BENCH_DIR)/figures.jsonl

bench: venv
	$(PIP) install '.[bench]'
	rm -rf target/criterion $(BENCH_DIR)
	mkdir -p $(BENCH_DIR)
	$(FIGURES) PERSONS=$(BENCH_PERSONS) cargo bench --locked --package medsettle-benches
	$(FIGURES) $(BIN)/pytest benches --numprocesses=0 --override-ini=pythonpath=benches/python
	$(FIGURES) $(BIN)/python benches/python/embedded.py --persons $(BENCH_PERSONS)
	$(FIGURES) $(BIN)/python benches/python/grpc_unary.py
	$(FIGURES) $(BIN)/python benches/python/grpc_stream.py
	$(FIGURES) $(BIN)/python benches/python/import_file.py --persons $(BENCH_PERSONS)
	$(FIGURES) $(BIN)/python benches/python/open_loop.py
	$(FIGURES) $(BIN)/python benches/python/loss_report.py
	$(FIGURES) $(BIN)/python benches/python/report.py

bench-report: venv
	$(FIGURES) $(BIN)/python benches/python/report.py

# Needs PostgreSQL with pgbench: apt-get install postgresql.
bench-peers: venv
	$(PIP) install '.[bench]'
	mkdir -p $(BENCH_DIR)
	$(FIGURES) $(BIN)/python benches/peers/postgres/compare.py

bench-history: $(BIN)/python
	mkdir -p $(BENCH_DIR)
	$(FIGURES) HISTORY=$(HISTORY) cargo bench --locked --package medsettle-benches --bench history

PERSONS ?= 1000000

bench-snapshot: $(BIN)/python
	mkdir -p $(BENCH_DIR)
	$(FIGURES) PERSONS=$(PERSONS) cargo bench --locked --package medsettle-benches --bench snapshot

bench-persons: $(BIN)/python
	mkdir -p $(BENCH_DIR)
	$(FIGURES) PERSONS=$(PERSONS) cargo bench --locked --package medsettle-benches --bench persons

clean:
	rm -rf .venv target dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	rm -f python/medsettle/_core*.so

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "medsettle needs Python 3.11 or newer; none was found (or set PYTHON=...)" >&2; exit 1; }
	@command -v cargo >/dev/null || { echo "medsettle needs a Rust toolchain: cargo was not found" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Both build the extension once, in target; whichever is newer serves both.
$(VENV)/installed: $(SOURCES) | $(BIN)/python
	@echo "building and installing medsettle; the first time takes some minutes"
	$(PIP) install .
	touch $@

$(VENV)/installed-for-work: $(SOURCES) | $(BIN)/python
	@echo "building and installing medsettle with its tools; the first time takes some minutes"
	$(PIP) install '.[bench,export,test,dev,protos]'
	touch $(VENV)/installed $@
