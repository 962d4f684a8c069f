#!/usr/bin/env bash
# What `make bench` runs, in the course's environment: the speed tables, the floor and the long run.
#
# Everything is also written to build/benchmarks. Where the original cannot be installed, ours is measured alone.
#
#   COMPARE=options   for benchmarks.compare, like COMPARE="--models v2 --seconds 10"
#   MINUTES=n         of sound in the long run (default: 10)
#   NN_TILDE_DIR=...  a checkout of acids-ircam's nn_tilde, measured in Pd beside the course's nn~
#   PD_BENCH=options  for benchmarks.pd, like PD_BENCH="--other path/nn~.pd_linux"
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=build/benchmarks
mkdir -p "$out"
export PYTHON=python

if bash benchmarks/original_env.sh >"$out/original_env.log" 2>&1; then
    # shellcheck disable=SC2086  # one word each
    build/original-env/bin/python -m benchmarks.compare ${COMPARE:-} 2>&1 | tee "$out/compare.txt"
else
    echo "The original RAVE could not be installed to compare with (see $out/original_env.log); ours alone:"
    python -m ravecourse bench tiny v1 v2 2>&1 | tee "$out/ours.txt"
fi
echo
python -m benchmarks.floor 2>&1 | tee "$out/floor.txt"
echo
python -m benchmarks.latency 2>&1 | tee "$out/latency.txt"
echo
python -m benchmarks.endurance --minutes "${MINUTES:-10}" 2>&1 | tee "$out/endurance.txt"
echo
# shellcheck disable=SC2086  # one word each
if ! python -m benchmarks.pd ${PD_BENCH:-} 2>&1 | tee "$out/pd.txt"; then
    echo "nn~ could not be measured in Pd (see $out/pd.txt)."
fi
