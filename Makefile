# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2
# The demo and the tests start many programs; with its modules compiled, `cpdd serve` is up two seconds sooner.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-all check format bench docs clean

demo: $(STAMP)  ## a shop of real services under load, its critical paths on a page; Ctrl-C ends it
	$(BIN)/cpdd demo

test: $(STAMP)  ## every test but the slow ones, in about ten minutes
	$(BIN)/python -m collector.warm
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow"

test-all: $(STAMP)  ## every test
	$(BIN)/python -m collector.warm
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

check: $(STAMP)  ## what CI runs beside the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_imports.py tests/test_licences.py

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)  ## one question each; takes minutes, wants an idle machine
	for file in benchmarks/*.py; do $(BIN)/python $$file || exit 1; done

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
