# Two commands matter: `make run` (everything, served) and `make test` (the whole test suite).
# Both need only Python 3.11+, pip and make; what else they need they install into .venv from requirements.lock.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements.lock
READY := $(VENV)/.ready
MANIFEST := dbt/target/manifest.json
HOME_DIR ?= $(CURDIR)/.analytics
PORT ?= 3000
# The collector's; 8080, or a free one when that is taken.
COLLECTOR_PORT ?=
# The portal's; 8000, or a free one when that is taken.
PORTAL_PORT ?=
# What `make bench` runs; backfill and whole_night want a home that is built: docs/benchmarks.md.
BENCHMARKS ?= ingest event_log anomalies hourly nightly middleware collector retention guard start graph dashboards
# Processes that share the tests; each takes about a gigabyte. One more than cores: some tests wait for the disk or a server.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(max(os.cpu_count() or 2, 2) + 1, 8))')

export DAGSTER_DISABLE_TELEMETRY := yes
export DO_NOT_TRACK := 1
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Without compiled bytecode `import dbt` takes twice as long.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help env run demo test coverage lint types bench lock docs sbom audit manifest generate check node fakesnow bigquery-emulator clean

help: ## Show what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

env: $(READY) ## Create .venv from the lock

# uv installs the lock in seconds; where it is not to be had, pip reads the same hashed file. The lock names all that is
# needed; without --no-deps an older pip asks for a pin of each extra, which is none of a package.
$(READY): $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo 'Installing into $(VENV) (once; a minute or two)'
	@if $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; then \
		$(BIN)/uv pip sync --quiet --require-hashes --compile-bytecode --python $(BIN)/python $(LOCK) || \
		$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r $(LOCK); \
	else \
		$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r $(LOCK); \
	fi
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --editable .
	@touch $(READY)

manifest: $(MANIFEST) ## Build dbt's manifest, which the asset graph is made from

$(MANIFEST): $(READY) $(shell find dbt/models dbt/macros dbt/seeds dbt/*.yml -type f)
	@$(BIN)/analytics manifest --quiet && touch $(MANIFEST)

run: $(MANIFEST) ## Demo business in, live events sent, whole graph run, all served (first time takes minutes)
	ANALYTICS_HOME=$(HOME_DIR) $(BIN)/analytics demo
	ANALYTICS_HOME=$(HOME_DIR) $(BIN)/analytics up --port $(PORT) $(if $(COLLECTOR_PORT),--collector-port $(COLLECTOR_PORT)) \
		$(if $(PORTAL_PORT),--portal-port $(PORTAL_PORT))

demo: $(MANIFEST) ## The part of `make run` that ends by itself
	ANALYTICS_HOME=$(HOME_DIR) $(BIN)/analytics demo

test: $(MANIFEST) ## The whole test suite
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

coverage: $(MANIFEST) ## What the tests run of lines and branches, in coverage/html (TESTS=tests/lake: of a part)
	$(BIN)/python -m pytest $(TESTS) -n $(WORKERS) --dist loadfile --no-loadscope-reorder --cov --cov-report=term --cov-report=html

lint: $(READY) ## Style, layers and SQL
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint dbt/models --processes 2 --disable-progress-bar

types: $(READY) ## Strict types
	$(BIN)/mypy

sbom: $(READY) ## What it is made of, as CycloneDX in dist/, and whether the licences fit
	$(BIN)/python .ci/supply_chain.py sbom dist/sbom.cdx.json
	$(BIN)/python .ci/supply_chain.py licences dist/sbom.cdx.json

audit: $(READY) ## Known vulnerabilities of the lock; code 3 where the advisories cannot be read
	$(BIN)/python .ci/supply_chain.py audit

check: $(MANIFEST) ## Does the asset graph load?
	$(BIN)/dg check defs

bench: $(READY) ## Speed as ratios to a floor measured in the same run
	@missed=; for each in $(BENCHMARKS); do \
		echo "== $$each"; $(BIN)/python -m benchmarks.$$each || missed="$$missed $$each"; \
	done; \
	test -z "$$missed" || { echo "Missed a bar or failed:$$missed (docs/benchmarks.md says which are known to be)"; exit 1; }

node: ## Install the npm packages of the TypeScript types and of the client tests (needs Node.js 20)
	cd analytics_platform/tracking/typescript && npm ci --silent
	cd tests/clients && npm ci --silent

# An environment of its own: fakesnow wants an older sqlglot than the platform's.
fakesnow: $(READY) ## Install the stand-in for Snowflake that tests start (.venv-fakesnow)
	$(PYTHON) -m venv .venv-fakesnow
	$(BIN)/uv pip sync --quiet --require-hashes --python .venv-fakesnow/bin/python tests/warehouse/fakesnow.txt

bigquery-emulator: ## The environment of BigQuery's emulator, for the tests that want one (needs Python 3.13)
	@$(PYTHON) tests/warehouse/make_bigquery_emulator.py .venv-bigquery

generate: $(READY) ## Write what is generated from catalogue and settings, and committed
	$(BIN)/analytics taxonomy generate
	$(BIN)/python -m analytics_platform.settings_schema

# An environment of its own: zensical wants a newer pathspec than dbt.
.venv-docs/.ready: docs_site/zensical.txt $(READY)
	$(PYTHON) -m venv .venv-docs
	$(BIN)/uv pip sync --quiet --require-hashes --python .venv-docs/bin/python docs_site/zensical.txt
	@touch $@

docs: $(MANIFEST) .venv-docs/.ready ## The documentation as a site in site/, which opens without a network
	$(BIN)/python -m docs_site --zensical .venv-docs/bin/zensical site

lock: $(READY) ## Resolve the lock anew: hashed, without a host
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header --only-binary :all: --upgrade -o $(LOCK)

clean: ## Remove the demo's state (not the environment)
	rm -rf $(HOME_DIR) dbt/target dbt/logs
