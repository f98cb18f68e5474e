# `make demo` runs the main job, `make test` all tests; each makes .venv and installs what it needs.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# A C++ compiler from pip, only where the machine has none.
HAVE_CXX := $(shell command -v $(firstword $(PCEDGE_CXX)) g++ clang++ c++ 2>/dev/null)
ZIG = $(if $(HAVE_CXX),,zig)
# The version that the tests were run with; set TORCH to the build that suits your machine.
TORCH ?= torch==2.13.0
# A worker a core. Each takes files in a row, so that what a file's tests share is made once, and steals what another
# has not begun when its own are done: no core waits at the end.
WORKERS = -n auto --dist worksteal

.PHONY: everything demo test test-fast pythons nightly lint tree docs release check clean

# The packages of lint, docs and test in one go. Each installation of the checkout on its own builds the native engine
# anew, and pip translates to byte code on one core only.
everything: $(VENV)/.everything

demo: $(VENV)/.demo
	$(BIN)/pcedge demo --out pcedge-demo

test: $(VENV)/.test
	$(BIN)/python -m pytest $(WORKERS) $(PYTEST_FLAGS)

# What neither compiles C++ nor takes long.
test-fast: $(VENV)/.test
	$(BIN)/python -m pytest $(WORKERS) -m "not csim and not slow"

# Golden files and equal bytes on every other Python that is there, and with the oldest numpy.
pythons: $(VENV)/.test tree
	.ci/pythons $(BIN)/python

# All tests, those marked nightly and all examples too, 10,000 mutated cases of every parser, 10 minutes of fuzzing of
# the native engine under sanitizers, as many of the readers by their bytes and by their structure, the proofs, and the
# benchmarks that need no data but the shipped ones.
nightly: $(VENV)/.fuzz
	PCEDGE_NIGHTLY=1 $(BIN)/python -m pytest $(WORKERS) --durations=50
	$(BIN)/python -m benchmarks.mutate --count 10000
	$(BIN)/python -m benchmarks.fuzz_native --seconds 600
	$(BIN)/python -m benchmarks.fuzz_readers --seconds 600
	$(BIN)/python -m benchmarks.fuzz_readers --seconds 600 --sealed
	$(BIN)/python -m benchmarks.prove
	$(BIN)/python benchmarks/scaling.py
	$(BIN)/python benchmarks/bounds.py

lint: $(VENV)/.lint tree
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror hls/include/pcedge/*/*.hpp hls/testbench/*.cpp hls/tops/* export/unrolled/templates/*.in export/c99/templates/*.in export/c99/templates/*.[ch] pcedge/native/src/* benchmarks/fuzz_native.c
	cd build/tree && $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml -p pcedge
	cd build/tree && PYTHONPATH=. $(CURDIR)/$(BIN)/lint-imports --config $(CURDIR)/pyproject.toml --no-cache

# The package as it is installed: export/ and hls/ are parts of it.
tree:
	rm -rf build/tree && mkdir -p build/tree && cp -r pcedge build/tree/pcedge
	cp -r export build/tree/pcedge/export && cp -r hls build/tree/pcedge/hls

docs: $(VENV)/.docs tree
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir build/site
	$(BIN)/peakrdl html hls/registers.rdl -o build/site/registers-html
	$(BIN)/peakrdl c-header hls/registers.rdl -o build/site/pcedge_engine.h

# Both packages in dist/, checked, installed and tried on every Python that is there; the tag is set by hand.
release: $(VENV)/.release
	.ci/release $(BIN)/python

check: lint test

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.everything: pyproject.toml | $(VENV)/bin/python
	@echo "installing what is needed into $(VENV), once …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile "$(TORCH)" -e ".[test,lint,docs$(addprefix $(comma),$(ZIG))]"
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib > $(VENV)/compileall.txt || true
	@touch $(VENV)/.demo $(VENV)/.test $(VENV)/.lint $(VENV)/.docs $@

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	@echo "installing what is needed into $(VENV), once …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[demo$(addprefix $(comma),$(ZIG))]"
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	@echo "installing what is needed into $(VENV), once …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$(TORCH)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[test$(addprefix $(comma),$(ZIG))]"
	@touch $@

$(VENV)/.lint: pyproject.toml $(VENV)/.test
	@echo "installing the linters into $(VENV), once …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[lint]"
	@touch $@

$(VENV)/.fuzz: pyproject.toml $(VENV)/.test
	@echo "installing atheris into $(VENV), once …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[fuzz]"
	@touch $@

$(VENV)/.docs: pyproject.toml $(VENV)/.demo
	@echo "installing what the site is built with into $(VENV), once …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[docs]"
	@touch $@

$(VENV)/.release: pyproject.toml | $(VENV)/bin/python
	@echo "installing what packages are built with into $(VENV), once …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[release]"
	@touch $@

comma := ,

clean:
	rm -rf $(VENV) build dist pcedge-demo *.egg-info
