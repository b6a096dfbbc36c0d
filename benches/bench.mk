# Included by the Makefile at the root. BENCH_PYTHON must have dbrewind installed; the rivals' packages are
# installed into it, and one that cannot be is reported by the benchmark.
BENCH_PYTHON ?= .venv/bin/python

.PHONY: bench
bench:
	-$(BENCH_PYTHON) -m pip install --quiet --disable-pip-version-check -r benches/compare/requirements.txt
	PYTHONPATH=benches $(BENCH_PYTHON) -m compare $(if $(QUICK),--quick) $(BENCH_ARGS)
