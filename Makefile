.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help map tang test soak audit lock locked lint lint-js types docs gallery format clean

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
	$(BIN)/latentviz fit digits --force --cluster

tang: $(VENV)/installed ## Fetch 155,000 couplets of Tang poems (needs npm), fit them and draw their map
	npm install --prefix . --silent --no-save --no-package-lock --no-audit --no-fund chinese-poetry
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[tang]'
	$(BIN)/latentviz fit tang --force --cluster

test: $(VENV)/installed-dev ## Run every test
	$(BIN)/python -m pytest

soak: $(VENV)/installed-dev ## Kill commands many times, try hostile and odd cases; takes an hour
	$(BIN)/python -m pytest -m soak
	LATENTVIZ_EXAMPLES=1000 $(BIN)/python -m pytest tests/hostile/test_properties.py
	$(BIN)/python benchmarks/hostile.py

audit: $(VENV)/installed-dev ## Check the pinned dependencies for known vulnerabilities (needs a network)
	$(BIN)/python -m pip install --quiet pip-audit
	$(BIN)/pip-audit --strict --disable-pip --no-deps --requirement constraints.txt

lock: $(VENV)/installed-dev ## Pin the environment with hashes in requirements.lock (needs a network)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/python tools/lock.py

locked: ## Make the environment from requirements.lock alone: every file has a known hash
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --only-binary :all: --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-index --no-deps --no-build-isolation --editable .
	touch $(VENV)/installed $(VENV)/installed-dev

lint: $(VENV)/installed-dev ## Check style, layout and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

lint-js: ## Check the map's JavaScript with ESLint (needs npm)
	npm install --silent --no-save --no-package-lock --no-audit --no-fund eslint @eslint/js globals
	npx eslint -c tests/maps/eslint.config.mjs latentviz/maps/page

types: $(VENV)/installed-dev ## Check the types with mypy
	$(BIN)/mypy

docs: $(VENV)/installed ## Build the documentation as a site in build/site
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	$(BIN)/python tools/docs.py

gallery: $(VENV)/installed ## Build it with a live map of every recipe that needs no download; trains for minutes
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	$(BIN)/python tools/docs.py gallery

format: $(VENV)/installed-dev ## Format the code and apply ruff's safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove the environment and the caches, but keep runs
	rm -rf $(VENV) node_modules build dist .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
