# Two commands are enough: `make run` and `make test`. Both install what they need into .venv first.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
SERVER_TESTS := tests/end_to_end

.PHONY: run demo test lint bench faults clean

run: .venv/runtime
	@exec $(BIN)/pharos serve

demo: .venv/runtime
	@PHAROS_HOME="$${PHAROS_HOME:-var/demo}" exec $(BIN)/pharos demo

test: .venv/development packages lint
	$(BIN)/python -m pytest

lint: .venv/development
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: .venv/development
	$(BIN)/python -m tests.bench

.PHONY: packages
packages:
	@deploy/packages.sh

.venv/runtime: setup.cfg constraints.txt | .venv/bin/pip
	@echo "Installing Pharos and the embedded ClickHouse into .venv (some 300 MB, once) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[embedded,geo]'
	@touch $@

.venv/development: setup.cfg constraints.txt | .venv/bin/pip
	@echo "Installing Pharos, the embedded ClickHouse and the test tools into .venv (some 400 MB, once) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[embedded,geo,test]'
	@touch .venv/runtime $@

.venv/bin/pip:
	@deploy/venv.sh "$(PYTHON)"

clean:
	rm -rf .venv build *.egg-info
