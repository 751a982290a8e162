# Two commands do everything on a fresh machine with Python 3.11, python3-venv and make:
#   make demo        the main job, on simulated sensors (ARGS="--duration 60 --headless --out DIR" for machines)
#   make test        everything that a change has to pass

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check
ARGS ?=

.PHONY: setup demo test lint bench train clean

$(VENV)/.run: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "make: $(PYTHON) -m venv failed: install Python 3.11 with its venv module (Debian: apt install python3-venv)"; exit 1; }
	$(PIP) install -q -e ".[sim]"
	@touch $@

$(VENV)/.test: $(VENV)/.run
	$(PIP) install -q -e ".[sim,test]"
	@touch $@

setup: $(VENV)/.run

demo: $(VENV)/.run
	@$(BIN)/vigia demo $(ARGS)

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/pytest $(ARGS)

bench: $(VENV)/.test
	$(BIN)/vigia bench all --json $(ARGS)

train:
	$(MAKE) -C hardware-sim/training train ARGS="$(ARGS)"

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache demo-out
