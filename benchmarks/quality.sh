#!/usr/bin/env bash
# What `make bench-quality` runs, in the course's environment: train the kit and the original on the same recordings for
# the same time, and judge what they make of others. Hours with all defaults; a run that was stopped resumes.
#
#   MINUTES=n        of one thread for each pair of model and material (default: 10)
#   ONLY=names       of materials, like ONLY="cello drums" (default: all nine)
#   MODELS=names     like MODELS="tiny raspberry"
#   SOUNDFONT=file   another .sf2 than that of Debian's fluid-soundfont-gm
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=build/benchmarks/quality
mkdir -p "$out"
export PYTHON=python OMP_NUM_THREADS=1

if ! bash benchmarks/original_env.sh >"$out/original_env.log" 2>&1; then
    echo "The original RAVE could not be installed to compare with (see $out/original_env.log)."
fi
# shellcheck disable=SC2086  # one word each
python -m benchmarks.quality --minutes "${MINUTES:-10}" ${ONLY:+--only $ONLY} ${MODELS:+--models $MODELS}
