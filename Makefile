# Each target makes its own virtual environment, in .venv, when there is none.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(BIN)/python -m pip install --quiet

.PHONY: demo test test-fast lint screenshots bench clean

demo: $(VENV)/.installed ## segment objects in a real image; says where the result is
	$(BIN)/napari-sam demo --output demo-output

# Without the libraries of Qt, pytest-qt stops everything; the plugin's tests skip then.
NO_QT = $(shell $(BIN)/python -c "import qtpy.QtWidgets" 2>/dev/null || echo "-p no:pytest-qt")

# Each file of tests in one process, up to four at a time.
WORKERS ?= -n logical --maxprocesses 4 --dist loadfile

test: lint ## everything that CI runs
	$(BIN)/python -m pytest $(NO_QT) $(WORKERS)

test-fast: $(VENV)/.installed-dev ## between commits: no window, no browser, no other process
	$(BIN)/python -m pytest $(NO_QT) $(WORKERS) -m "not slow"

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vulture
	$(BIN)/python -m npe2 validate src/napari_sam/napari.yaml

screenshots: $(VENV)/.installed-dev ## docs/napari.png and docs/notebook.png, from the real windows
	NAPARI_CONFIG=$$(mktemp -d)/settings.yaml xvfb-run -a -s "-screen 0 1400x900x24" $(BIN)/python benchmarks/screenshots.py docs

bench: $(VENV)/.installed-dev ## the benchmarks that need no GPU; larger ones are run by hand
	for name in decoder one_click encoder postprocessing pipeline; do \
		$(BIN)/python benchmarks/$$name.py || exit 1; \
	done
	$(BIN)/python benchmarks/everything.py --largest 2048 --clicks 16

clean:
	rm -rf $(VENV) demo-output build dist .mypy_cache .ruff_cache .pytest_cache

$(BIN)/python:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed: make PYTHON=...')"
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable ".[dev]"
	touch $@ $(VENV)/.installed
