#!/usr/bin/env bash
# `make lab` runs this in the environment: JupyterLab with the project as its root, so that the chapters find the
# pictures in docs/. Options are passed to JupyterLab: bash pd_setup/lab.sh --no-browser --ServerApp.port=8890
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Jupyter refuses to run as root unless told to; containers and rented GPUs often have no other user. It still
# listens on the loopback address only, and still asks for its token.
as_root=()
if [ "$(id -u)" = 0 ]; then as_root=(--allow-root); fi
exec python -m jupyterlab --ServerApp.root_dir="$PWD" ${as_root[@]+"${as_root[@]}"} "$@" notebooks/00_start_here.ipynb
