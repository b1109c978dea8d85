# Every target sets up what it needs: a fresh clone and `python3` (3.11 or newer) are enough.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
READY := $(VENV)/.ready

.PHONY: demo test lab lint setup clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[train,dev]'
	touch $(READY)

# Executes every notebook on the embedded world.
demo: $(READY)
	@for name in 00_quickstart 01_induce_rubrics 02_edit_rubrics 03_evaluate_judges 06_rpo 07_compare_runs; do \
	  echo "executing notebooks/$$name.ipynb"; \
	  $(BIN)/workbench run notebooks/$$name.ipynb --outputs outputs/demo -p outputs outputs/demo || exit 1; \
	done
	@echo "Executed notebooks are in outputs/demo; open them with: make lab"

test: $(READY)
	$(BIN)/python -m pytest -q

lab: $(READY)
	$(BIN)/jupyter lab --LabApp.default_url=/lab/tree/notebooks

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/nbstripout --verify --keep-id --extra-keys metadata.widgets notebooks/*.ipynb

clean:
	rm -rf $(VENV) outputs/demo
