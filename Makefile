.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help map test lint types format clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

map: $(VENV)/installed ## Fit scikit-learn's bundled digits and draw their map
	$(BIN)/latentviz fit digits --force
	$(BIN)/latentviz cluster digits

test: $(VENV)/installed-dev ## Run every test
	$(BIN)/python -m pytest

lint: $(VENV)/installed-dev ## Check the style with ruff
	$(BIN)/ruff check .

types: $(VENV)/installed-dev ## Check the types with mypy
	$(BIN)/mypy

format: $(VENV)/installed-dev ## Mend what ruff can mend
	$(BIN)/ruff check --fix .

clean: ## Remove the environment and the caches; runs stay
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
