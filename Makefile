# make run          set everything up and run the whole job on the embedded synthetic dataset
# make test         set everything up and run all tests but the slow ones
# make test-slow    the slow tests
# make test-exhaustive  300 kills, 100,000 hostile inputs and every tampering: an hour or more
# make lint         ruff and mypy
# make docs         the documentation, in site/; a warning is an error
# make bench        the speed table of pipeline/README.md: half an hour, 6 GB of disk
# make constraints  write the newest versions that fit into constraints.txt; CI's Python is 3.11
# make setup        the environment of the tests and tools, and no more

PYTHON ?= python3
VENV ?= .venv
OUTPUT ?= lpe-run
PYTEST_OPTIONS ?=
# The extras that tests run with; dev,dev-torch adds PyTorch, which takes 5 GB of disk.
EXTRAS ?= dev
# What the hostile inputs of `make test-exhaustive` follow from: another number each time, shown by make.
FUZZ_SEED ?= $(shell date +%s)
BIN := $(VENV)/bin

.PHONY: run test test-slow test-exhaustive lint docs bench constraints setup

run: $(VENV)/.train
	$(BIN)/lpe run --output $(OUTPUT)

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(PYTEST_OPTIONS)

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow $(PYTEST_OPTIONS)

test-exhaustive: $(VENV)/.dev
	LPE_FUZZ_INPUTS=100000 LPE_FUZZ_SEED=$(FUZZ_SEED) LPE_FAULT_KILLS=300 \
	$(BIN)/python -m pytest -m '' $(PYTEST_OPTIONS) tests/faults tests/fuzz tests/tamper

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Not --quiet, which would let warnings pass. What the variable turns off is a notice about MkDocs' next version.
docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

bench: $(VENV)/.dev
	$(BIN)/python -m tests.benchmarks.pipeline

# pip leaves setuptools out of its list unless it is asked for all.
constraints:
	new=$$(mktemp -d) && trap 'rm -rf "$$new"' EXIT && \
	$(PYTHON) -m venv "$$new" && \
	"$$new/bin/pip" install --quiet '.[dev,dev-torch]' && \
	"$$new/bin/pip" freeze --all --exclude pip --exclude learnable-pixel-encryption > "$$new/versions" && \
	{ echo '# Made by `make constraints`: what pip installs for .[dev,dev-torch] in a new environment. Do not edit by hand.'; \
	  echo "# $$("$$new/bin/python" --version)"; \
	  LC_ALL=C sort --ignore-case "$$new/versions"; } > constraints.txt

setup: $(VENV)/.dev

# What `make run` needs; the tests' tools are not part of it.
$(VENV)/.train: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[train,audit]'
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[$(EXTRAS)]'
	touch $@ $(VENV)/.train
