#!/usr/bin/env bash
# What `make lab` runs in the environment: JupyterLab with the project as its root, so that the chapters find the
# pictures in docs/. Options are passed on: bash pd_setup/lab.sh --no-browser --ServerApp.port=8890
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Jupyter refuses root unless asked; in containers and on rented GPUs there is often nobody else. It listens on the
# loopback address and asks for its token all the same.
as_root=()
if [ "$(id -u)" = 0 ]; then as_root=(--allow-root); fi
exec python -m jupyterlab --ServerApp.root_dir="$PWD" ${as_root[@]+"${as_root[@]}"} "$@" notebooks/00_start_here.ipynb
