# reidlab: `make lab` opens the course, `make test` proves it. Everything lives in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8888
JOBS ?= 2
LAB_OPTIONS ?=
COURSE_OPTIONS ?=
NOTEBOOKS ?= notebooks
# One thread per process: two notebooks or two test workers side by side use both cores.
ONE_THREAD := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE

.PHONY: help lab test check unit notebooks course bench data clean
.DEFAULT_GOAL := help

help:
	@echo "make lab     install, render the datasets, open JupyterLab on the tour"
	@echo "make test    install, check, unit tests, then every notebook compared with its outputs"
	@echo "make course  run every notebook, write browsable HTML into build/course"
	@echo "             (COURSE_OPTIONS=--changed: only what changed since the last run)"
	@echo "make check   ruff and pyright"
	@echo "make bench   print speeds, as ratios against references where there are any"
	@echo "make clean   remove what was built; keeps .venv and datasets"

# --- set-up: each stamp is renewed when the lists of packages change ---

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "reidlab needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || \
	  { echo "the venv module is missing; on Debian or Ubuntu: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

# A torch that is installed in .venv already (a CPU build, say) is kept: its pins are left out.
$(VENV)/constraints.txt: constraints.txt | $(BIN)/python
	@if [ -e $(VENV)/own-torch ] || { [ ! -e $(VENV)/lab.stamp ] && [ ! -e $(VENV)/dev.stamp ] \
	    && $(BIN)/python -c 'import torch' 2>/dev/null; }; then \
	  touch $(VENV)/own-torch; \
	  echo "keeping the torch that is installed in $(VENV)"; \
	  grep -vE '^(torch|torchvision|triton|nvidia-|cuda-)' constraints.txt > $@; \
	else cp constraints.txt $@; fi

$(VENV)/lab.stamp: pyproject.toml $(VENV)/constraints.txt
	@echo "installing the packages of constraints.txt (a few minutes the first time)"
	$(BIN)/python -m pip install --quiet -c $(VENV)/constraints.txt -e .
	@touch $@

$(VENV)/dev.stamp: pyproject.toml $(VENV)/constraints.txt
	@echo "installing the packages of constraints.txt (a few minutes the first time)"
	$(BIN)/python -m pip install --quiet -c $(VENV)/constraints.txt -e ".[dev]"
	@touch $@ $(VENV)/lab.stamp

data: $(VENV)/lab.stamp
	@echo "looking for the datasets (drawing them takes about two minutes the first time)"
	$(BIN)/reidlab data make
	$(BIN)/reidlab data make --variant wide

# --- what people type ---

lab: data
	$(BIN)/jupyter lab --port $(PORT) --notebook-dir $(NOTEBOOKS) $(LAB_OPTIONS) $(NOTEBOOKS)/00_tour.ipynb

test: $(VENV)/dev.stamp check unit notebooks

check: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

unit: $(VENV)/dev.stamp data
	$(ONE_THREAD) $(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not slow" tests

notebooks: $(VENV)/dev.stamp data
	$(ONE_THREAD) $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --nbval --nbval-current-env \
	  --nbval-cell-timeout 600 --nbval-sanitize-with tests/nbval_sanitize.cfg notebooks

course: $(VENV)/dev.stamp data
	$(ONE_THREAD) $(BIN)/python -m reidlab.course --jobs $(JOBS) --out build/course $(COURSE_OPTIONS)

bench: $(VENV)/dev.stamp data
	for script in tests/benchmarks/bench_*.py; do \
	  $(ONE_THREAD) $(BIN)/python $$script || exit 1; done

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache
