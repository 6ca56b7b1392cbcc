# Everything one does with this repository; `make` prints the list.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.PHONY: help setup compile pure demo dev cluster test test-long test-python test-compiled \
  simulate faults faults-steady faults-boundaries fuzz conformance test-all check format gen \
  verify wheel bench bench-apps bench-quick bench-gate bench-scale bench-signals bench-cells \
  profile features docs docs-site release-check lock clean kubernetes test-kubernetes \
  cluster-smoke sdks test-sdks packages console console-dev console-test console-bench \
  console-pictures scan mutants mutants-console coverage coverage-units coverage-sdks gates \
  proof evaluate

# The first Python on the path that is new enough; `make setup PYTHON=...` names another.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
  && { echo $$python; break; }; done)
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# A suite whose sources are compiled to bytecode once starts in half the time.
unexport PYTHONDONTWRITEBYTECODE
PYTEST_ARGS ?=
PEERS := build/peers
# What the suite needs, what its tests need, and what developers need besides.
RUNS := .venv/.linked
TESTS := .venv/.tests build/data/.complete
TOOLS := .venv/.tools

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(TOOLS) $(TESTS) ## make .venv/ with the command, the tests and all tools

.venv/bin/python:
	@python=$(PYTHON)
	test -n "$$python" \
	  || { echo 'needs Python 3.11 or newer; name one: make setup PYTHON=...' >&2; exit 1; }
	$$python -m venv .venv

# Three stages: what runs, what tests it, and the tools of developers. Each lock holds the ones
# before it, and what `make demo` and `make test` do not need they do not install.
.venv/.linked: requirements.lock pyproject.toml tools/link.py | .venv/bin/python
	@$(BIN)/python -m tools.install "what Flowmesh needs" requirements.lock
	$(BIN)/python tools/link.py
	touch $@

.venv/.tests: requirements-test.lock .venv/.linked
	@$(BIN)/python -m tools.install "the tools of the tests" $<
	touch $@

.venv/.tools: requirements-dev.lock .venv/.linked
	@$(BIN)/python -m tools.install "the tools of developers" $<
	touch $@

# Test data that others maintain stays in the sources they publish it with.
build/data/.complete: tests/data-requirements.lock | .venv/.tests
	@mkdir -p $(@D)
	$(BIN)/python -m pip download --disable-pip-version-check --quiet --no-deps --require-hashes \
	  --no-binary :all: --no-build-isolation --dest $(@D) -r $<
	touch $@

compile: export FLOWMESH_CORE = pure
compile: $(TOOLS) ## the core as native code, in about four minutes; wants a C compiler
	@$(BIN)/python -m tools.compile

wheel: export FLOWMESH_CORE = pure
wheel: compile ## build/wheels: one for every platform, and one for this with the core compiled
	@rm -rf build/wheels build/lib build/lib.* build/bdist.*
	build() { $(BIN)/python -m pip wheel --disable-pip-version-check --quiet --no-deps \
	  --no-build-isolation --wheel-dir build/wheels .; }
	build
	rm -rf build/lib build/lib.* build/bdist.*
	FLOWMESH_CORE=compiled build
	rm -rf *.egg-info  # a checkout is not an installed distribution
	ls -sh build/wheels

pure: ## remove what `make compile` made: everything runs from its sources again
	rm -rf build/compiled build/mypyc

demo: $(RUNS) ## the main job on real input, with failures on purpose, and a proof at the end
	@$(BIN)/python examples/demo/main.py

dev: $(RUNS) ## the whole suite in one process, on servers of its own (Ctrl-C stops it)
	@$(BIN)/flowmesh dev

cluster: $(RUNS) ## each service as its own process, two orchestrators and two workers
	@$(BIN)/flowmesh cluster --auth open

# What runs on the sources alone, compiled core or not; some tests put parts of it out of action.
test test-long test-all check conformance: export FLOWMESH_CORE = pure
# Suites and commands are forked from a process that has imported them.
test test-long: export TESTS_FORK = 1

