# Everything runs in .venv, which is made on first use; nothing else has to be installed by hand.
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# The first Python that works and is new enough; make run PYTHON=python3.13 overrides.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

# Tests share the processors among them: threads of theirs would only wait for each other.
ONE := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

.DEFAULT_GOAL := help
.PHONY: help run test slow lint types bench install install-all clean
.DELETE_ON_ERROR:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

# A run folder must be new; this one belongs to make and comes out the same every time.
run: $(VENV)/.base ## stream the bundled digits through a PEPITA network
	@rm -rf runs/digits
	$(BIN)/dendrostream run --out runs/digits
	@echo "picture: runs/digits/learning_curve.png"

test: $(VENV)/.all ## run the tests, without the slow ones
	@echo "compiling kernels (once)"
	@$(BIN)/python -m rate_models.precompile
	$(ONE) $(BIN)/python -m pytest -n auto

slow: $(VENV)/.all ## run the slow tests
	$(ONE) $(BIN)/python -m pytest -m slow -n auto --dist worksteal

lint: $(VENV)/.all ## check style and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.all ## check the types
	$(BIN)/mypy

bench: $(VENV)/.all ## measure speed against other implementations
	$(BIN)/dendrostream bench

install: $(VENV)/.base ## install the base package, without torch

install-all: $(VENV)/.all ## install the package with all extras and the tools of development

clean: ## remove .venv, caches and build outputs, but no runs
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "no Python >= 3.11 found; make PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Order-only: installing changes nothing about the interpreter, whose time is that of the system.
$(VENV)/.base: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing dendrostream into $(VENV) (about a minute)"
	$(PIP) -e .
	@touch $@

$(VENV)/.all: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing dendrostream with all extras into $(VENV) (some minutes)"
	$(PIP) -e '.[all,dev]'
	@touch $(VENV)/.base $@
