# Everything a contributor runs. Needs Python 3.11 or newer, Go, git and make; the rest is fetched into .venv.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
LAB_DIR ?= .lab
VENV := .venv
PY := $(VENV)/bin/python
GENERATED := crds tests/golden docs/policies.md operator/src/microapp_operator/policy charts/microapp-operator/admission
export LAB_DIR
export PYTHONPATH := $(CURDIR)/operator/src

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  \033[1m%-13s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: fmt
fmt: venv ## Format the code and fix what can be fixed
	$(PY) -m ruff check --fix-only --quiet .
	$(PY) -m ruff format .

.PHONY: lint
lint: venv ## Check style, formatting and who may import whom
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(VENV)/bin/lint-imports

.PHONY: types
types: venv ## Check types (mypy, strict)
	$(PY) -m mypy

.PHONY: test
test: go lint types check-diff ## Everything CI runs; starts a local cluster for the run if none is up
	$(PY) -m pytest tests e2e

.PHONY: demo
demo: go venv ## See it work: a MicroApp on a local cluster
	$(PY) -m hack.demo

.PHONY: lab-up
lab-up: go venv ## Start the local cluster (LAB_DIR, default .lab), VAULT=1 with a Vault; builds it on first use
	$(PY) -m hack.lab up

.PHONY: lab-down
lab-down: venv ## Stop the local cluster and remove all of it
	$(PY) -m hack.lab down

.PHONY: run
run: lab-up ## Run the operator from source against the local cluster
	KUBECONFIG=$(LAB_DIR)/kubeconfig $(PY) -m microapp_operator run

.PHONY: golden
golden: venv ## Write the golden files anew from what the code builds now
	$(PY) -m pytest tests/golden --golden-update -q

.PHONY: crd
crd: venv ## Write the CRDs anew from the model
	$(PY) -m hack.crdgen

.PHONY: policies
policies: go venv ## Compile the rules into the bundle and write their reference anew
	$(PY) -m hack.policy

.PHONY: policy
policy: go venv ## Run the rules' cases, the differential test and the Pod Security suites
	$(PY) -m pytest tests/policy

.PHONY: check-diff
check-diff: crd golden policies ## Fail when a committed generated file isn't what the code generates
	@git diff --exit-code -- $(GENERATED) || { echo "check-diff: generated files have changed: review and commit them" >&2; exit 1; }
	@new="$$(git ls-files --others --exclude-standard -- $(GENERATED))"; \
	if [ -n "$$new" ]; then printf 'check-diff: not under version control yet:\n%s\n' "$$new" >&2; exit 1; fi

.PHONY: bench
bench: go venv ## Measure convergence and footprint on the local cluster
	$(PY) -m hack.bench

.PHONY: bench-secrets
bench-secrets: go venv ## Measure what secrets cost: requests to Vault, time, event loop, audit lines a second
	$(PY) -m hack.bench_secrets

.PHONY: cover
cover: venv ## Run the tests and show which lines they never reach
	$(PY) -m pytest tests --cov=microapp_operator --cov-branch --cov-report=term-missing:skip-covered

.PHONY: lock
lock: venv ## Write requirements.lock anew from pyproject.toml
	$(PY) -m pip install --quiet uv
	$(VENV)/bin/uv pip compile --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --universal \
		--extra dev pyproject.toml -o requirements.lock

.PHONY: venv
venv: $(VENV)/.complete

# The stamp is written last: a half-made environment is completed by the next run.
$(VENV)/.complete: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) can't make virtual environments: install the package python3-venv" >&2; exit 1; }
	@echo "making $(VENV) from requirements.lock …"
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@touch $@

# The local cluster is built with Go, unless another cluster is named or kind is there.
.PHONY: go
go:
	@command -v go >/dev/null || [ -n "$${MICROAPP_E2E_CONTEXT:-}" ] || command -v kind >/dev/null || { \
		echo "Go is needed to build the local cluster, and is not on PATH: install Go 1.26 or newer (Debian: golang-go)" >&2; exit 1; }
