# Everything happens in a virtual environment that make sets up by itself.
PYTHON ?= python3
VENV   ?= .venv
PYTHON2 ?= $(firstword $(wildcard $(HOME)/.pyenv/versions/2.7.*/bin/python) python2.7)
# Twice the cores of CI: about half of their time, tests wait for processes and timeouts.
WORKERS ?= 4
XDIST   = --numprocesses $(WORKERS) --dist worksteal
BIN     = $(VENV)/bin
READY   = $(VENV)/.ready
PIP     = $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Each process of the tests, servers among them, would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help test quick cover pythons legacy native native-test native-fuzz lint hooks demo docs bench torture torture-cluster fuzz container sdist clean
.DEFAULT_GOAL := help

help:            ## Says what there is to make.
	@grep -E '^[a-z-]+: .*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 17

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("pyelevator needs Python 3.11 or later, and $(PYTHON) is %d.%d; say make PYTHON=python3.11, or whatever you have" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade 'pip>=25.1'  # the first that reads dependency groups
	$(PIP) --editable '.[all,testing]' --group dev
	@touch $@

test: $(READY)   ## Sets up, and runs the tests.
	$(BIN)/python -m pytest $(XDIST) $(ARGS)

quick: $(READY)  ## The tests without the slow ones (real processes, faults, long histories): about a minute.
	$(BIN)/python -m pytest $(XDIST) -m 'not slow' $(ARGS)

cover: $(READY)  ## The tests with coverage measured, in all processes; fails below the floor in pyproject.toml.
	$(PIP) --group cover
	rm -f .coverage .coverage.*
	$(BIN)/python -m coverage run -m pytest $(XDIST) $(ARGS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

pythons: $(READY) ## The suites of engines, codecs, clients and transports on every other supported Python here.
	.ci/pythons

lint: $(READY)   ## Format, lint, types and the direction of imports.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --quiet -p no:cacheprovider tests/test_imports.py

hooks: $(READY)  ## Has git call the project's own tools before each commit.
	$(PIP) --group hooks
	$(BIN)/pre-commit install

NATIVE = $(wildcard native/*.* native/src/pyelevator_native/*.p* native/src/pyelevator_native/*.hpp)

native: $(VENV)/.native ## Builds and installs the extension in C++ (needs g++ and libleveldb-dev).

$(VENV)/.native: $(READY) $(NATIVE)
	@printf '#include <leveldb/db.h>\n' | $${CXX:-c++} -E -x c++ - >/dev/null 2>&1 || { echo "the extension needs a C++ compiler and LevelDB's headers: apt-get install g++ libleveldb-dev"; exit 1; }
	$(PIP) ./native
	@touch $@

NATIVE_SUITES = tests/native tests/codec/classic tests/transports/sockets tests/client/test_pipelines.py tests/engines \
	$(wildcard tests/integration/codec/test_classic_*.py) tests/integration/engines tests/integration/transports/test_heartbeats.py \
	tests/integration/transports/test_listeners.py $(patsubst %,tests/integration/server/test_%.py,damage stats unreadable)

native-test: native ## The suites of engines, servers and clients with the extension.
	PYELEVATOR_NATIVE=1 $(BIN)/python -m pytest $(XDIST) $(NATIVE_SUITES) --ignore tests/engines/postgresql --ignore tests/integration/engines/postgresql $(ARGS)

native-fuzz: ## Fuzzes the extension's C++ with sanitizers (needs clang): each target for FUZZ_SECONDS (60).
	native/fuzz/run $${FUZZ_SECONDS:-60}

legacy: .legacy/.ready ## Sets up PyPI's Elevator 0.5 and its client on Python 2.7, which tests/integration/legacy then runs.

.legacy/.ready:
	@$(PYTHON2) -m pip --version >/dev/null || { echo "Elevator 0.5 needs Python 2.7 with pip; say make legacy PYTHON2=/path/to/python2.7"; exit 1; }
	$(PYTHON2) -m pip install --quiet --target .legacy pyzmq==19.0.2 plyvel==1.2.0 msgpack-python==0.4.7 ujson==2.0.3 procname==0.3 clint==0.5.1 lz4==0.7.0 unittest2==1.1.0 nose==1.3.7
	PYTHONPATH=$(CURDIR)/.legacy $(PYTHON2) -m pip install --quiet --target .legacy --no-deps elevator==0.5 py-elevator==0.5c
	PYTHONPATH=$(CURDIR)/.legacy $(PYTHON2) -m pip download --quiet --dest .legacy/sdist --no-deps --no-binary :all: py-elevator==0.5c
	tar --extract --gzip --file .legacy/sdist/py-elevator-0.5c.tar.gz --directory .legacy/sdist
	echo $(PYTHON2) > $@

demo: $(READY)   ## Runs the documented session against a real server, over tcp, ipc and the fake.
	$(BIN)/python examples/session.py

docs: $(VENV)/.docs  ## Makes the documentation, in docs/_build/html; a warning is a failure.
	$(BIN)/sphinx-build -q --fail-on-warning --keep-going --nitpicky -j auto docs docs/_build/html
	@echo "open docs/_build/html/index.html"

$(VENV)/.docs: $(READY)
	$(PIP) --group docs
	@touch $@

bench: $(READY)  ## Measures this machine beside redis, plyvel and bare pyzmq, and writes docs/benchmarks.md; ARGS=--help tells the sizes.
	-$(PIP) --group bench
	$(BIN)/python -m benchmarks $(ARGS)

torture: $(READY) ## The fault tests at full length (minutes), and writes docs/reliability.md; ARGS=--help tells the sizes.
	-$(PIP) --group torture
	PYTHONPATH=tests $(BIN)/python -m torture $(ARGS)

torture-cluster: $(READY) ## Faults of a PostgreSQL cluster of three nodes (minutes), and writes docs/reliability-cluster.md; ARGS=--help tells the sizes.
	PYTHONPATH=tests $(BIN)/python -m cluster $(ARGS)

fuzz: $(READY)   ## Fuzzes both codecs and ZMTP with atheris, guided by coverage: each target for FUZZ_SECONDS (60).
	-$(PIP) --group fuzz
	PYTHONPATH=tests $(BIN)/python -m fuzz $(ARGS)

container:  ## Builds the container and runs it, where docker or podman works; PYTHON_IMAGE= names another base.
	packaging/test-container

sdist: $(READY)  ## Builds the source distribution and the wheel, in dist.
	$(PIP) --group build
	$(BIN)/python -m build --quiet

clean:           ## Removes what make set up.
	rm -rf $(VENV) .venv-* .legacy docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* dist native/build native/src/*.egg-info