# What measures time runs alone, behind the rest, a file of which is in one of three processes: a
# third of the time of two is waiting. The order is that of tests/conftest.py, not by numbers of
# tests. What `make check` runs is left out.
TIMED := $(wildcard tests/*/test_speed.py tests/*/*/test_speed.py tests/*/*/*/test_speed.py) \
  $(patsubst %,tests/guarantees/test_%.py,slow_ones idle fair_sharing) \
  $(patsubst %,tests/features/%.py,executions/test_lifecycle tenants/test_cluster_quotas \
    definitions/test_step_workflows operations/test_scaling programs/test_worker_steps \
    programs/test_worker_tasks security/test_keycloak) \
  tests/integration/worker/test_conditions.py tests/hostile/processes/test_fair_processes.py
SPREAD := -n 3 --dist loadfile --no-loadscope-reorder \
  $(patsubst %,--ignore=%,tests/tidy tests/proof $(TIMED))
# Failures are tried again alone where TESTS_ALONE allows some, as in CI.
PYTEST := $(BIN)/python -m tools.alone
# What `make gates` and `make proof` count.
REPORT = --junitxml=build/tests/$@-$(1).xml $(PYTEST_ARGS)
test: $(TESTS) ## the test suite, about eight minutes on two cores
	$(PYTEST) -m "not long and not slow and not kubernetes" $(SPREAD) $(call REPORT,spread)
	$(PYTEST) -m "not long and not slow and not kubernetes" $(TIMED) $(call REPORT,timed)

test-long: $(TOOLS) $(TESTS) ## what CI runs besides: clusters, kills, browsers; half an hour
	$(PYTEST) -m "long and not slow and not kubernetes" $(SPREAD) $(call REPORT,spread)
	$(PYTEST) -m "long and not slow and not kubernetes" $(TIMED) $(call REPORT,timed)

kubernetes: $(TESTS) ## the servers of a test cluster from their Go modules, kept outside the clone
	@$(BIN)/python -m tools.kubernetes

test-kubernetes: kubernetes ## kubectl, operator and chart on a real API server; about 5 minutes
	$(PYTEST) -m kubernetes tests/kubernetes $(call REPORT,all)

cluster-smoke: ## the chart in the cluster of your kubectl, such as kind or k3s, and removed again
	bash tools/cluster_smoke.sh

# In an environment of its own, beside the one that everything else uses.
test-python: export FLOWMESH_CORE = pure
test-python: ## the unit tests on another Python: make test-python PYTHON=/usr/bin/python3
	@other=build/pythons/$$($(PYTHON) -c 'import platform; print(platform.python_version())')
	test -x $$other/bin/python || $(PYTHON) -m venv $$other
	$$other/bin/python -m tools.install "the tools of the tests" requirements-test.lock
	$$other/bin/python tools/link.py
	$$other/bin/pytest -m "not long and not slow" $(SPREAD) $(PYTEST_ARGS) tests/unit

CORE_TESTS := tests/unit/engine tests/unit/orchestrator tests/integration/orchestrator \
  tests/integration/worker tests/golden tests/guarantees/test_dev.py \
  tests/simulation/test_scenarios.py tests/simulation/test_simulation.py
test-compiled: compile ## the tests of the core, on the compiled core
	FLOWMESH_CORE=compiled $(BIN)/pytest -n 2 --dist loadfile -m "not slow" $(CORE_TESTS) \
	  $(PYTEST_ARGS)

SEEDS ?= 20000
CELLS ?= 200
FIRST ?= 0
JOBS ?= 2
simulate: $(TESTS) ## the real code on a virtual clock: SEEDS runs, and CELLS with three cells
	@$(BIN)/python -m tests.simulation.run --first $(FIRST) --seeds $(SEEDS) --cells $(CELLS) \
	  --jobs $(JOBS)

PROVIDER ?= offline
BUDGET_USD ?= 1
evaluate: $(TESTS) ## score drafts of a provider: make evaluate PROVIDER=claude BUDGET_USD=5
	@$(BIN)/python -m tests.evaluation.run --provider $(PROVIDER) --budget-usd $(BUDGET_USD) \
	  $(if $(REPLAY),--replay)

