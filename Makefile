# Every target sets up what it needs (.ci/prepare); only cargo, rustc, gcc, make and python3 >= 3.10 must be there.

BIN := .venv/bin
PYTHON := $(BIN)/python
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help demo test test-rust test-python test-pythons lint docs bench bench-store bench-django bench-plugin bench-start bench-history bench-open bench-seal bench-kills crash fuzz race format header capi capi-test cinstall-test install package clean

help:
	@echo 'make demo    the story of README.md on a real file of 200 MB, with proof and milliseconds'
	@echo 'make test    all tests: Rust, Python, documentation'
	@echo 'make test-pythons    the wheel with each Python from 3.10 to 3.14 that is there; PYTHONS="3.12 /opt/bin/python3.14": with these'
	@echo 'make lint    formatting, clippy, rustdoc, ruff, mypy, stubs'
	@echo 'make docs    the documentation site, in target/site'
	@echo 'make bench   measures the table of README.md (bench-store, -history, -open, -seal, -kills: benches/README.md)'
	@echo 'make crash   kills writers and rewinds at random instructions and at each step, cuts the power, checks what is left'
	@echo 'make fuzz    random operations against a model, then libFuzzer for TIME seconds a target (nightly compiler)'
	@echo 'make capi    libdbrewind.so, libdbrewind.a and the programs dbrewind, -keeper and -conformance, in target/capi'
	@echo 'make install PREFIX=/usr/local    them, the headers, and what pkg-config and CMake look for'
	@echo 'make bench-plugin    what the pytest plugin costs a test'
	@echo 'make race    threads on one store under ThreadSanitizer (nightly compiler, rust-src)'

# The package, compiled with the release profile and installed into .venv. Cargo knows what is up to date.
package:
	@.ci/prepare build
	@echo 'Building the package: some minutes the first time; .venv/package.log grows meanwhile'
	@VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/maturin develop --release >.venv/package.log 2>&1 || { cat .venv/package.log; exit 1; }

# include/dbrewind.h, from the sources of the C interface. That it is fresh `make test` and `make lint` look at.
header:
	DBREWIND_WRITE_HEADER=1 cargo test --package dbrewind-capi header

capi:
	cargo build --release --package dbrewind-capi
	cargo build --release --package dbrewind-keeper --bin dbrewind-keeper
	cargo build --release --package dbrewind-cli --bin dbrewind
	cargo build --release --package dbrewind-conformance
	cargo build --release --package dbrewind-preload
	rust/capi/link target/release/libdbrewind_c.a target/capi
	@cp target/release/dbrewind-keeper target/release/dbrewind target/release/dbrewind-conformance \
		target/release/libdbrewind_preload.so target/capi/

# DESTDIR as usual.
PREFIX ?= /usr/local
install: capi
	rust/capi/install target/capi $(PREFIX)

# By itself: with the rest of the workspace it would be linked with the SQLite of the keeper.
capi-test:
	cargo build --package dbrewind-capi
	rust/capi/link target/debug/libdbrewind_c.a target/debug/capi

# What cargo-c installs, beside what `make install` does (rust/docs/c-abi.md, "Installing"). Skips, and says so, where cargo-c is missing.
cinstall-test:
	tests/capi/cinstall target/cinstall

demo: package
	@$(PYTHON) tests/demo/demo.py

test: test-rust test-python

# The extension and the preloaded library first: tests load what they build.
test-rust: capi-test
	@.ci/prepare build
	@.ci/prepare shell
	@.ci/prepare zstd
	@.ci/prepare c
	cargo build --package dbrewind-extension --package dbrewind-preload
	cargo test --workspace
	cargo test --package dbrewind-core --features fault --test sealing_killed --test window_killed
	cargo test --package dbrewind-volume --features fault --test killed
	cargo test --package dbrewind-sqlite --package dbrewind-tests --features dbrewind-tests/fault \
		--test wal_killed --test window_killed --test room_taken --test faults --test stopped --test journal_switch

# What the plugin does with the oldest pytest that it is for, on the oldest Python that is there, and without any other plugin: single tests
# that need one are skipped here, and only here and in test-pythons under CI, too.
PLUGIN_TESTS := $(addprefix tests/python/test_plugin,.py _ends.py _base.py _layers.py _options.py _leaks.py _planted.py _writers.py _holders.py)

