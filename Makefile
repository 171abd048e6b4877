# Two commands do everything: make demo, make test. Python 3.11 or newer, pip and make are needed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DEMO_FLAGS ?=
KILLS ?= 30
WORKERS ?= 2
BENCH_FLAGS ?=
STAGES ?= 100000,1000000,10000000

.PHONY: demo test lint kills kills-of-reads bench bench-growth bench-nation made pins clean

demo: $(VENV)/run.stamp ## installs, then runs ledger demo
	$(BIN)/ledger demo $(DEMO_FLAGS)

test: $(VENV)/test.stamp lint ## installs the test tools as well, then runs the whole suite, in so many processes: make test WORKERS=4
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

lint: $(VENV)/test.stamp
	$(BIN)/ruff format --check ledger projections api tests benchmarks
	$(BIN)/ruff check ledger projections api tests benchmarks
	$(BIN)/mypy

kills: $(VENV)/test.stamp ## the long form of the tests that kill: each kills so often
	LEDGER_TEST_KILLS=$(KILLS) $(BIN)/python -m pytest --timeout 3600 \
	  tests/acceptance/test_kills.py tests/acceptance/test_kill_import.py

kills-of-reads: $(VENV)/test.stamp ## kills so often in all while dossiers are read: make kills-of-reads KILLS=1000
	LEDGER_TEST_KILLS=$$((($(KILLS) + 2) / 3)) $(BIN)/python -m pytest --timeout 14400 \
	  tests/acceptance/test_kills.py -k a_service_under_load

bench: $(VENV)/test.stamp ## measures the ledger beside what it is to be compared with, on this machine; see docs/performance.md
	$(BIN)/python -m benchmarks $(BENCH_FLAGS)

bench-growth: $(VENV)/test.stamp ## measures one log that grows to 11 million events; shorter: STAGES=100000,1000000
	$(BIN)/python -m benchmarks.growth --stages $(STAGES) $(BENCH_FLAGS)

bench-nation: $(VENV)/test.stamp ## measures the totals of a whole nation of 10 million events, and the proof of them; 16 GB of disk
	$(BIN)/python -m benchmarks.national $(BENCH_FLAGS)

made: $(VENV)/test.stamp ## writes made.toml beside the migrations anew: what they come to, for ledger doctor
	$(BIN)/python -m tests.made

pins: $(VENV)/test.stamp ## renews the pinned requirements
	$(BIN)/pip install --quiet pip-tools
	for kind in run test; do \
	  $(BIN)/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe --strip-extras \
	    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-header \
	    --extra embedded --output-file requirements/$$kind.txt pyproject.toml requirements/$$kind.in || exit 1; \
	done

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; name another with make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: $(VENV)/bin/python requirements/run.txt pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/test.stamp: $(VENV)/run.stamp requirements/test.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/test.txt
	touch $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .hypothesis
