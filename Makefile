# make demo   set everything up, train a sample document and use it
# make test   set everything up, then lint, types, import contracts and all tests
# make check  the quick part of that: no real base, and few rounds of what proves more by many
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SMALL_TESTS := tests/unit tests/tui tests/faults
# One process more than two cores have: tests in terminals wait more than they compute.
WORKERS ?= 3
PYTEST := $(BIN)/python -m pytest -q
SPREAD := OMP_NUM_THREADS=1 $(PYTEST) -n $(WORKERS) --dist worksteal
# On the real base much of the time goes by in imports and loading, one core at a time; files share what they train.
BY_FILE := OMP_NUM_THREADS=1 $(PYTEST) -n 2 --dist loadfile
# Each process imports what its tests need, and torch, transformers and PEFT take a quarter of a minute: so the quick tests
# that need them are one process, those of front ends another, and all others a third.
TORCH_FILES := tests/unit/cli/test_whole_way.py tests/unit/promises/test_pickles.py
TORCH := $(addprefix tests/unit/,adapters bases disel engine evaluation examples export inference llama retrieval routing training)
FRONT := tests/tui $(addprefix tests/unit/,cli host session)
QUICK := OMP_NUM_THREADS=1 $(PYTEST) -m "not slow"
# Tests start processes by the hundred, which need not compile our modules each.
unexport PYTHONDONTWRITEBYTECODE
# What runs side by side tells of itself as a whole, where make can see to that.
IN_ORDER := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

.PHONY: demo test check lint types contracts unit unit-torch unit-front unit-other slow e2e install install-dev clean
.DELETE_ON_ERROR:

demo: install
	@tools/demo.sh $(BIN)

# The long small tests wait more than they compute, those on the real base compute more than they wait.
test: check
	@$(MAKE) --no-print-directory --jobs $(IN_ORDER) slow e2e

check: install-dev
	@$(MAKE) --no-print-directory --jobs $(IN_ORDER) lint types contracts unit

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

$(VENV)/bin/python:
	@echo "==> making a virtual environment in $(VENV)"
	@tools/make-venv.sh $(PYTHON) $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "==> installing dlm and what it needs from the package index (minutes, the first time)"
	@tools/install.sh $(VENV) .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "==> installing dlm, what it needs, and the tools that check it (minutes, the first time)"
	@tools/install.sh $(VENV) '.[dev]'
	@touch $(VENV)/.installed $@

lint: install-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install-dev
	$(BIN)/mypy

contracts: install-dev
	$(BIN)/lint-imports

unit: unit-torch unit-front unit-other

unit-torch: install-dev
	$(QUICK) $(TORCH) $(TORCH_FILES)

unit-front: install-dev
	$(QUICK) $(FRONT) $(TORCH_FILES:%=--ignore=%)

# By far the shortest of the three: it takes what time the others leave.
unit-other: install-dev
	nice -n 10 env $(QUICK) tests/unit tests/faults $(addprefix --ignore=,$(TORCH) $(FRONT) $(TORCH_FILES))

slow: install-dev
	$(SPREAD) -m slow $(SMALL_TESTS)

e2e: install-dev
	$(BY_FILE) tests/e2e

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