test-python: package
	@.ci/prepare checks
	@.ci/prepare shell
	@.ci/prepare k6
	cargo build --package dbrewind-extension
	$(PYTHON) -m pytest
	@.ci/prepare oldest
	env -u CI .venv/oldest/bin/python -m pytest $(PLUGIN_TESTS)

# Tests that need no package but pytest. Not part of `make test`: some minutes for each Python.
PYTHON_TESTS := $(PLUGIN_TESTS) $(addprefix tests/python/test_,plugin_target.py plugin_inexact.py api.py arguments.py command.py docstrings.py \
	doctor.py errors.py fork.py journal_mode.py keeper.py lifetime.py limit.py moments.py moving.py past.py pickling.py sealing.py \
	second_process.py signals.py store_taken_away.py threads.py time.py unrecorded.py wal_chain.py window.py)

test-pythons:
	@.ci/prepare build
	@.ci/prepare shell
	cargo build --package dbrewind-extension
	PYTHONS='$(PYTHONS)' .ci/test-pythons $(PYTHON_TESTS)

lint: package
	@.ci/prepare checks
	cargo fmt --all --check
	cargo fmt --manifest-path benches/store/Cargo.toml --check
	cargo fmt --manifest-path tests/fuzz/Cargo.toml --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy --manifest-path benches/store/Cargo.toml --target-dir target/apart --no-default-features -- -D warnings
	cargo clippy --manifest-path tests/fuzz/Cargo.toml --target-dir target/apart -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc --quiet --workspace --no-deps
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	LOCUST_SKIP_MONKEY_PATCH=1 $(PYTHON) -m mypy.stubtest dbrewind --mypy-config-file pyproject.toml --allowlist .ci/stubtest-allowlist

docs:
	@.ci/prepare checks
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --config-file python/docs/mkdocs.yml

# QUICK=1 shows in a minute that everything runs; BENCH_ARGS selects a part (benches/README.md). Of themselves
# only whole runs change the table of README.md.
# A rival whose package cannot be installed is reported in the result.
bench: package
	-@$(PYTHON) -m pip install --disable-pip-version-check --quiet -r benches/compare/requirements.txt
	@PYTHONPATH=benches $(PYTHON) -m compare $(if $(QUICK),--quick) $(BENCH_ARGS)
	@$(if $(QUICK)$(BENCH_ARGS),,PYTHONPATH=benches $(PYTHON) -m compare.readme)

# Resets in the mixed Django suite beside plain Django's flush, recorded; QUICK=1 records nothing.
bench-django: package
	@.ci/prepare checks
	@PYTHONPATH=benches $(PYTHON) benches/mixed_django.py $(if $(QUICK),--rounds 1,--record \
	benches/record/$$(PYTHONPATH=benches python3 -c 'from compare.machine import name; print(name())')-$$(date +%F)-django) $(BENCH_ARGS)

# What the pytest plugin costs a test, clean or dirty, beside its twin without the plugin; recorded as the one above, in some two minutes.
bench-plugin: package
	@.ci/prepare checks
	@PYTHONPATH=benches $(PYTHON) benches/plugin.py $(if $(QUICK),--turns 40 --pairs 2,--record \
	benches/record/$$(PYTHONPATH=benches python3 -c 'from compare.machine import name; print(name())')-$$(date +%F)-plugin) $(BENCH_ARGS)

# Appends to the store beside other logs (benches/store), recorded as the one above; QUICK=1 records nothing.
bench-store:
	cargo build --release --manifest-path benches/store/Cargo.toml --target-dir target/bench-store
	@mkdir -p benches/scratch
	BENCH_FOLDER=benches/scratch target/bench-store/release/dbrewind-bench-store $(if $(QUICK),--quick,--record \
	benches/record/$$(PYTHONPATH=benches python3 -c 'from compare.machine import name; print(name())')-$$(date +%F)-append) $(BENCH_ARGS)

# What the pytest plugin adds to a session that does not use it: milliseconds of its import, and of its part of the start. Records nothing.
bench-start: package
	@.ci/prepare checks
	@$(PYTHON) benches/plugin_start.py $(BENCH_ARGS)

