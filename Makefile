# What can be done here. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export LAKEHOUSE_ROOT ?= .lakehouse
export PIP_DISABLE_PIP_VERSION_CHECK = 1

# Where a person can see it ($(shell) leaves only stderr a terminal), how far pip has come.
COUNT := awk '/^Collecting/ { printf "\r  %d fetched", ++n } /^Building wheels/ { printf "; building Spark\047s ..." } /^Installing/ { print "; unpacking them ..." } { fflush() }'
COUNTED := $(if $(shell test -t 2 && echo terminal),| $(COUNT),--quiet)

LOCK := uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --python-version 3.11

.DEFAULT_GOAL := help
.PHONY: help install demo ui test coverage test-slow test-long test-athena test-deploy test-story test-recovery templates ui-walk dashboards aws-local torture torture-control lint lint-workflows lint-terraform audit sbom format bench glue-wheels docs snapshot lock clean

help:  ## List what can be done
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

install: $(VENV)/.installed  ## Install everything into .venv, from the lock

# --no-deps: the lock is complete, and pip's resolver trips over extras in a hashed one.
$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info[:2] < (3, 14), "needs Python 3.11, 3.12 or 3.13; say make PYTHON=python3.12 ..."'
	@echo "Installing $$(grep -c == requirements.lock) packages into $(VENV) (some minutes, once) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --no-deps --require-hashes -r requirements.lock $(COUNTED)
	@echo "Installing the lakehouse itself ..."
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: install  ## Land the sample, run raw to gold, show what came of it
	@$(BIN)/python -m data.demo

ui: install  ## Open the Dagster UI on http://127.0.0.1:3000 (PORT=... for another port)
	@$(BIN)/lakehouse ui $(if $(PORT),--port $(PORT))

# Three on two cores: many a test waits for a process that it started.
test: install  ## Run every test but the slow and the long ones
	@$(BIN)/python -m pytest -n 3 --dist worksteal

