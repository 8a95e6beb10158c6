# Two commands do everything: `make demo` shows DyNamo at work, `make test` passes the tests.
# The first of them makes .venv; later ones work offline.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= ../shared/data
# Whole files, because their tests share fixtures, in their order: otherwise files of few tests come last, and a long one
# among them runs alone.
BY_FILE := --dist loadfile --no-loadscope-reorder
# Much of the tests' time is waiting for daemons: three files at a time on two cores.
TEST_ARGS ?= --numprocesses 3 $(BY_FILE)
# These wait for nothing.
FAST_ARGS ?= --numprocesses 2 $(BY_FILE)
# All but `peers`, which need a C compiler.
EXTRAS := alerts,api,chameleon,dev,hail,metrics,nowcast,openstack,postgres,s3
# The versions that the tests passed with.
INSTALL = $(BIN)/python tools/install.py --constraint constraints.txt

# Tests start hundreds of processes of this tree: none compiles it anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo web web-types screenshots oidc test test-fast test-oldest test-newest test-bare test-containers test-openstack peers constraints \
	bench bench-elastic bench-sustained coverage docs lint format clean help

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

$(VENV)/.web: $(VENV)/.core
	@echo "What builds the dashboard, and serves it"
	@$(INSTALL) --editable '.[serve,web]'
	@touch $@

# By its sources: a change builds it again.
WEB := dynamo/_data/web/index.html
$(WEB): $(VENV)/.web tools/web.py web/package-lock.json $(shell find web/src web/tools -type f)
	@$(BIN)/python tools/web.py build

web: $(WEB) ## Build the dashboard that `dynamo serve` shows

# What npm writes when all is there.
PROVIDER := tests/integration/oidc/node_modules/.package-lock.json
$(PROVIDER): $(VENV)/.web tests/integration/oidc/package-lock.json
	@$(BIN)/python tools/web.py provider

oidc: $(PROVIDER) ## Install the OpenID Connect provider that tests log in at

web-types: $(VENV)/.web $(VENV)/.ready ## Renew what the dashboard's code knows of the API
	$(BIN)/python tools/web.py types

screenshots: $(WEB) $(VENV)/.ready ## Take the dashboard's pictures in README and manual anew, of a live demo in Chromium (5 min)
	$(BIN)/python -m tools.screenshots

$(VENV)/.docs: $(VENV)/.core
	@echo "What the documentation site needs"
	@$(INSTALL) --editable '.[docs]'
	@touch $@

# Real composites need the libraries that read and move them.
demo: $(if $(findstring --data,$(DEMO_ARGS)),$(VENV)/.nowcast,$(VENV)/.core) $(if $(findstring --serve,$(DEMO_ARGS)),$(WEB)) ## Watch simulated storms become contours and images (DEMO_ARGS="--data ../shared/data": real ones; --serve: live, in a browser)
	$(BIN)/dynamo demo $(DEMO_ARGS)

test: $(VENV)/.ready ## Run all tests, on real HTCondor daemons and PostgreSQL
	$(BIN)/python -m pytest $(TEST_ARGS)

FAST := $(FAST_ARGS) -m "not slow" tests/property tests/unit
test-fast: $(VENV)/.ready ## Run the unit and property tests that are not slow, without daemons (2 min)
	$(BIN)/python -m pytest $(FAST)

test-oldest: $(VENV)/.uv ## Run the fast tests with the oldest versions that setup.cfg allows (VERSION_ARGS: other tests)
	$(call test_with,oldest,lowest-direct)

test-newest: $(VENV)/.uv ## Run the fast tests with the newest versions there are (VERSION_ARGS: other tests)
	$(call test_with,newest,highest)

VERSION_ARGS ?= $(FAST)
define test_with
$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-$(1)
$(BIN)/uv pip install --quiet --python .venv-$(1) --resolution $(2) --editable '.[$(EXTRAS)]'
.venv-$(1)/bin/python -m pytest $(VERSION_ARGS)
endef

test-bare: ## Run demo and fast tests on a debootstrapped Debian without compiler, data and root (root, Debian; 6 min)
	tests/bare_machine.sh

constraints: $(VENV)/.uv ## Renew constraints.txt: the newest versions that go together; run the tests after it
	printf 'pip\nuv\n' | $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras \
		--no-annotate --custom-compile-command 'make constraints' --output-file constraints.txt setup.cfg -

peers: $(VENV)/.peers ## Install what tests and benchmarks compare with (C compiler)

coverage: $(VENV)/.ready ## Run the tests and report which lines they reach, in subprocesses too (COVERAGE_ARGS="tests/unit": only those)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(or $(COVERAGE_ARGS),$(TEST_ARGS))
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

docs: $(VENV)/.docs ## Build the documentation site into build/docs and check all links
	$(BIN)/sphinx-build --quiet --jobs auto --keep-going --fail-on-warning docs build/docs
	@echo "open build/docs/index.html"

bench: $(VENV)/.peers ## Measure speed against peers, in one run
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
	rm -rf $(VENV) $(VENV)-* build dist *.egg-info .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis
