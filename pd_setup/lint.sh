#!/usr/bin/env bash
# What `make lint` runs in the environment: style, formatting and types of the Python files, shell scripts, C++.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

status=0
# check LABEL COMMAND...: run it; its output is shown only if it finds something
check() {
    local label="$1" said
    shift
    if ! said="$("$@" 2>&1)"; then
        printf '%s found something:\n%s\n' "$label" "$said" >&2
        status=1
    fi
}

check "ruff check" ruff check --quiet .
check "ruff format (fix it with: ruff format .)" ruff format --quiet --check .
check "mypy" mypy --no-error-summary
check "clang-format (fix it with: clang-format -i FILE)" \
    clang-format --dry-run --Werror pd_setup/nn/source/*.cpp pd_setup/nn/source/*.h pd_setup/nn/test/*.cpp
check "shellcheck" shellcheck -x .ci/run benchmarks/*.sh pd_setup/*.sh
if [ "$status" = 0 ]; then echo "Style and types: nothing found."; fi
exit "$status"