coverage: install  ## Run the same tests and show which lines none of them reaches
	@$(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report=term

test-slow: install  ## Run what takes about a minute each: the UI, whole stories, a dataset on Glue (needs Java 17)
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m 'slow and not long'

test-long: install  ## Run the long tests: whole shops on Spark, more histories, killed halfway
	@$(BIN)/python -m pytest -m 'long and not deploy'

test-athena: install  ## Compare every named query on Trino, Athena's engine (needs Maven)
	@$(BIN)/python -m pytest -m athena

# Deploy, ui and bench, each beside the rest: its lock agrees with what is installed.
$(VENV)/.installed-%: $(VENV)/.installed deploy/locks/%.lock
	@echo "Installing what $* needs (a minute, once) ..."
	@$(BIN)/pip install --no-deps --require-hashes -r deploy/locks/$*.lock $(COUNTED)
	@touch $@

.venv-%/.installed: deploy/locks/%.lock
	@echo "Installing $* into .venv-$* (a minute, once) ..."
	@$(PYTHON) -m venv .venv-$*
	@.venv-$*/bin/pip install --no-deps --require-hashes -r $< $(COUNTED)
	@touch $@

test-deploy: $(VENV)/.installed-deploy .venv-checkov/.installed .venv-ministack/.installed  ## Check the infrastructure, and deploy it to an AWS on this machine (needs Node 20)
	@$(BIN)/python -m pytest -n 2 --dist loadscope -m 'deploy and not long' tests/deploy

test-story: $(VENV)/.installed-deploy  ## Hold every request of the guarded profile's story against its policies (needs Node 20 and Java 17)
	@$(BIN)/python -m pytest -m 'deploy and long' tests/deploy

test-recovery: install  ## Rehearse the runbook on an AWS of this machine, and count rows
	@$(BIN)/python -m pytest -m recovery tests/deploy

templates: $(VENV)/.installed-deploy  ## Write the CloudFormation templates of every environment to build/templates (needs Node 20)
	@$(BIN)/python -O -m deploy.cdk.app

ui-walk: $(VENV)/.installed-ui  ## Walk through the UI in Chromium, with a picture of each page in build/ui (needs chromium)
	@$(BIN)/python -m tests.ui_walk

dashboards: $(VENV)/.installed-ui  ## Walk through the dashboards in Chromium; every check in a line, pictures in build/dashboards (needs chromium)
	@$(BIN)/python -m tests.dashboards_walk $(ROOT)

aws-local: install  ## An AWS on this machine: files into S3, Glue jobs, alerts, a query (needs Java 17; FRUGAL=1: no jobs)
	@$(BIN)/python -m tests.aws.local $(if $(FRUGAL),--frugal) $(if $(STAY),--stay)

torture: install  ## Thousands of bad inputs, sheets, random histories and injected faults (hours)
	@$(BIN)/python -m tests.torture.bad_inputs --count 20000
	@$(BIN)/python -m tests.torture.sheets --count 2000
	@$(BIN)/python -m tests.torture.histories --count 500
	@$(BIN)/python -m tests.torture.faults --count 1000

torture-control: install  ## Take one protection away at a time, and see the tests find it
	@$(BIN)/python -m tests.torture.control

lint: install  ## Check style, types, and which package imports which
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/pylint lakehouse_assets resources definitions.py data deploy

# actionlint comes as a Go module, whose contents Go checks against its public log of checksums.
.venv-tools/bin/actionlint: .venv-tools/.installed
	@GOBIN=$(CURDIR)/.venv-tools/bin go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

lint-workflows: .venv-tools/bin/actionlint  ## Check the workflows and the Dockerfile (needs Go)
	@.venv-tools/bin/actionlint
	@.venv-tools/bin/zizmor --offline --no-progress --quiet .github
	@.venv-tools/bin/hadolint deploy/dagster/Dockerfile

lint-terraform:  ## Check how the Terraform root is written (needs terraform; validates nothing)
	@terraform -chdir=deploy/terraform fmt -check -recursive

audit: install .venv-tools/.installed  ## Look for known vulnerabilities of all that is installed
	@$(BIN)/python -m deploy.audit .venv-tools/bin/pip-audit

sbom: .venv-tools/.installed  ## Write what the image is made of to build/sbom.json (CycloneDX)
	@mkdir -p build
	@.venv-tools/bin/cyclonedx-py requirements --pyproject pyproject.toml --mc-type application --output-reproducible --output-format JSON --output-file build/sbom.json deploy/dagster/requirements.lock

format: install  ## Format the code
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

bench: $(VENV)/.installed-bench  ## Compare the product on Sail and on Spark with scripts by hand, on the same work
	@$(BIN)/python -m tests.bench

glue-wheels: install  ## Build what Glue jobs install, for Glue's Python and Linux
	@$(BIN)/python -m deploy.glue.build

docs: install  ## Write docs/data_model.md anew from the contracts
	@$(BIN)/lakehouse tables --markdown > docs/data_model.md.new
	@mv docs/data_model.md.new docs/data_model.md
	@echo "docs/data_model.md is written anew"

snapshot: install  ## Record the assets anew, with which tests/test_definitions.py compares
	@UPDATE_SNAPSHOTS=1 $(BIN)/python -m pytest -q tests/test_definitions.py -k as_recorded
	@echo "tests/snapshots/assets.json is written anew"

lock: install  ## Write the locks anew from pyproject.toml (needs uv)
	@$(LOCK) --extra aws --extra dev pyproject.toml -o requirements.lock
	@$(LOCK) --extra aws pyproject.toml -c requirements.lock -o deploy/dagster/requirements.lock
	@$(LOCK) --group deploy -c requirements.lock -o deploy/locks/deploy.lock
	@for beside in ui bench; do $(LOCK) --group $$beside -c requirements.lock -o deploy/locks/$$beside.lock; done
	@for alone in checkov ministack tools; do $(LOCK) --group $$alone -o deploy/locks/$$alone.lock; done

clean:  ## Remove .venv and what was built; the lakehouse stays
	@rm -rf $(VENV) $(VENV)-* build
