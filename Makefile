# make          what there is
# make chat     environment, install, and a TLS chat server
# make test     environment, and every check and test

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TEST_TOOLS := $(VENV)/.test-tools
# SSLyze pins an older cryptography than ours, so it has an environment of its own.
SCANNERS := $(VENV)/scanners/.ready
# More than cores: many tests wait, for a second to pass or for a process to end.
WORKERS ?= $(shell expr 3 '*' $$(nproc))

# The tests start Python hundreds of times: what the first has compiled serves the others.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help chat test scanners lint bench clean

help:
	@echo "make chat     install netkit here and run netkit serve chat --tls"
	@echo "make test     lint, type check, and every test (WORKERS=$(WORKERS))"
	@echo "make lint     ruff and mypy alone"
	@echo "make bench    the benchmarks, beside peers (about an hour)"
	@echo "make clean    remove the environment and what was built"
	@echo "PYTHON=python3.13 VENV=.venv313 chooses another Python"

chat: $(READY)
	$(BIN)/netkit serve chat --tls

test: lint $(SCANNERS)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

scanners: $(SCANNERS)

lint: $(TEST_TOOLS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(TEST_TOOLS)
	$(BIN)/python benchmarks/echo.py
	$(BIN)/python -m benchmarks.workers
	$(BIN)/python -m benchmarks.spread
	$(BIN)/python -m benchmarks.idle
	$(BIN)/python -m benchmarks.admin
	$(BIN)/python -m benchmarks.attackers
	$(BIN)/python -m benchmarks.datagrams
	$(BIN)/python -m benchmarks.pacing
	$(BIN)/python -m benchmarks.commands
	$(BIN)/python -m benchmarks.tls

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(READY): $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[terminal]'
	@touch $@

$(TEST_TOOLS): $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group test --group lint
	@touch $@

$(SCANNERS): $(VENV)/bin/python tests/scanners/requirements.txt
	$(PYTHON) -m venv $(VENV)/scanners
	$(VENV)/scanners/bin/python -m pip install --quiet --requirement tests/scanners/requirements.txt
	@touch $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache benchmarks/build
