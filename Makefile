# Fresh machine: `make quickstart` or `make test` (`make test-all` tests everything). They create .venv from constraints.txt.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: quickstart test test-all dev lint types wheel docs paper paper-check reproduce clean

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13) and "Upliftlens needs Python 3.11, 3.12 or 3.13: make PYTHON=python3.12 ...")'
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@echo 'installing the pinned versions into .venv (a minute or more, silently)'
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e .
	touch $@

.venv/.dev: .venv/.installed
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev]'
	mkdir -p .typings/upliftlens
	for part in causal models benchmarks configs paper upliftlens/__init__.py; do ln -sfn ../../$$part .typings/upliftlens/$$(basename $$part); done
	touch $@

dev: .venv/.dev

quickstart: .venv/.installed
	$(BIN)/upliftlens quickstart

test: .venv/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'not slow'

test-all: test
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.dev
	$(BIN)/mypy

wheel: .venv/.dev
	rm -rf build dist
	$(BIN)/python -m build --wheel --outdir dist .

docs: .venv/.dev
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[docs]'
	$(BIN)/sphinx-build -W --keep-going -q docs build/docs
	@echo 'the site: build/docs/index.html'

# The figures and paper/main.pdf from the committed tables of results/.
paper: .venv/.paper
	$(BIN)/python -m upliftlens.paper.build

paper-check: .venv/.paper
	$(BIN)/python -m upliftlens.paper.build --check

.venv/.paper: .venv/.installed
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[paper]'
	touch $@

# Computes the tables that the paper prints again, the estimates first; what is in the store is not computed twice.
TABLES := schnabel-1 schnabel-2 surprise-ml-100k robustness uplift-estimators coat ml-100k-debias uplift-ml-100k
reproduce: .venv/.paper
	for table in $(TABLES); do $(BIN)/upliftlens table $$table --estimate; done
	for table in $(TABLES); do $(BIN)/upliftlens table $$table --run --out results > /dev/null || exit 1; done
	$(BIN)/upliftlens ledger --format md > results/ledger.md
	$(BIN)/python -m upliftlens.paper.build

clean:
	rm -rf .venv .typings build docs/api docs/files.md dist *.egg-info
