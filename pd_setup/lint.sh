#!/usr/bin/env bash
# `make lint` runs this in the environment: style, formatting and types of Python and notebooks, C++ and shell scripts.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

status=0
# check LABEL COMMAND...: run it, and show its output only if it fails
check() {
    local label="$1" output
    shift
    if ! output="$("$@" 2>&1)"; then
        printf '%s found problems:\n%s\n' "$label" "$output" >&2
        status=1
    fi
}

check "ruff check" ruff check --quiet .
check "ruff format (fix it with: ruff format .)" ruff format --quiet --check .
check "mypy" mypy --no-error-summary
check "clang-format (fix it with: clang-format -i FILE)" \
    clang-format --dry-run --Werror pd_setup/nn/source/*.cpp pd_setup/nn/source/*.h pd_setup/nn/test/*.cpp
check "shellcheck" shellcheck -x .ci/run benchmarks/*.sh pd_setup/*.sh
if [ "$status" = 0 ]; then echo "Style and types: no problems found."; fi
exit "$status"
