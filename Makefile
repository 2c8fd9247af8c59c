# What developers do. `make help` lists it.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CACHE := .cache
OUT ?= hardware
# Tests wait more than they work. A module's tests stay together, so that its fixtures are made once.
WORKERS ?= 4
LOCK := --quiet --universal --python-version 3.10 --generate-hashes --no-annotate --no-header
# An environment of its own: it is large, and wants newer Pythons than we do.
ANSIBLE := $(CACHE)/ansible
TOOLS := $(CACHE)/tools/promtool $(CACHE)/tools/docker-compose
SHELL_FILES := setup.sh .ci/run $(wildcard deploy/*.sh deploy/*/*.sh grafana/*.sh tests/*.sh victoriametrics/*.sh)

# What setup.sh downloads is kept, so that the tests that install do not download it each.
export GPUGLASS_COMPONENTS_CACHE ?= $(CURDIR)/$(CACHE)/components

.DEFAULT_GOAL := help
.PHONY: help test e2e lint format bench soak probe-hardware build bundle docs lock clean

help: ## Show this list
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

test: $(VENV)/installed $(TOOLS) $(CACHE)/tools/chromium ## Install what the tests need, and run them (T="..." for some, WORKERS=0 one by one)
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadscope --no-loadscope-reorder $(T)

e2e: $(VENV)/installed $(ANSIBLE)/installed $(TOOLS) ## Prove the Compose files on machines with Docker engines of their own (as root)
	$(BIN)/python -m tests.e2e.containers $(T)

lint: $(VENV)/installed $(ANSIBLE)/installed ## Check formats, types, shell scripts, YAML, workflows, the Ansible role and C
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/shellcheck -x $(SHELL_FILES)
	$(BIN)/yamllint -s .
	$(BIN)/zizmor --offline --no-progress --quiet .github/workflows
	PATH="$(abspath $(ANSIBLE)/bin):$$PATH" ANSIBLE_HOME=$(ANSIBLE)/home ansible-lint --offline --profile production -q deploy/ansible
	$(BIN)/clang-format --dry-run --Werror simulator/src/*.[ch]

format: $(VENV)/installed ## Format Python and C
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/clang-format -i simulator/src/*.[ch]

bench: $(VENV)/installed ## Measure, and write docs/benchmarks/*.md (PARTS="groups faults" for some)
	$(BIN)/python -m tests.bench $(if $(PARTS),--only $(PARTS)) $(if $(MINUTES),--minutes $(MINUTES)) --write docs/benchmarks

soak: $(VENV)/installed ## Watch memory for half an hour (MINUTES=90 for more), and write its report
	$(BIN)/python -m tests.bench.soak --minutes $(or $(MINUTES),30) --write docs/benchmarks/soak.md

probe-hardware: $(VENV)/installed ## Learn what only a real GPU can tell, into a new folder (OUT="...")
	$(BIN)/python -m tests.hardware --out $(OUT)

docs: $(VENV)/installed ## Build the lists of metrics, the runbooks' index, the dashboards, and the rules that follow from the catalogue
	$(BIN)/python -m docs.build_metrics
	$(BIN)/python -m docs.build_records
	$(BIN)/python -m docs.build_alerts
	$(BIN)/python -m docs.build_rollups
	$(BIN)/python -m grafana.builder

build: $(VENV)/installed ## Build the wheel and the source archive into dist/
	$(BIN)/python -m build

bundle: $(VENV)/installed ## Write dist/gpuglass-*.tar.gz, for setup.sh --offline (PYTHONS="3.11 3.12", DOCKER=yes, GRAFANA=no)
	$(BIN)/python -m deploy.bundle $(addprefix --python=,$(PYTHONS)) $(if $(filter yes,$(DOCKER)),--docker) $(if $(filter no,$(GRAFANA)),--no-grafana)

lock: $(VENV)/installed ## Pin what goes into images and bundles anew, and what releases are made with, with checksums
	$(BIN)/pip install --quiet 'uv>=0.9,<1'
	$(BIN)/uv pip compile $(LOCK) --upgrade --output-file exporter/requirements.lock pyproject.toml
	echo 'hatchling>=1.27,<2' | $(BIN)/uv pip compile $(LOCK) --upgrade --output-file exporter/build.lock -
	printf 'pip\nsupervisor==%s\n' "$$(sed -n 's/^readonly supervisor_version=//p' deploy/native/install.sh)" | \
	  $(BIN)/uv pip compile $(LOCK) --upgrade --output-file deploy/native/tools.lock -
	printf 'cyclonedx-bom>=7,<8\nsigstore>=4,<5\n' | \
	  $(BIN)/uv pip compile $(LOCK:3.10=3.12) --upgrade --output-file .github/release.lock -

clean: ## Remove what was built, installed or downloaded here
	rm -rf $(VENV) $(CACHE) build dist simulator/build

$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "make: error: $(PYTHON) is older than 3.10; try make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[test,lint]'
	@touch $@

$(ANSIBLE)/installed: deploy/ansible/requirements.txt
	$(PYTHON) -m venv --clear $(ANSIBLE)
	$(ANSIBLE)/bin/pip install --quiet --requirement $<
	@touch $@

$(CACHE)/tools/chromium:
	tests/chromium.sh $@

$(TOOLS):
	tests/tools.sh $(CACHE)/tools $(notdir $@)
