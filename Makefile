# Two commands do everything on a machine with Python 3.11 or 3.12 and nothing else:
#   make quickstart    the main job on embedded data, minutes on two cores
#   make test          every test
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SHELL := /bin/bash

.PHONY: setup quickstart test fast chaos lint format docs clean

setup: $(VENV)/.installed

# torch goes first and by its exact version: on a machine without a GPU, let pip find a CPU build of it
# (pip's own settings, such as PIP_FIND_LINKS or PIP_EXTRA_INDEX_URL) and no CUDA package is installed.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)) and "Python 3.11 or 3.12 is needed (make PYTHON=python3.12 ...)")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "$$(grep '^torch==' constraints.txt)" -c constraints.txt
	$(BIN)/python -m pip install --quiet -e '.[dev,docs,onnx]' -c constraints.txt
	touch $@

quickstart: setup
	$(BIN)/python -m lms_ray.sweep quickstart

test: fast
	$(BIN)/python -m pytest -m "(slow or real) and not ray" -n auto --dist loadfile
	$(BIN)/python -m pytest -m ray

fast: setup
	$(BIN)/python -m pytest -m "not (ray or slow or real)" -n auto --dist loadfile

chaos: setup
	$(BIN)/python -m pytest -m chaos

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup
	$(BIN)/mkdocs build

clean:
	rm -rf $(VENV) runs site .pytest_cache .ruff_cache .mypy_cache .import_linter_cache
