# The two commands: make demo, make test. The rest are parts of them.
# PYTHON picks the interpreter: 3.11 or 3.12.
SHELL := /bin/bash
FITS := import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))
PYTHON ?= $(shell for p in python3.11 python3.12 python3; do $$p -c "$(FITS)" 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
# so many processes run tests side by side
TESTS_AT_ONCE ?= 2
# what was compiled once need not be compiled at each of the hundreds of starts of a role
export PYTHONDONTWRITEBYTECODE :=
# files are UTF-8, whatever the locale
export PYTHONUTF8 := 1

.PHONY: demo setup test test-unit coverage test-integration test-embedded check fast-check lock bench soak screenshots clean

demo: setup ## everything set up and running, live counts; Ctrl-C ends it
	@$(BIN)/fourfold up || { code=$$?; [ $$code -eq 130 ] || exit $$code; }

setup: .venv/ready ## virtual environment, Kafka's jars and its start-up cache
	@$(BIN)/fourfold embedded prepare
	@echo "setup: done, .venv/bin/fourfold is the command"

.venv/ready: requirements/dev.txt requirements/build.txt requirements/install.py pyproject.toml
	@[ -n "$(PYTHON)" ] && $(PYTHON) -c "$(FITS)" || { echo "Python 3.11 or 3.12 is needed: make PYTHON=/path/to/python3.11"; exit 2; }
	@echo "setup: virtual environment in .venv, of $$($(PYTHON) --version)"
	@echo "setup: $$(grep -c '^[a-z].*==' requirements/dev.txt) packages; about 2 minutes where they have to be downloaded"
	@$(PYTHON) requirements/install.py .venv requirements/dev.txt
	@echo "setup: fourfold itself"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

test: setup ## all tests; says which servers it uses, and where the time goes
	$(PYTEST) -n $(TESTS_AT_ONCE) --durations=15

test-unit: .venv/ready ## tests without servers
	$(PYTEST) -n $(TESTS_AT_ONCE) tests/unit tests/contract -m "not integration"

coverage: .venv/ready ## of the tests without servers
	$(PYTEST) tests/unit tests/contract -m "not integration" --cov --cov-report=term:skip-covered

test-integration: setup ## tests with servers; FOURFOLD_TEST_SERVERS=embedded or containers
	$(PYTEST) -n $(TESTS_AT_ONCE) -m integration

test-embedded: setup ## tests whose outcome may depend on the version of the servers, on the embedded ones
	FOURFOLD_TEST_SERVERS=embedded $(PYTEST) -n 2 -m versions tests/contract tests/integration

check: .venv/ready ## all quality gates
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fast-check: .venv/ready ## the quick ones, as before each commit
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

bench: setup ## measures, side by side in one run
	$(BIN)/python -m bench

soak: setup ## the chaos tests for SECONDS_ (default 1800) each, boundary and replay for 3 minutes, each rule switched off, long forms
	FOURFOLD_CHAOS_SECONDS=$(or $(SECONDS_),1800) FOURFOLD_BOUNDARY_SECONDS=180 FOURFOLD_REPLAY_SECONDS=20 \
	  FOURFOLD_CHAOS_RATE=2000 FOURFOLD_TEST_POLLERS=18 FOURFOLD_TEST_KILLS=30 FOURFOLD_TEST_SOAK=1 \
	  $(PYTEST) tests/integration/test_chaos.py tests/integration/test_chaos_brokers.py tests/integration/test_speed_cluster.py tests/integration/test_boundary.py \
	  tests/integration/test_replay.py tests/integration/test_batch_kills.py -s --timeout=0
	FOURFOLD_TEST_SOAK=1 $(PYTEST) -m "soak and not chaos"

screenshots: setup ## of the dashboard in each mode, for the README (needs Chromium)
	$(BIN)/python -m tests.e2e.screenshots

LOCK = $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url -q --custom-compile-command "make lock"
lock: .venv/ready ## new locks from pyproject.toml
	$(LOCK) pyproject.toml --upgrade --extra embedded --group dev -o requirements/dev.txt
	$(LOCK) pyproject.toml -c requirements/dev.txt -o requirements/runtime.txt
	$(LOCK) --group build -c requirements/dev.txt -o requirements/build.txt

clean: ## the embedded servers' data and the virtual environment
	@# the data of the directory that goes, whatever is set; it stays where its servers cannot be stopped
	@[ ! -x $(BIN)/fourfold ] || FOURFOLD_DATA_DIR=.fourfold $(BIN)/fourfold embedded stop
	rm -rf .fourfold .venv
