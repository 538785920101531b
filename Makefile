# sleap_lab: `make demo` and `make test` set up what each needs on a fresh machine with Python 3.11+.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TOOLS := $(VENV)/.tools
EXTRAS := joblib,submitit,system,tune
EXTRAS_OF_TOOLS := dev,docs,onnxruntime,openvino
EXTRAS_OF_CLUSTER := cluster
OPENCV = $(shell sed -n 's/^opencv-python==//p' constraints.txt)
SECONDS ?= 60
WORKERS ?= 2
QUICK = checkpoints compare decode evaluation files media poses settings tracking test_filters.py

# The package with some extras. pip shows what it does, for it takes minutes; setuptools would warn of
# folders named like the package, which is what an editable one is. A folder of that name where Python
# starts (that of this clone, seen from the one above) would hide the package, but for the .pth file.
# Both builds of OpenCV install the same folder, so one has to go before the other comes.
define pip_install
	PYTHONWARNINGS=ignore:Editable $(BIN)/python -m pip install --constraint constraints.txt --editable '.[$(1)]'
	@$(BIN)/python -c 'import os, pathlib, site; pathlib.Path(site.getsitepackages()[0], "sleap_lab.pth").write_text(os.getcwd() + "\n")'
	@reason=$$($(BIN)/python -c 'import cv2' 2>&1) || { \
		echo "note: opencv-python cannot be loaded here ($$(echo "$$reason" | tail -n 1)); opencv-python-headless $(OPENCV) takes its place"; \
		$(BIN)/python -m pip uninstall -qq --yes opencv-python opencv-python-headless \
		&& $(BIN)/python -m pip install --no-deps opencv-python-headless==$(OPENCV) \
		&& $(BIN)/python -c 'import cv2'; }
endef

.DEFAULT_GOAL := help
.PHONY: help install tools demo test quick slow conformance faults cluster fuzz mutants bench lint fix docs docs-commands clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

install: $(INSTALLED)  ## Create .venv with what runs, sweeps and searches need, pinned

$(INSTALLED): Makefile pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "error: Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) -V 2>&1); try make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "error: $(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	@echo "Installing into $(VENV): 2.3 GB (6.3 GB with PyTorch's build for NVIDIA cards), which takes some minutes"
	$(call pip_install,$(EXTRAS))
	@touch $@

tools: $(TOOLS)  ## Add to .venv what tests, checks and docs need

$(TOOLS): $(INSTALLED)
	$(call pip_install,$(EXTRAS_OF_TOOLS))
	@touch $@

demo: install  ## Track and evaluate the demo clip, about a minute on two cores
	$(BIN)/sleap-lab experiment=demo
	@echo
	@echo "To look at it in MLflow: . $(BIN)/activate, then the line behind MLflow; the addresses below it open then."

# Compiled tests are kept, so that not every worker of every run compiles them.
test quick: export PYTHONDONTWRITEBYTECODE :=

test: tools  ## Run the tests that need minutes, not hours, WORKERS (2) at a time
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --durations=20

quick: tools  ## Run the tests that need neither processes nor networks, in a minute
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -q \
		--ignore tests/compare/test_browser.py $(addprefix tests/,$(QUICK))

slow: tools  ## Run the tests marked slow that no other target runs
	$(BIN)/python -m pytest -m "slow and not conformance" --ignore tests/docs/test_commands.py

conformance: tools  ## Compare with all reference answers (env SLEAP_LAB_REFERENCE)
	$(BIN)/python -m pytest tests/conformance -m ''

faults: tools  ## Kill runs and sweeps at random moments, let every write fail, start 16 runs at once; an hour or two
	$(BIN)/python -m scripts.kills
	$(BIN)/python -m scripts.writes
	$(BIN)/python -m scripts.faults
	$(BIN)/python -m scripts.cold_start

cluster: tools  ## Run sweeps on a real Slurm and real MLflow servers, started here; root, Debian or Ubuntu, 15 minutes
	$(call pip_install,$(EXTRAS_OF_CLUSTER))
	BIN=$(BIN) .ci/cluster

fuzz: tools  ## Change files and command lines at random, each kind for SECONDS (60), and look for what nobody foresaw
	$(BIN)/python tests/fuzz/fuzz.py --seconds $(SECONDS)

mutants: tools  ## Change the core in 300 places, one at a time, and list what no unit test notices; an hour or less
	$(BIN)/python scripts/mutants.py

bench: tools  ## Time everything against sleap-nn, two hours; PEER is the Python of an environment with sleap-nn 0.3.5
	@test -x "$(PEER)" || { echo "error: make bench PEER=path/to/python of an environment with sleap-nn 0.3.5"; exit 1; }
	for name in inference tracking evaluation startup sweep; do $(BIN)/python -m benchmarks $$name --peer-python $(PEER) --rounds 5 || exit 1; done
	$(BIN)/python -m benchmarks network
	$(BIN)/python -m benchmarks overlap
	$(BIN)/python -m benchmarks limit
	$(BIN)/python -m benchmarks memory

lint: tools  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fix: tools  ## Format and repair what can be repaired
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: tools  ## Regenerate the reference pages from the code, and build the site into site/
	$(BIN)/python scripts/make_reference.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-commands: tools  ## Run every command of the README and of docs/ in bash and zsh, about an hour
	$(BIN)/python -m pytest tests/docs/test_commands.py -m slow

clean:  ## Remove the virtual environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