faults: $(TESTS) ## break processes, servers, disks, clocks, connections; prove that nothing is lost
	@command -v strace > /dev/null \
	  || { echo 'installing strace, which makes system calls fail'; apt-get install -y strace; }
	$(BIN)/pytest tests/faults $(PYTEST_ARGS)

faults-steady: $(TESTS) ## twelve minutes of more load than can be done: owners stay, nothing leaks
	FAULTS_STEADY_S=600 FAULTS_OVERLOAD_S=120 \
	  $(BIN)/pytest tests/faults/test_steady.py tests/faults/test_overload.py $(PYTEST_ARGS)

faults-boundaries: $(TESTS) ## kill at each write of a workflow with child and undoing; < 25 minutes
	FAULTS_BOUNDARIES=0 $(BIN)/pytest tests/faults/test_boundaries.py $(PYTEST_ARGS)

fuzz: $(TESTS) ## every parser with input that nobody would write: make fuzz MINUTES=5
	$(BIN)/python -m tests.badinput.fuzz $(MINUTES)

conformance: export CONFORMANCE_DATA := $(or $(CONFORMANCE_DATA),../shared/data)
conformance: $(TESTS) ## the cases of third parties, from the folder that CONFORMANCE_DATA names
	$(PYTEST) tests/conformance $(call REPORT,all)

test-all: export TESTS_DRAW_ALL = 1
test-all: $(TOOLS) $(TESTS) ## every test but the drills of `make faults`, the core compiled too
	$(BIN)/pytest --ignore=tests/faults --ignore=tests/kubernetes $(SPREAD) $(PYTEST_ARGS)
	$(BIN)/pytest -m "not slow" tests/faults $(PYTEST_ARGS)
	$(BIN)/pytest $(TIMED) $(PYTEST_ARGS)
	$(MAKE) --no-print-directory test-compiled

