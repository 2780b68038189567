# `make demo` and `make test` do all set-up themselves: Python 3.11 and make are all they need.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DATA ?= data

.PHONY: demo test check lint docs results benchmark clean

demo: $(READY)
	$(BIN)/sitsr super-resolve src/sitsr/demo --date 2021-07-18 --out result/demo

test: check
	$(BIN)/python -m pytest -n 2 -m "slow or not slow"

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The tables and pictures of the README; DATA is the folder that holds the archives.
results: $(READY)
	$(BIN)/sitsr evaluate --data $(DATA) --split validation --out docs/results/validation --extra all
	$(BIN)/sitsr evaluate --data $(DATA) --split test --out docs/results/test --extra all
	$(BIN)/python scripts/make_card.py
	$(BIN)/python scripts/update_readme.py
	$(BIN)/python scripts/update_conventions.py

benchmark: $(READY)
	$(BIN)/python benchmarks/scene.py
	$(BIN)/python benchmarks/region.py
	$(BIN)/python benchmarks/metrics.py
	$(BIN)/python benchmarks/samplers.py
	$(BIN)/python benchmarks/store.py
	$(BIN)/python benchmarks/loader.py --data $(DATA)

# The lock holds exact versions; it is made by `make lock` from pyproject.toml.
lock:
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet torch==2.13.0
	build/lock/bin/pip install --quiet ".[dev]"
	build/lock/bin/pip freeze --exclude sitsr | sed 's/+cpu$$//' > requirements.lock

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $(READY)

clean:
	rm -rf $(VENV) build result
