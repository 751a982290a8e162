# Two commands do everything on a fresh machine with Python 3.11, python3-venv and make:
#   make demo        the main job, on simulated sensors (ARGS="--duration 60 --headless --out DIR" for machines)
#   make test        everything that a change has to pass

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check
ARGS ?=

PEERS := $(patsubst tests/peers/%.txt,.venv-peers/%/.ready,$(wildcard tests/peers/*.txt))

.PHONY: setup demo test lint peers bench fuzz nightly train clean deb wheelhouse lock audit test-packages test-booted faults soak test-vm chaos

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

# other people's programs that judge ours in tests and benchmarks, each in an environment of its own
.venv-peers/%/.ready: tests/peers/%.txt
	$(PYTHON) -m venv .venv-peers/$*
	.venv-peers/$*/bin/pip install --disable-pip-version-check -q -r $<
	@touch $@

peers: $(PEERS)

# the benchmarks alone want the large ones
TEST_PEERS := $(filter-out $(patsubst %,.venv-peers/%/.ready,vision sahi trackers),$(PEERS))

# One process more than cores: half of the tests wait for devices, brokers and clocks. Each process begins with a stretch
# of its own, so that what a module has made is made once; who is through takes over from the others.
TEST_JOBS ?= $(shell n=$$(nproc); echo $$((n < 8 ? n + 1 : 8)))

test: lint $(TEST_PEERS)
	$(BIN)/pytest -n $(TEST_JOBS) --dist worksteal $(ARGS)

bench: $(VENV)/.test peers
	$(BIN)/vigia bench all --out bench $(ARGS)

# dist/vigia_VERSION_ARCH.deb for Debian 12, installable without a network; ARCHES="amd64 arm64"
ARCHES ?= amd64
deb: $(VENV)/.run
	@for arch in $(ARCHES); do PYTHON=$(BIN)/python packaging/deb.sh $$arch || exit 1; done

# everything for `pip install --no-index --find-links dist/wheelhouse-amd64 vigia` on a machine without a network
wheelhouse: $(VENV)/.run
	@for arch in $(ARCHES); do PYTHON=$(BIN)/python packaging/wheelhouse.sh $$arch || exit 1; done

# every other way to install, tried: wheelhouse, hash-pinned lock, plain pip; and the bill of materials (some minutes)
test-packages: $(VENV)/.run
	PYTHON=$(BIN)/python packaging/try.sh

lock: $(VENV)/.run
	$(BIN)/python packaging/lock.py

# known advisories for the locked packages, asked of PyPI
audit:
	@$(PYTHON) packaging/audit.py

# the whole fault matrix (about twenty minutes, some of it as root); writes docs/faults.md from its run
faults: $(VENV)/.test
	rm -rf build/faults && mkdir -p build
	VIGIA_FAULTS=all VIGIA_FAULTS_OUT=build/faults $(BIN)/pytest tests/faults $(ARGS)
	$(BIN)/python tests/faults/table.py build/faults > docs/faults.md

# what needs a kernel of its own (root, debootstrap, qemu-system-x86): V4L2, USB serial, MemoryMax, power cut
test-vm: $(VENV)/.test deb
	PYTHONPATH=tests $(BIN)/python -m vm.run dist/vigia_*_amd64.deb

# hours of a whole box: memory, handles, threads, written bytes; ARGS="--hours 0.1" for a short one, or
# ARGS="--simulated-days 7" for a week of events through its core
soak: $(VENV)/.test
	PYTHONPATH=tests $(BIN)/python -m soak.soak $(ARGS)

# only the tests in a booted Debian 12 (root, debootstrap, systemd-nspawn); part of `make test`
test-booted: $(VENV)/.test
	$(BIN)/pytest tests/booted $(ARGS)

# simulated days over all scenarios through the box's core, with a table (ARGS="--days 1"; 30 before a release)
nightly: $(VENV)/.run
	@$(BIN)/python -m hardware_sim nightly --vigia $(BIN)/vigia --jobs $$(nproc) $(ARGS)

# coverage-guided fuzzing of every decoder (ARGS="cat240 --runs 100000"); not part of `make test`, which does not need atheris
.venv-peers/fuzz/.ready: tests/fuzz/requirements.txt
	$(PYTHON) -m venv .venv-peers/fuzz
	.venv-peers/fuzz/bin/pip install --disable-pip-version-check -q -r $<
	@touch $@

fuzz: .venv-peers/fuzz/.ready
	.venv-peers/fuzz/bin/python tests/fuzz/run.py $(ARGS)

# kill -9 and power cuts (as root) a thousand times with broker outages, bad links and full disks, in ten boxes at once:
# a quarter of an hour on an idle machine (SIGTERM ends it with the verdict so far); its result stands in docs/delivery.md
chaos: $(VENV)/.run
	$(BIN)/vigia bench outbox-chaos --rounds 1000 --jobs 10 --out bench $(ARGS)

train:
	$(MAKE) -C hardware-sim/training train ARGS="$(ARGS)"

clean:
	rm -rf $(VENV) .venv-peers .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache demo-out nightly-out fuzz-out
