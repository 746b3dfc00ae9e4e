# Two commands are enough: `make run` and `make test`. Both install what they need into .venv first.

# The Python to use; without one deploy/venv.sh looks for the newest that is suitable.
PYTHON ?=
BIN := .venv/bin
# Without bytecode on disk, each process of Pharos and of the tests compiles all of its modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run demo screenshots test compiled lint bench fleet faults cluster soak wheel sbom packages constraints clean

run: .venv/runtime
	@exec $(BIN)/pharos serve

demo: .venv/runtime
	@PHAROS_HOME="$${PHAROS_HOME:-var/demo}" exec $(BIN)/pharos demo

# Most of what the tests take is waiting: four at a time, each file by itself, in the order of tests/conftest.py.
test: .venv/development packages
	@$(MAKE) --no-print-directory --jobs 2 lint compiled
	$(BIN)/python -m tests.run_again --numprocesses 4 --dist loadfile --no-loadscope-reorder

# Once, beside mypy, which uses one core. Otherwise each of the four would compile all tests by itself.
compiled: .venv/development
	@$(BIN)/python -m pytest --collect-only >/dev/null 2>&1 || true  # what fails is told when they run

lint: .venv/development
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# Beside a ClickHouse server with CLICKHOUSE_URL, CLICKHOUSE_PID. Takes some fifteen minutes on two quiet cores.
bench: .venv/development
	@mkdir -p build
	$(BIN)/python -m tests.bench > build/performance.md
	mv build/performance.md docs/performance.md

# The wheel that the images are made of.
wheel: .venv/bin/pip
	rm -rf build/lib build/bdist.* build/dist
	@deploy/charts.sh
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir build/dist .

# A CycloneDX list of all that the image with the embedded ClickHouse installs, with licenses, as build/sbom.json.
sbom: wheel
	rm -rf build/image build/sbom && deploy/venv.sh build/image $(PYTHON) && deploy/venv.sh build/sbom $(PYTHON)
	build/image/bin/pip install $(HASHED) deploy/requirements/embedded.txt
	build/image/bin/pip install --quiet --disable-pip-version-check --no-deps --no-index --find-links build/dist pharos
	build/sbom/bin/pip install $(HASHED) deploy/requirements/sbom.txt
	build/sbom/bin/cyclonedx-py environment --mc-type application --output-reproducible --output-file build/sbom.json build/image/bin/python
HASHED := --quiet --disable-pip-version-check --only-binary :all: --require-hashes --requirement

# Every page of the dashboard, light and dark at four widths and on paper, in a folder that git does not see. Takes some minutes.
SCREENSHOTS ?= var/screenshots
screenshots: .venv/development
	$(BIN)/python -m tests.end_to_end.screenshots $(SCREENSHOTS)

packages:
	@deploy/packages.sh
	@deploy/php_versions.sh

.venv/runtime: setup.cfg constraints.txt | .venv/bin/pip
	@echo "Installing Pharos and the embedded ClickHouse into .venv (1.2 GB, once: a minute or two) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[embedded,geo]'
	@deploy/charts.sh
	@touch $@

.venv/development: setup.cfg constraints.txt | .venv/bin/pip
	@echo "Installing Pharos, the embedded ClickHouse and the test tools into .venv (1.4 GB, once: a minute or two) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[embedded,geo,test]'
	@deploy/charts.sh
	@touch .venv/runtime $@

.venv/bin/pip:
	@deploy/venv.sh .venv $(PYTHON)

clean:
	rm -rf .venv build *.egg-info

# After a change of the requirements: the versions of a fresh install become the ones that everybody gets, on every Python that is
# supported. The second step fails where one of them has no wheel.
COMPILE := build/constraints/bin/uv pip compile --quiet --no-header --no-annotate
constraints:
	rm -rf build/constraints && deploy/venv.sh build/constraints $(PYTHON)
	build/constraints/bin/pip install --quiet 'uv>=0.13'
	head -1 constraints.txt > build/constraints/new
	$(COMPILE) --universal --fork-strategy fewest --python-version 3.11 --all-extras --no-emit-package pip setup.cfg >> build/constraints/new
	for version in 3.11 3.12 3.13 3.14; do \
	    $(COMPILE) --python-version $$version --python-platform x86_64-manylinux_2_28 --only-binary :all: build/constraints/new >/dev/null || exit 1; \
	done
	mv build/constraints/new constraints.txt
	for image in server:geo embedded:embedded,geo; do \
	    echo "# What the image $${image%%:*} installs. Renewed by: make constraints" > deploy/requirements/$${image%%:*}.txt; \
	    $(COMPILE) --universal --python-version 3.11 --generate-hashes -c constraints.txt \
	        --extra $$(echo $${image#*:} | sed 's/,/ --extra /') setup.cfg >> deploy/requirements/$${image%%:*}.txt || exit 1; \
	done
	echo "# The tool of make sbom. Renewed by: make constraints" > deploy/requirements/sbom.txt
	echo 'cyclonedx-bom>=7.5,<8' | $(COMPILE) --universal --python-version 3.11 --generate-hashes - >> deploy/requirements/sbom.txt

# Every number of the product pages, with a fleet of INSTALLS over DAYS on twelve modules: page, file, call and a count of the tests'.
INSTALLS ?= 5000
DAYS ?= 400
fleet: .venv/development
	FLEET_INSTALLS=$(INSTALLS) FLEET_DAYS=$(DAYS) $(BIN)/python -m pytest tests/end_to_end/test_every_card.py

# Faults at random moments, for a quarter of an hour and more: make faults KILLS=500
KILLS ?= 100
faults: .venv/development
	$(BIN)/python -m tests.faults --kills $(KILLS)

# Beside a cluster (CLICKHOUSE_CLUSTER, _URL, _URLS, _PIDS, _CONFIG, _BINARY as tests/faults/clickhouse.py reads them): figures,
# rights and kills, then with replicas that are killed and come back: make cluster KILLS=500
CLUSTER_TESTS := tests/warehouse/test_engine.py tests/warehouse/test_month_tables.py tests/warehouse/test_server_users.py \
	tests/warehouse/queries tests/end_to_end/test_way_of_a_beacon.py tests/end_to_end/test_figures.py \
	tests/end_to_end/test_kills.py tests/end_to_end/test_rights.py
cluster: .venv/development
	@test -n "$$CLICKHOUSE_CLUSTER" || { echo "make cluster needs a cluster: CLICKHOUSE_URL and CLICKHOUSE_CLUSTER" >&2; exit 1; }
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder -m server $(CLUSTER_TESTS)
	KILLS=$(KILLS) $(BIN)/python -m pytest -m server tests/faults/test_replica.py

# Mixed load and faults for an hour on each engine: memory and descriptors of every process have to stay flat.
MINUTES ?= 60
soak: .venv/development
	$(BIN)/python -m tests.faults.soak --minutes $(MINUTES)
