# Each target does everything, from a machine with python3 and make alone: it creates the virtual environment,
# installs, and runs. A second run reuses the environment.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

# Where it is set, each of the many processes that tests start compiles every module again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test soak lint clean

demo: $(STAMP)
	$(BIN)/autox3d demo --output demo

test: lint
	$(BIN)/python -m pytest -n auto --dist loadfile

# Kills searches, trainings and tests twenty times each, and compares what they leave; minutes.
soak: $(STAMP)
	PYTHONPATH=. $(BIN)/python tests/soak/run.py

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Written last, so that an interrupted install is done again.
$(STAMP): setup.py constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,demo]'
	touch $(STAMP)

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
