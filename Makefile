# `make` without a target lists the targets.
#
#   DATA=folder      demo: use your own recordings instead of the bundled instruments
#   TORCH=cpu|cuda   env: the build of PyTorch (remembered; cpu by default)
#   CONDA=program    env: the micromamba, mamba or conda to use; CONDA=none for a venv
#   WORKERS=n        test: number of tests that run in parallel
#   PD_EXTERNALS=folder  pd-install: where Pure Data looks for externals (~/Documents/Pd/externals)
#   MINUTES=n ONLY=names MODELS=names SOUNDFONT=file.sf2  bench-quality: see benchmarks/quality.sh
#   NN=upstream      pd-install: the original nn~ of acids-ircam instead of the course's (NN_TILDE_DIR=checkout)

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help env lab demo test notebooks book handout pd-install pd-test pd-uninstall bench bench-quality lint clean

DATA ?=
WORKERS ?= 2
export DATA
ENV := bash pd_setup/create_env.sh
RUN := $(ENV) --run
TRY := OMP_NUM_THREADS=1 $(RUN) python -m pytest --nbval-lax --nbval-current-env --nbval-cell-timeout=600 \
	-n $(WORKERS) --dist loadfile --no-loadscope-reorder

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{ printf "make %-13s %s\n", $$1, $$2 }' Makefile

env: ## set up the Python environment (other targets do this themselves)
	@$(ENV)

lab: env ## open the notebooks in JupyterLab
	@$(RUN) bash pd_setup/lab.sh

demo: env ## train a model and play it, in a few minutes; results in build/demo (DATA=folder for your recordings)
	@case "$$DATA" in "~/"*) DATA="$$HOME/$${DATA#??}" ;; esac; \
	$(RUN) python -m ravecourse.cli.demo $${DATA:+--data "$$DATA"}

test: env ## check style and types, run all tests and all notebooks
	@$(RUN) bash pd_setup/lint.sh
	@$(ENV) --book
	@$(TRY) --ignore=notebooks/solutions $(wildcard notebooks) tests

notebooks: env ## run all chapters and compare their output with the stored output
	@$(TRY) --ignore=notebooks/solutions notebooks

book: env ## build the chapters as web pages with sound, in build/book
	@$(ENV) --book
	@$(RUN) python -m book.make_book

handout: env ## pack the course without solutions: build/ravecourse-handout.zip
	@$(RUN) python -m book.handout

pd-install: env ## build nn~ for Pure Data, install it, and verify it in a real Pd
	@bash pd_setup/install_nn.sh
	@bash pd_setup/check_nn.sh

pd-test: env ## run the tests of nn~ in a real Pd
	@OMP_NUM_THREADS=1 $(RUN) python -m pytest -n $(WORKERS) --dist loadfile $(wildcard tests/playback/test_pd_*.py)

pd-uninstall: ## remove what pd-install installed in Pure Data's folder
	@bash pd_setup/uninstall_nn.sh

bench: env ## measure speed and compare it with the original RAVE; results in build/benchmarks
	@$(RUN) bash benchmarks/run.sh

bench-quality: env ## train beside the original RAVE and compare the sound, in hours (MINUTES=10 ONLY="cello" MODELS="tiny raspberry")
	@$(RUN) bash benchmarks/quality.sh

lint: env ## check style and types of Python, notebooks, C++ and shell scripts (part of make test)
	@$(RUN) bash pd_setup/lint.sh

clean: ## delete build/ and caches (keeps the environment and your models in runs/)
	@rm -rf build .pytest_cache .ruff_cache
	@find benchmarks notebooks ravecourse tests -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
	@echo "Deleted build/ and the caches. Kept: the environment (.venv or .conda) and your models (runs)."