# The three below are programs of their own, recorded as the ones above. QUICK=1 takes what `make test` has compiled, is over in seconds,
# shows that they run, and records nothing.
example = cargo build $(if $(QUICK),,--release )--package dbrewind-$(1) --example $(2)$(if $(3), --features $(3)) && mkdir -p benches/scratch && \
	target/$(if $(QUICK),debug,release)/examples/$(2) benches/scratch/$(2)
record_as = $(if $(QUICK),,--record benches/record/$$(PYTHONPATH=benches python3 -c 'from compare.machine import name; print(name())')-$$(date +%F)-$(1))

# What a history of IMAGES page images costs: opening the database, and a rewind to a random moment beside one to a recent mark.
IMAGES ?= $(if $(QUICK),3000,1000000)
bench-history:
	$(call example,sqlite,history_cost) $(call record_as,history-$(subst $() ,-,$(strip $(IMAGES) $(HISTORY_ARGS)))) $(IMAGES) $(HISTORY_ARGS)
	@rm -rf benches/scratch/history_cost

# How long a store of 20 GiB in 80 segments takes to open.
bench-open:
	$(call example,core,open_cost,fuzzing) $(call record_as,open) $(if $(QUICK),4 500)
	@rm -rf benches/scratch/open_cost

# Kills of four writers to one store, and what the next writer waits. The only campaign that records: KILLS=50 with QUICK=1.
KILLS ?= $(if $(QUICK),50,1000)
bench-kills:
	cargo build --release --package dbrewind-tests --features fault --bin crash
	target/release/crash --appends $(KILLS) $(call record_as,kills)

# What sealing makes of 100-row rounds, a shop and a wiki. SEAL_ARGS: some of these by name, "1,000 rounds".
bench-seal:
	$(call example,sqlite,seal_cost) $(call record_as,seal) $(if $(QUICK),--quick) $(SEAL_ARGS)
	@rm -rf benches/scratch/seal_cost

# CRASH_ARGS: --kills N, --cuts N or --appends N [--record STEM], --seed S, --journal MODE, --verbose. With --faults N lives end at named steps, after
# at most N passes, beside --kills. The seed of a failure is printed.
crash:
	cargo build --release --package dbrewind-tests --features fault --bin crash
ifdef CRASH_ARGS
	target/release/crash $(CRASH_ARGS)
else
	target/release/crash --kills 500
	target/release/crash --kills 500 --faults 20
	target/release/crash --cuts 5000
	target/release/crash --appends 1000
endif

# Each run draws a new seed and prints it; DBREWIND_SEED replays one. TIME=0 leaves libFuzzer out, TARGETS selects some of
# tests/fuzz/targets. What it finds is in target/fuzz/artifacts; what it tried so far in target/fuzz/corpus, and goes on from there.
TIME ?= 60
fuzz:
	@export DBREWIND_ROUNDS=$${DBREWIND_ROUNDS:-20000}; \
	export DBREWIND_SEED=$${DBREWIND_SEED:-$$(od -An -N6 -tu8 /dev/urandom | tr -d ' ')}; \
	echo "DBREWIND_SEED=$$DBREWIND_SEED DBREWIND_ROUNDS=$$DBREWIND_ROUNDS"; \
	cargo test --release --package dbrewind-tests --test model -- --nocapture
ifneq ($(TIME),0)
	@.ci/prepare fuzz
	tests/fuzz/run $(TIME) $(TARGETS)
endif

# The standard library and zstd are compiled for the sanitizer, too, so that it knows of all that orders two threads; that takes nightly's
# `rust-src`. Only the order of memory counts for it, not that of calls of the system (`io_sync=0`).
race:
	DBREWIND_ROUNDS=$${DBREWIND_ROUNDS:-100} CFLAGS=-fsanitize=thread \
	TSAN_OPTIONS="io_sync=0 history_size=4 suppressions=$(CURDIR)/rust/core/tests/race.supp" \
	RUSTFLAGS='-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer' \
	cargo +nightly test -Zbuild-std --package dbrewind-core --test threads --test all_at_once --target-dir target/race \
	--target $$(rustc -vV | sed -n 's/^host: //p') -- threads_

format:
	@.ci/prepare checks
	cargo fmt --all
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	cargo clean
	rm -rf .venv dist python/dbrewind/*.so
