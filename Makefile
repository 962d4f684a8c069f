# The front door. `make` alone prints this list.
#
#   DATA=folder      demo: your own recordings instead of the bundled instruments
#   TORCH=cpu|cuda   env: which PyTorch (remembered; cpu at first)
#   CONDA=program    env: this micromamba, mamba or conda; CONDA=none for a plain venv
#   WORKERS=n        test: how many tests run at a time
#   PD_EXTERNALS=folder  pd-install: where Pure Data looks for externals (~/Documents/Pd/externals)
#   NN=upstream      pd-install: the well-known nn~ in place of the course's own (NN_TILDE_DIR=checkout)

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help env lab demo test notebooks book handout pd-install pd-test pd-uninstall bench lint clean

DATA ?=
WORKERS ?= 2
export DATA
ENV := bash pd_setup/create_env.sh
RUN := $(ENV) --run
TRY := OMP_NUM_THREADS=1 $(RUN) python -m pytest --nbval-lax --nbval-current-env --nbval-cell-timeout=600 \
	-n $(WORKERS) --dist loadfile --no-loadscope-reorder

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{ printf "make %-12s %s\n", $$1, $$2 }' Makefile

env: ## set up the Python environment (the other targets do it too)
	@$(ENV)

lab: env ## open the notebooks in JupyterLab
	@$(RUN) bash pd_setup/lab.sh

demo: env ## sounds to model to sound in minutes; results in build/demo (DATA=folder for your own recordings)
	@case "$$DATA" in "~/"*) DATA="$$HOME/$${DATA#??}" ;; esac; \
	$(RUN) python -m ravecourse.cli.demo $${DATA:+--data "$$DATA"}

test: env ## check style and types, run all tests and all notebooks
	@$(RUN) bash pd_setup/lint.sh
	@$(ENV) --book
	@$(TRY) --ignore=notebooks/solutions $(wildcard notebooks) tests

notebooks: env ## run all chapters, and compare what they print with what they printed before
	@$(TRY) --ignore=notebooks/solutions notebooks

book: env ## the chapters as pages to read and hear, in build/book
	@$(ENV) --book
	@$(RUN) python -m book.make_book

handout: env ## the course without solutions, to hand out: build/ravecourse-handout.zip
	@$(RUN) python -m book.handout

pd-install: env ## build nn~ for Pure Data, install it, and prove it in a real Pd
	@bash pd_setup/install_nn.sh
	@bash pd_setup/check_nn.sh

pd-test: env ## run the tests of nn~ in a real Pd
	@OMP_NUM_THREADS=1 $(RUN) python -m pytest -n $(WORKERS) --dist loadfile $(wildcard tests/playback/test_pd_*.py)

pd-uninstall: ## remove from Pure Data's folder what pd-install put there
	@bash pd_setup/uninstall_nn.sh

bench: env ## measure beside the original and the machine's limits; results in build/benchmarks
	@$(RUN) bash benchmarks/run.sh

lint: env ## check style and types of Python, notebooks, C++ and shell scripts (part of make test)
	@$(RUN) bash pd_setup/lint.sh

clean: ## delete build/ and caches (keeps the environment, and your models in runs/)
	@rm -rf build .pytest_cache .ruff_cache
	@find benchmarks notebooks ravecourse tests -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
	@echo "Deleted build/ and the caches. Kept: the environment (.venv or .conda) and your models (runs)."
