# Two commands for people: `make demo` and `make test`. `make check` is what CI and people share.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check install figures api package clean

install: $(VENV)/.installed

# torch first and pinned, so that nothing after it picks another build; compressai without what its
# networks do not need (torchvision, torch-geometric, pandas)
$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet "torch==2.13.0"
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	$(BIN)/python -m pip install --quiet --no-deps --only-binary :all: "compressai==1.2.8" \
		|| echo "no compressai for this Python: its tests are skipped"
	touch $@

demo: install
	$(BIN)/gistcast demo -o out/demo

# a process for each of CI's two cores, each with one thread of its own
test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf .types && mkdir -p .types/gistcast
	ln -s $(CURDIR)/app/* $(foreach d,codec models stream eval,$(CURDIR)/$(d)) .types/gistcast/
	$(BIN)/mypy
	$(MAKE) test

# the README's figures, from docs/results
figures: install
	$(BIN)/python docs/figures.py --write

# the reference of the Python API, from docstrings: out/api/index.html
api: install
	$(BIN)/python docs/api.py -o out/api

# a wheel and an sdist: dist/
package: install
	rm -rf build dist *.egg-info
	for what in sdist wheel; do \
		$(BIN)/python -c "from setuptools import build_meta as b; b.build_$$what('dist')" || exit 1; \
	done

clean:
	rm -rf $(VENV) out build dist *.egg-info
