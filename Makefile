# Two commands do everything: `make demo` shows DyNamo at work, `make test` passes the tests.
# The first of them makes .venv; later ones work offline.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= ../shared/data
# Much of the tests' time is waiting for daemons: two files at a time.
TEST_ARGS ?= --numprocesses 2 --dist loadfile
# All but `peers`, which need a C compiler.
EXTRAS := alerts,api,chameleon,dev,hail,metrics,nowcast,openstack,postgres
# The versions that the tests passed with.
INSTALL = $(BIN)/python tools/install.py --constraint constraints.txt

.PHONY: demo test bench bench-elastic bench-sustained coverage docs lint format clean help test-containers test-openstack

help: ## Say what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

$(VENV)/.core: setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(v < (3, 11) and "Python 3.11 or newer is needed, this is %d.%d: make PYTHON=python3.12 ..." % v)'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make virtual environments: install python3-venv (Debian, Ubuntu)"; exit 1; }
	@echo "Making $(VENV) (once, a few minutes)"
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) --upgrade pip
	@echo "DyNamo and its libraries"
	@$(INSTALL) --editable .
	@touch $@

$(VENV)/.ready: $(VENV)/.core
	@echo "What optional parts and tests need"
	@$(INSTALL) --editable '.[$(EXTRAS)]'
	@touch $(VENV)/.nowcast $@

$(VENV)/.nowcast: $(VENV)/.core
	@echo "What nowcasts need"
	@$(INSTALL) --editable '.[nowcast]'
	@touch $@

$(VENV)/.peers: $(VENV)/.ready
	@echo "Other software to compare with (needs a C compiler)"
	@$(INSTALL) --editable '.[peers]'
	@touch $@

$(VENV)/.uv: $(VENV)/.ready
	@$(INSTALL) uv
	@touch $@

$(VENV)/.docs: $(VENV)/.core
	$(BIN)/python -m pip install --quiet -e '.[docs]'
	touch $@

# Real composites need the libraries that read and move them.
demo: $(if $(findstring --data,$(DEMO_ARGS)),$(VENV)/.nowcast,$(VENV)/.core) ## Watch simulated storms become contours and images (DEMO_ARGS="--data ../shared/data": real ones)
	$(BIN)/dynamo demo $(DEMO_ARGS)

test: $(VENV)/.ready ## Run all tests, on real HTCondor daemons and PostgreSQL
	$(BIN)/python -m pytest $(TEST_ARGS)

coverage: $(VENV)/.ready ## Run the tests and say which lines they reach, in subprocesses too (COVERAGE_ARGS="tests/unit": only those)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(or $(COVERAGE_ARGS),$(TEST_ARGS))
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

docs: $(VENV)/.docs ## Build the documentation site into build/docs, all links checked
	$(BIN)/sphinx-build --quiet --jobs auto --keep-going --fail-on-warning docs build/docs
	@echo "open build/docs/index.html"

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
	rm -rf $(VENV) build dist *.egg-info .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis
