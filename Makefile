# Needs make and Python 3.11 or newer; everything else goes into .venv.
PYTHON ?= python3
BIN = .venv/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check install --quiet

.PHONY: help run test test-all bench bench-peers fuzz faults lint screenshots clean

help:
	@echo "make run              set up, import the example data set, open the dashboard"
	@echo "make run DATA=folder  the same with your own files"
	@echo "make test             set up and run the tests"
	@echo "make test-all         the same with those that take long"
	@echo "make lint             format check, lint, types, import contract"
	@echo "make bench            what it costs, against peers"
	@echo "make bench-peers      install peers that need an environment of their own, into the user's cache folder"
	@echo "make fuzz             read 20,000 damaged files, see docs/reliability.md"
	@echo "make faults           kill, fill and crowd importers and servers, see docs/reliability.md (hours)"
	@echo "make screenshots      write pictures of every page of the dashboard to docs/screenshots"
	@echo "make clean            remove .venv"

run: .venv/.installed
	@if [ -n "$$DATA" ]; then exec $(BIN)/battery-analysis demo "$$DATA"; else exec $(BIN)/battery-analysis demo; fi

test: .venv/.installed-dev
	$(BIN)/python -m pytest -q

test-all: .venv/.installed-dev
	$(BIN)/python -m pytest -q -m ""

bench: .venv/.installed-dev
	$(BIN)/python -m benchmarks

bench-peers: .venv/.installed-dev
	$(BIN)/python -m benchmarks.peers

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

fuzz: .venv/.installed-dev
	$(BIN)/python -m benchmarks.fuzz

faults: .venv/.installed-dev
	$(BIN)/python -m benchmarks.faults

screenshots: .venv/.installed-dev
	$(BIN)/python -m tests.dashboard.screenshots

clean:
	rm -rf .venv

.venv/.python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and \
	  "battery-analysis needs Python 3.11 or newer; $(PYTHON) is %d.%d (make PYTHON=python3.12 names another)" % v[:2])'
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.installed: .venv/.python setup.py requirements.txt
	@echo "Installing into .venv (once; a minute or two) ..."
	$(PIP) -r requirements.txt
	$(PIP) --no-deps -e .
	@touch $@

.venv/.installed-dev: .venv/.installed requirements-dev.txt
	$(PIP) -r requirements-dev.txt
	@touch $@
