# Two targets do everything on a fresh machine: `make demo` and `make test`. Both make .venv first.
PYTHON ?= python3
ENV ?= local
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

PYTEST := $(BIN)/python -m pytest -q --numprocesses $(JOBS) --dist loadfile
# The tests that need no real system.
IN_MEMORY := tests/unit tests/stateful/test_protocol.py
# What shows within minutes that the core holds; what needs Ray, a server or many seconds is marked slow.
QUICK := tests/conf tests/contract tests/stateful
BUDGET := quick

DBT_DOCS := --project-dir dbt --profiles-dir lakeray/dbt_package --target-path $(CURDIR)/.lakeray/dbt-docs --log-path $(CURDIR)/.lakeray/dbt-docs

.PHONY: demo wheel test test-quick test-long check coverage bench bench-batch-sizing dbt-docs lock env bench-env clean-env

demo: env
	$(BIN)/python -m lakeray demo env=$(ENV)

test: BUDGET := all
test: check coverage
	$(PYTEST) -m "not long" --budget all $(IN_MEMORY:%=--ignore=%)

test-quick: check coverage
	$(PYTEST) -m "not long and not slow" --budget quick $(QUICK) $(IN_MEMORY:%=--ignore=%)

# Once, and measured: values, steps, planning.py, feed.py and run.py, all their lines and branches (pyproject.toml).
coverage: env
	$(PYTEST) $(IN_MEMORY) --cov --budget $(BUDGET)

test-long: env
	$(BIN)/python -m pytest -m long -q --budget long
	LAKERAY_TEST_WRITER=extension $(BIN)/python -m pytest -m long -q --budget long tests/realstack

check: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m lakeray generate check

# What `pip install` gets; the tests install it apart from the checkout.
wheel: env
	rm -rf build
	$(BIN)/python -m pip wheel -q --no-deps --no-build-isolation --wheel-dir dist .
	rm -rf build

bench: bench-env
	$(BIN)/python -m benchmarks

# GRID="targets=16,64,256 files=2,16 widths=narrow,json volume=256": megabytes; the whole grid takes hours.
bench-batch-sizing: env
	$(BIN)/python -m benchmarks.batch_sizing $(GRID)
	$(BIN)/python -m benchmarks.document

# From the descriptions alone: needs no lake, and opens none. dbt wants the variables of its profile all the same.
dbt-docs: export LAKERAY_DBT_CATALOG = none
dbt-docs: export LAKERAY_DBT_ATTACH_OPTIONS = {}
dbt-docs: export LAKERAY_DBT_EXTENSION_DIRECTORY = none
dbt-docs: export LAKERAY_DBT_TEMP_DIRECTORY = none
dbt-docs: env
	$(BIN)/python -m lakeray generate
	$(BIN)/dbt --quiet parse $(DBT_DOCS)
	$(BIN)/dbt --quiet docs generate --static --no-compile --empty-catalog $(DBT_DOCS)
	@echo "open .lakeray/dbt-docs/static_index.html"

env: $(VENV)/installed

# --require-hashes: what is installed is what was locked, wherever it comes from.
$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lakeray needs Python 3.11 or newer, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .
	touch $@

# What we are compared with has its own environment: it must not move our pins.
bench-env: env $(VENV)-bench/installed

$(VENV)-bench/installed: requirements-bench.lock
	$(PYTHON) -m venv $(VENV)-bench
	$(VENV)-bench/bin/python -m pip install -q --require-hashes -r requirements-bench.lock
	touch $@

lock:
	uv pip compile -q --generate-hashes --no-strip-extras --universal --python-version 3.11 \
		--custom-compile-command "make lock" requirements-dev.in -o requirements.lock
	uv pip compile -q --generate-hashes --no-strip-extras --universal --python-version 3.11 \
		--custom-compile-command "make lock" requirements-bench.in -o requirements-bench.lock

clean-env:
	rm -rf $(VENV) $(VENV)-bench
