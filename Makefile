# Everything a newcomer runs. Needs Python 3.11 or newer, make and a package index; all else lands in .venv.
#   PYTHON=python3.12    another interpreter
#   PIP_FLAGS="..."      more options for pip (another index with CPU builds of torch, a local folder of wheels)
#   WORKERS=4            parallel test processes

PYTHON    ?= python3
PIP_FLAGS ?=
WORKERS   ?= 2

VENV   := .venv
BIN    := $(VENV)/bin
PINS   := pyproject.toml constraints.txt
PIP    := $(BIN)/python -m pip install -qq --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt
# One thread a process: two test workers with two threads each are slower on two cores than with one.
SINGLE := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-slow check bench docs clean

help: ## these lines
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | while IFS="$$(printf '\t')" read -r name what; do \
		printf '  make %-10s %s\n' "$$name" "$$what"; done

demo: $(VENV)/.runtime ## choose a loss for the table that ships in the package, and write report.html
	@$(BIN)/likelihoods choose --report report.html
	@echo "The report is $(CURDIR)/report.html: open it in a browser."

test: $(VENV)/.test ## the tests (minutes)
	$(SINGLE) $(BIN)/python -m pytest -n $(WORKERS) -q -m "not slow"

test-slow: $(VENV)/.test ## the tests marked slow
	$(SINGLE) $(BIN)/python -m pytest -n $(WORKERS) -q -m slow || test $$? -eq 5 # 5: there are none

check: $(VENV)/.dev ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.test ## the benchmarks
	$(BIN)/python -m benchmarks

docs: $(VENV)/.docs docs/_build/claims.json ## the documentation as HTML, with every claim measured; a warning is an error
	@$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --fresh-env -b html -d docs/_build/doctrees docs docs/_build/html
	@echo "The documentation is $(CURDIR)/docs/_build/html/index.html."

# A claim that fails is shown as such on its page; `make test` is where it stops the work.
docs/_build/claims.json: $(shell find likelihoods -name '*.py') | $(VENV)/.docs
	@mkdir -p docs/_build
	@$(SINGLE) $(BIN)/likelihoods verify --all --json $@ > /dev/null || test -s $@

clean: ## remove what the other targets wrote, all but .venv
	rm -rf build dist docs/_build docs/catalogue .pytest_cache .ruff_cache .mypy_cache .hypothesis report.html
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +

# The environment: one stamp for each thing installed, so that `make demo` brings no test tools. A stamp is older than
# pyproject.toml or constraints.txt only after one of them changed; an interrupted install leaves no stamp.

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "likelihoods needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }
	@touch $@

$(VENV)/.runtime: $(PINS) | $(VENV)/.made
	@echo "Making the environment in $(VENV) (once, about two minutes; torch is large) ..."
	@$(PIP) -e .
	@touch $@

$(VENV)/.test $(VENV)/.docs $(VENV)/.dev: $(VENV)/.%: $(VENV)/.runtime
	@echo "Installing the $* tools (once) ..."
	@$(PIP) -e '.[$*]'
	@touch $@
