# make run    set everything up and run the whole job on the embedded synthetic dataset
# make test   set everything up and run all tests but the slow ones
# make lint   ruff and mypy
# make test-slow   the slow tests

PYTHON ?= python3
VENV ?= .venv
OUTPUT ?= lpe-run
BIN := $(VENV)/bin

.PHONY: run test test-slow lint setup

run: $(VENV)/.train
	$(BIN)/lpe run --output $(OUTPUT)

test: $(VENV)/.dev
	$(BIN)/python -m pytest

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: $(VENV)/.dev

# What `make run` needs; the tests' tools are not part of it.
$(VENV)/.train: setup.py constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[train]'
	touch $@

$(VENV)/.dev: setup.py constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@ $(VENV)/.train
