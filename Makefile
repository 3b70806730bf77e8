PYTHON ?= python
# those that need no data
BENCHMARKS = cold_start drawing reading risk

.DEFAULT_GOAL := help
.PHONY: help check format-check lint types test format bench

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

check: format-check lint types test ## everything that must pass before a commit

format-check: ## say which files `make format` would change
	$(PYTHON) -m ruff format --check .

lint: ## look for likely mistakes
	$(PYTHON) -m ruff check .

types: ## check the types, strictly
	$(PYTHON) -m mypy

test: ## run the tests: on the CPU, without network
	$(PYTHON) -m pytest

format: ## format the code and sort its imports
	$(PYTHON) -m ruff check --select I --fix .
	$(PYTHON) -m ruff format .

bench: ## run the benchmarks that need no data (for decoding.py, papers.py, search.py and training.py see --help)
	@for name in $(BENCHMARKS); do echo "== $$name"; $(PYTHON) benchmarks/$$name.py || exit 1; done
