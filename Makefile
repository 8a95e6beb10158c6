# Two commands do everything: `make demo` shows DyNamo at work, `make test` passes the tests.
# The first of them makes .venv; later ones work offline.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= ../shared/data
# Much of the tests' time is waiting for daemons: two files at a time.
TEST_ARGS ?= --numprocesses 2 --dist loadfile

.PHONY: demo test bench bench-elastic bench-sustained lint format clean help test-containers test-openstack

help: ## Say what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

$(VENV)/.core: setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e .
	touch $@

# Some of what the tests compare with is built from source and needs a C compiler.
$(VENV)/.ready: $(VENV)/.core
	$(BIN)/python -m pip install --quiet -e '.[alerts,api,chameleon,dev,hail,metrics,nowcast,openstack,postgres]'
	touch $(VENV)/.nowcast $@

$(VENV)/.nowcast: $(VENV)/.core
	$(BIN)/python -m pip install --quiet -e '.[nowcast]'
	touch $@

# Real composites need the libraries that read and move them.
demo: $(if $(findstring --data,$(DEMO_ARGS)),$(VENV)/.nowcast,$(VENV)/.core) ## Watch simulated storms become contours and images (DEMO_ARGS="--data ../shared/data": real ones)
	$(BIN)/dynamo demo $(DEMO_ARGS)

test: $(VENV)/.ready ## Run all tests, on real HTCondor daemons and PostgreSQL
	$(BIN)/python -m pytest $(TEST_ARGS)

bench: $(VENV)/.ready ## Measure speed against peers, in one run
	$(BIN)/python -m benchmarks --data $(DATA)

bench-sustained: $(VENV)/.ready ## Keep a radar network up on HTCondor, then find how many this machine carries (20 min)
	$(BIN)/python -m benchmarks.sustained --data $(DATA)

bench-elastic: $(VENV)/.ready ## Compare scaling policies on simulated days, then live through a real storm day on HTCondor (10 min)
	$(BIN)/python -m benchmarks.elastic $(ELASTIC_ARGS)
	$(BIN)/python -m benchmarks.storm_day

lint: $(VENV)/.ready ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(VENV)/.ready ## Put the code into its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test-containers: $(VENV)/.ready ## Build the image from a debootstrapped base and compare its products (root, Debian)
	containers/test.sh

test-openstack: $(VENV)/.ready ## Bring up an OpenStack with servers that boot, and test fleets on it (root, Debian; 15 min)
	tests/openstack/install.sh
	DYNAMO_TEST_OPENSTACK=1 $(BIN)/python -m pytest -W ignore tests/openstack tests/openstack_live
	tests/openstack/down.sh

clean: ## Remove what was made here
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
