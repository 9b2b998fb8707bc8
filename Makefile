# Everything a contributor runs. Needs Python 3.11 or newer, Go, git and make; the rest is fetched into .venv.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
LAB_DIR ?= .lab
NODE ?= 0
NODES ?=
VENV := .venv
PY := $(VENV)/bin/python
GENERATED := crds tests/golden docs/policies.md operator/src/microapp_operator/policy charts/microapp-operator kustomize/base collector
export LAB_DIR NODE NODES
export PYTHONPATH := $(CURDIR)/operator/src

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  \033[1m%-15s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

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
test: go nodes-possible lint types check-diff ## Everything CI runs; starts the clusters it needs for the run if none is up
	$(PY) -m pytest tests e2e

.PHONY: check
check: go lint types check-diff ## Everything that needs no real node, and no root
	$(PY) -m pytest tests

.PHONY: e2e
e2e: go nodes-possible ## The tests on real nodes: pods run, packets are blocked
	$(PY) -m pytest e2e

.PHONY: demo
demo: go venv ## See it work: a MicroApp on a local cluster; NODE=1 on real nodes, VAULT=1 besides with secrets
	$(PY) -m hack.demo

.PHONY: lab-up
lab-up: go venv ## Start the local cluster (LAB_DIR, default .lab); NODE=1 [NODES=2] with real nodes, as root; VAULT=1 with a Vault
	$(PY) -m hack.lab up

.PHONY: lab-build
lab-build: go venv ## Build all the local clusters are made of
	$(PY) -m hack.lab build

.PHONY: lab-down
lab-down: venv ## Stop the local clusters, with nodes and without, and remove all of them
	$(PY) -m hack.lab down

.PHONY: run
run: lab-up ## Run the operator from source against the local cluster
	KUBECONFIG=$(LAB_DIR)$(if $(filter 1,$(NODE)),-node)/kubeconfig $(PY) -m microapp_operator run

.PHONY: image
image: venv ## Build the operator's image into dist/, without Docker (Debian: mmdebstrap, umoci, skopeo)
	$(PY) -m hack.image

.PHONY: launcher-image
launcher-image: go venv ## Build the image of the launcher, which sets variables and forwards logs, into dist/
	$(PY) -m hack.image.static launcher

.PHONY: collector-images
collector-images: go venv ## Build the images of the log forwarder and the log gateway into dist/
	$(PY) -m hack.image.static forwarder gateway

.PHONY: collector
collector: go venv ## Write the Collectors' sources anew from their manifests
	$(PY) -m hack.collector

.PHONY: chart
chart: go crd ## Write what is generated for the chart anew: CRDs, dashboard, kustomize/base
	$(PY) -m hack.chart

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
check-diff: crd policies chart golden collector ## Fail when a committed generated file isn't what the code generates
	@git diff --exit-code -- $(GENERATED) || { echo "check-diff: generated files have changed: review and commit them" >&2; exit 1; }
	@new="$$(git ls-files --others --exclude-standard -- $(GENERATED))"; \
	if [ -n "$$new" ]; then printf 'check-diff: not under version control yet:\n%s\n' "$$new" >&2; exit 1; fi

.PHONY: bench
bench: go venv ## Measure convergence and footprint on the local cluster
	$(PY) -m hack.bench

.PHONY: bench-secrets
bench-secrets: go venv ## Measure what secrets cost: requests to Vault, time, event loop, audit lines a second
	$(PY) -m hack.bench_secrets

.PHONY: bench-admission
bench-admission: go venv ## Measure what admission adds at the API server, beside a webhook that does nothing
	$(PY) -m hack.bench_admission

.PHONY: bench-node
bench-node: go venv ## Measure what the product adds to the start of a pod, on real nodes
	$(PY) -m hack.bench_node

.PHONY: bench-logs
bench-logs: go venv ## Measure what the way of a record costs, hop by hop, and how long it takes
	$(PY) -m hack.bench_logs

.PHONY: cover
cover: venv ## Run the tests and show which lines they never reach
	$(PY) -m pytest tests --cov=microapp_operator --cov-branch --cov-report=term-missing:skip-covered

.PHONY: lock
lock: venv ## Write requirements.lock and its runtime part anew from pyproject.toml
	$(PY) -m pip install --quiet uv
	$(VENV)/bin/uv pip compile --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --universal \
		--extra dev pyproject.toml -o requirements.lock
	$(VENV)/bin/uv pip compile --generate-hashes --no-emit-index-url --no-header --no-annotate --python-version 3.11 --universal \
		--constraint requirements.lock pyproject.toml -o requirements-runtime.lock

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

# Said at once, not after half an hour of other tests.
.PHONY: nodes-possible
nodes-possible: venv
	@$(PY) -m hack.lab check || { echo "make check runs everything that needs no real node" >&2; exit 1; }

# The local cluster is built with Go, unless another cluster is named or kind is there.
.PHONY: go
go:
	@command -v go >/dev/null || [ -n "$${MICROAPP_E2E_CONTEXT:-}" ] || command -v kind >/dev/null || { \
		echo "Go is needed to build the local cluster, and is not on PATH: install Go 1.26 or newer (Debian: golang-go)" >&2; exit 1; }
