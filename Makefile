# `make setup` needs Python 3.11 or newer and nothing else; everything it brings stays in .venv and .parts.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup
DEMO := examples/hpn7-pod.yaml
WORKERS ?= 2

.PHONY: help setup system parts peers demo test lint format docs bench score lock clean
.DEFAULT_GOAL := help

help: ## Say what can be made.
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 10

setup: $(STAMP) ## Install Railwright into .venv, in the versions of requirements.lock.

$(STAMP): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Railwright needs Python 3.11 or newer, $(PYTHON) is older: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || \
	  { echo "python3 -m venv failed: install it (Debian: apt-get install python3-venv), then make again" >&2; rm -rf $(VENV); exit 2; }
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[test]'
	@touch $@

system: ## Bring the programs of the system that tests need (apt-get, as root).
	@.ci/system

demo: setup ## Plan a pod of 15,360 GPUs into out/demo and show it.
	@rm -rf out/demo
	$(BIN)/railwright plan $(DEMO) -o out/demo
	@echo
	@echo "The whole plan is in out/demo; open out/demo/report.html in a browser."

test: setup system parts peers lint ## Lint, and every test.
	$(BIN)/python -m pytest -n $(WORKERS)

lint: setup ## ruff, mypy --strict, and the import direction.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## Format the code.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: setup ## Write the generated pages of docs/ again.
	$(BIN)/python -m railwright.reference > docs/cli.md
	$(BIN)/python -m fabric.intent.reference > docs/intent.md
	$(BIN)/python -m fabric.tables > docs/tables.md
	$(BIN)/python -m fabric.checks > docs/checks.md
	$(BIN)/python -m fabric.counters > docs/counters.md
	$(BIN)/python -m collectors.detectors.runbook > docs/runbook.md

parts: ## Build the servers that tests need from Go modules (where Go is): InfluxDB 2, a gNMI target.
	@.ci/parts influxd fake_server

peers: .parts/netlab/.setup .parts/pyavd/.setup ## Bring netlab and pyavd, which tests and benchmarks compare with.

.parts/pyavd/.setup:
	$(PYTHON) -m venv .parts/pyavd
	.parts/pyavd/bin/pip install --quiet --disable-pip-version-check 'pyavd==6.4.0'
	@touch $@

.parts/netlab/.setup:
	$(PYTHON) -m venv .parts/netlab
	.parts/netlab/bin/pip install --quiet --disable-pip-version-check 'networklab==26.10'
	@touch $@

bench: setup system parts peers ## Time plans, solvers, sources and stores against other programs.
	@.ci/parts goflow2 telegraf
	$(BIN)/python benchmarks/plan.py --peer .parts/netlab/bin/netlab
	$(BIN)/python benchmarks/configs.py
	$(BIN)/python benchmarks/routing.py
	$(BIN)/python benchmarks/simulate.py
	$(BIN)/python benchmarks/placement.py
	$(BIN)/python benchmarks/snmp.py
	$(BIN)/python benchmarks/sflow.py
	$(BIN)/python benchmarks/gnmi.py
	$(BIN)/python benchmarks/store.py
	$(BIN)/python benchmarks/collect.py
	$(BIN)/python benchmarks/skew.py
	$(BIN)/python benchmarks/detectors.py
	$(BIN)/python benchmarks/detectors_day.py

score: setup ## Score the detectors on simulated faults: the README's table.
	$(BIN)/python benchmarks/detection/run.py --scale 1024 --scale 15360

lock: setup ## Write requirements.lock again: the newest versions pyproject.toml allows.
	$(BIN)/python .ci/lock

clean: ## Remove what was made.
	rm -rf $(VENV) .parts out build *.egg-info