check: $(TOOLS) ## format, lint, types, imports, contracts, generated code, budgets
	@failed=()
	run() { echo "== $$*"; "$$@" || failed+=("$$*"); }
	# Types take as long as most of the rest, which runs beside them.
	types() {
	  run mypy libs services tools tests benchmarks examples sdks/conformance \
	    --exclude '^examples/use-cases/'
	  # Each use case is a program of its own, with a module `worker` like others.
	  for folder in $$(dirname examples/use-cases/*/*.py | sort -u); do run mypy "$$folder"; done
	  test $${#failed[@]} -eq 0
	}
	mkdir -p build
	types >build/types.log 2>&1 & typing=$$!
	run ruff format --check --quiet .
	run ruff check --quiet .
	run buf lint
	run bash tools/breaking.sh
	run $(MAKE) --no-print-directory verify
	run $(MAKE) --no-print-directory console-test
	run lint-imports
	run python -m tools.commit_subjects
	run pytest -q -m "not slow" tests/tidy tests/proof
	wait $$typing || failed+=("mypy")
	cat build/types.log
	for command in "$${failed[@]}"; do echo "failed: $$command" >&2; done
	test $${#failed[@]} -eq 0

# The scanners of other languages, unless SCANS names other scans.
SCANNERS := $(if $(filter languages,$(or $(SCANS),languages)),build/scans/.node build/scans/.go)
scan: $(TOOLS) $(SCANNERS) ## secrets, licences, code, vulnerabilities, bill; or those of SCANS
	@$(BIN)/python -m tools.scans $(SCANS)

# The scanners of other languages; without Node or Go their parts are reported as not checked.
build/scans/.node: tools/scans/node/package-lock.json tools/scans/node/eslint.config.js
	@mkdir -p build/scans/node
	cp tools/scans/node/.npmrc tools/scans/node/* build/scans/node/
	if command -v npm > /dev/null; then cd build/scans/node && npm ci --loglevel=error; fi
	touch $(CURDIR)/$@

build/scans/.go: export GOBIN := $(CURDIR)/build/scans/go
build/scans/.go:
	@mkdir -p build/scans
	if command -v go > /dev/null; then \
	  go install github.com/securego/gosec/v2/cmd/gosec@v2.30.0; fi
	touch $@

DRAW ?= 400
SEED ?= 1
mutants: export FLOWMESH_CORE = pure
mutants: $(TOOLS) $(TESTS) ## DRAW mutants by SEED; of the lines that differ from BASE, if given
	@$(BIN)/python -m tools.mutants --draw $(DRAW) --seed $(SEED) --jobs $(JOBS) \
	  $(if $(PACKAGES),--package $(PACKAGES)) $(if $(BASE),--changed $(BASE))

LINES ?= 250
mutants-console: $(TOOLS) ## mutants of LINES lines of the logic of the web page, drawn by SEED
	@$(BIN)/python -m tools.mutants.console --lines $(LINES) --seed $(SEED)

coverage: export FLOWMESH_CORE = pure
coverage: export TESTS_FORK = 1
coverage: $(TOOLS) $(TESTS) ## lines and branches that tests reach; red below the least
	@$(BIN)/python -m tools.covered $(PACKAGES:%=--package %) \
	  $(if $(TESTS_OF),$(TESTS_OF),-m "not slow and not kubernetes" $(SPREAD))

coverage-units: export FLOWMESH_CORE = pure
coverage-units: $(TOOLS) $(TESTS) ## what the tests of one process reach, by package
	@$(BIN)/python -m tools.covered --units -m "not long and not slow" -n 2 --dist loadfile

coverage-sdks: $(TESTS) ## lines that unit tests of the other SDKs reach; red below a floor
	@$(BIN)/python -m tools.covered_sdks

gates: $(TOOLS) ## gates 1 to 8, of the reports in build/; PARTIAL=1 forgives what was not run
	@$(BIN)/python -m tools.gates $(if $(PARTIAL),--partial)

proof: $(TOOLS) ## docs/proofs/<version>.md from the same reports; refused while one is missing
	@$(BIN)/python -m tools.gates.proofs

format: $(TOOLS) ## put the sources into the form that `make check` asks for
	ruff format .
	ruff check --fix .

gen: $(TOOLS) ## generate gen/ from protos/ and the async client of the SDK
	bash tools/gen.sh build/gen
	rm -rf gen/python/flowmesh/api gen/python/flowmesh/keda && cp -r build/gen/flowmesh gen/python/
	bash tools/gen-sdks.sh write
	python -m tools.sync_client
	python -m tools.resources

verify: $(TOOLS) ## prove that gen/ is what protos/ and console/ say
	@bash tools/gen.sh build/gen
	diff -rq -x __pycache__ -x console -x sdk_sync build/gen gen/python \
	  || { echo 'gen/python is stale: run "make gen" and commit it' >&2; exit 1; }
	bash tools/gen-sdks.sh verify
	python -m tools.rest_types --check
	python -m tools.resources --check
	python -m tools.console verify

sdks: $(TESTS) ## build the SDKs of other languages and their conformance drivers
	@$(BIN)/python -m sdks.conformance.languages build

test-sdks: export FLOWMESH_CORE = pure
test-sdks: $(TESTS) ## lint, test and run the conformance scenarios of every SDK; < 15 minutes
	@$(BIN)/python -m sdks.conformance.languages check
	$(BIN)/pytest -m "not slow" sdks/conformance $(PYTEST_ARGS)

packages: $(TOOLS) ## build wheel, Go modules, npm package, jars and crates; publish none
	@$(BIN)/python -m tools.release

console: $(TOOLS) ## build the web page into gen/python/flowmesh/console
	@python -m tools.rest_types
	python -m tools.console build

console-dev: $(TOOLS) ## the web page with reloads, beside a running `flowmesh dev`
	@python -m tools.console node npx vite

console-bench: $(TOOLS) ## print the budgets of the web page in a browser, beside what it keeps
	@CONSOLE_GREP="budget:" CONSOLE_BENCH=1 CONSOLE_MANY=1000000 CONSOLE_LOGS=10000000 \
	  $(BIN)/pytest tests/console/test_scenarios.py -k budgets -q -s

console-pictures: $(TOOLS) ## take the pictures of the README from a real run
	@$(BIN)/python -m tests.console.pictures

console-test: $(TOOLS) ## types, format, units and sizes of the web page
	@python -m tools.console test

# On the compiled core, as the images have it; without a C compiler on the sources.
CORE := FLOWMESH_CORE=pure $(BIN)/python -m tools.compile || echo 'measuring the sources'
bench: $(TOOLS) $(PEERS)/.python $(PEERS)/.node ## the suite, its roofline, its peers; < 35 minutes
	@$(CORE)
	$(BIN)/python benchmarks/run.py
	$(BIN)/python -m benchmarks.events.main

bench-apps: $(TOOLS) ## the goals of applications beside FastAPI; needs wrk; < 5 minutes
	@$(BIN)/python -m benchmarks.apps.main

bench-quick: $(TOOLS) ## the two main workloads of three systems; < 3 minutes
	@$(CORE)
	$(BIN)/python benchmarks/run.py --quick

bench-gate: $(TOOLS) ## measures the same and fails when a ratio to the committed run is worse
	@$(CORE)
	mkdir -p build/bench
	$(BIN)/python benchmarks/run.py --quick --output build/bench/quick.json
	$(BIN)/python -m benchmarks.gate build/bench/quick.json

bench-scale: $(TOOLS) ## an empty suite beside one with many stored executions; < 15 minutes
	@$(BIN)/python -m benchmarks.scale.main \
	  $(if $(ENDED),--ended $(ENDED)) $(if $(SLEEPING),--sleeping $(SLEEPING)) \
	  $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(FOLDER),--folder $(FOLDER))

bench-signals: $(TOOLS) ## W1 with kept signals, without, and while their store is away; 2 minutes
	@$(BIN)/python -m benchmarks.scale.signals

bench-cells: $(TOOLS) ## forwarded calls, the cost of a front, a killed cell; 1 minute
	@$(BIN)/python -m benchmarks.scale.cells

profile: $(TOOLS) $(PEERS)/.python ## where each microsecond goes; writes docs/performance.md
	@$(BIN)/python -m benchmarks.profiling.main

# What the suite is compared with and profiled by is installed apart from it, on demand.
$(PEERS)/.python: benchmarks/peers/requirements.lock
	@mkdir -p $(PEERS)
	test -x $(PEERS)/venv/bin/python || $(BIN)/python -m venv $(PEERS)/venv
	echo "installing the tools of the benchmark into $(PEERS)"
	$(PEERS)/venv/bin/python -m pip install --disable-pip-version-check --quiet \
	  --require-hashes --only-binary :all: -r $<
	touch $@

$(PEERS)/.node: benchmarks/peers/package-lock.json
	@mkdir -p $(PEERS)
	cp benchmarks/peers/package.json benchmarks/peers/package-lock.json $(PEERS)/
	cd $(PEERS) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch .node

features: $(TESTS) ## which features have a test; writes docs/features.md
	@$(BIN)/python -m tools.features

docs: $(TOOLS) ## write the generated pages of docs/, and the reasons that SDKs map
	@$(BIN)/python -m tools.docs
	$(BIN)/python -m sdks.conformance.reasons

RESOLVE := uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
  --no-header --no-annotate --no-emit-index-url

# The lock of the developers is resolved first; each smaller one is a part of it.
docs-site: $(TOOLS) ## build/site: the documentation as a web site, with every link checked
	@$(BIN)/python -m tools.site

release-check: wheel ## prove that this commit can be released; the steps are in CONTRIBUTING.md
	@$(BIN)/python -m tools.release_check

lock: $(TOOLS) ## resolve pyproject.toml into the lock files, with hashes and without addresses
	$(RESOLVE) --all-extras --group dev pyproject.toml -o requirements-dev.lock
	mkdir -p build
	sed -n 's/^\([a-zA-Z][^\]*\).*/\1/p' requirements-dev.lock > build/versions.txt
	part() { $(RESOLVE) -c build/versions.txt pyproject.toml "$$@"; }
	part --all-extras --group test -o requirements-test.lock
	part --all-extras -o requirements.lock
	part --extra server --extra k8s -o deploy/requirements.lock
	$(RESOLVE) benchmarks/peers/requirements.in -o benchmarks/peers/requirements.lock
	$(RESOLVE) tests/clients/old_mcp/requirements.in -o tests/clients/old_mcp/requirements.lock

clean: ## remove what can be made again; data of `flowmesh dev` stays
	rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
