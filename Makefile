# Each verb sets up what it needs; a second run is quick. Needs Python 3.11 or later, and make.

# The first Python that is new enough; name another with `make PYTHON=...`.
PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13; do \
            $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV   := .venv
BIN    := $(VENV)/bin
RUN    := $(VENV)/.ready
DEV    := $(VENV)/.ready-dev
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help setup render test chaos check bench docs sbom train clean

help: ## what can be made
	@sed -n 's/^\([a-z]*\):.*## /\1 - /p' $(MAKEFILE_LIST)

$(VENV)/.created:
	@test -n "$(PYTHON)" || { echo "Rightstep needs Python 3.11 or later; name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(RUN): pyproject.toml constraints.txt | $(VENV)/.created
	@echo "Installing Rightstep into $(VENV) (a few minutes the first time) ..."
	@$(PIP) -e '.[c2pa]'
	@touch $@

$(DEV): pyproject.toml constraints.txt | $(VENV)/.created
	@echo "Installing Rightstep and its tools into $(VENV) (a few minutes the first time) ..."
	@$(PIP) -e '.[dev]'
	@touch $(RUN) $@

setup: $(DEV) ## install everything, tools included, into .venv

render: $(RUN) ## render, check and ship the sample night
	@$(BIN)/rightstep render examples/manifests/overnight.toml --out out/first-night --ship
	@echo
	@echo "Pictures       out/first-night/"
	@echo "Contact sheet  out/first-night/contact-sheet.html"
	@echo "Morning report out/first-night/report.html"

test: $(DEV) ## run every test
	@$(BIN)/python -m pytest --numprocesses 2

chaos: $(DEV) ## break workers, driver, services, database and disk under a job, a hundred times (half an hour)
	@$(BIN)/python -m tests.chaos

check: $(DEV) ## format, lint, types, imports, documents that may not drift, what is deployed
	@failed=0; \
	for step in "ruff format --check --output-format concise ." "ruff check --output-format concise ." "mypy" "pyright --pythonpath $(BIN)/python" \
	            "lint-imports --no-cache" "python -m infra.docs --check" "python -m infra.checks"; do \
	    echo "--> $$step"; $(BIN)/$$step || failed=1; \
	done; exit $$failed

bench: $(RUN) ## measure, keep the figures, rewrite docs/benchmarks.md
	@$(BIN)/python -m benchmarks

docs: $(RUN) ## rewrite the pages of docs/reference that describe commands and settings
	@$(BIN)/python -m infra.docs

sbom: $(DEV) ## write the bill of materials of the product to out/rightstep.cdx.json
	@mkdir -p out && $(BIN)/python -m infra.checks --sbom out/rightstep.cdx.json

train: $(RUN) ## train and distil the built-in models again (hours on two cores)
	@$(BIN)/python -m training all

clean: ## remove what was made, .venv included
	@rm -rf $(VENV) out dist build htmlcov .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
