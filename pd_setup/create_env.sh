#!/usr/bin/env bash
# Creates or updates the Python environment of the course. See --help.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: [TORCH=cpu|cuda] [CONDA=program|none] pd_setup/create_env.sh [--help | --book | --print-python | --run COMMAND...]

Creates the Python environment of the course in the project's folder, or updates it:
  .conda/   from environment.yml, if micromamba, mamba or conda is found (in this order)
  .venv/    otherwise, with a Python from 3.10 to 3.13 (preferably 3.11)
and installs the packages of pyproject.toml in it, at the versions in constraints.txt. Nothing outside the
folder changes. If the environment is current, this takes less than a second.

TORCH=cpu    (the default) installs a CPU build of PyTorch if pip knows of one, which saves gigabytes. On Linux,
             set PIP_EXTRA_INDEX_URL (or pip's configuration) to the index that the "Get started" page of
             pytorch.org shows for "CPU". Otherwise pip installs the standard build: it runs on a CPU just as well,
             but it is a download of about 3 GB on Linux.
TORCH=cuda   never installs a CPU build. For a machine with an NVIDIA GPU.
             The choice is remembered: without TORCH, an existing environment keeps its build.
CONDA=...    the conda program to use, by name or path; CONDA=none for a venv even if conda is installed.
PYTHON=...   the interpreter that creates the venv.

  --book             also install what `make book` needs: the extra `book` of pyproject.toml
  --print-python     print the path of the environment's interpreter
  --run COMMAND...   run a command with the environment's programs first in PATH, and with its packages only
                     (PYTHONPATH and the user's site-packages are ignored)

The output of pip and conda goes to build/env.log. An incomplete environment is created again from scratch.
TEXT
}

caller="$PWD"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root"
# shellcheck source=pd_setup/versions.env
. pd_setup/versions.env
log="build/env.log"
ticker=""

say() { printf '%s\n' "$*"; }
fail() { printf '%s\n' "$@" >&2; exit 1; }

fingerprint() {
    if command -v sha256sum >/dev/null; then sha256sum
    elif command -v shasum >/dev/null; then shasum -a 256
    else cksum; fi | cut -d ' ' -f 1
}

# --- which kind of environment ---------------------------------------------------------------------------------------

# find_conda: the path of the conda-like program to use, or nothing for a venv
find_conda() {
    local wanted="${CONDA:-}" name
    if [ "$wanted" = none ]; then return 0; fi
    if [ -d "$wanted" ]; then wanted="$wanted/bin/conda"; fi      # some systems set CONDA to conda's folder
    if [ -n "$wanted" ]; then
        command -v "$wanted" || fail "CONDA=$CONDA is not a program: give micromamba, mamba, conda, a path, or none."
        return 0
    fi
    for name in micromamba mamba conda "${MAMBA_EXE:-}" "${CONDA_EXE:-}"; do
        if [ -n "$name" ] && command -v "$name"; then return 0; fi
    done
}

stamped() { sed -n "s/^$1=//p" "$stamp" 2>/dev/null || true; }

# python_version INTERPRETER: like 3.11.7; nothing if it does not run
python_version() { "$1" -c 'import platform; print(platform.python_version())' 2>/dev/null || true; }

choose() {
    conda="$(find_conda)"
    if [ -n "$conda" ]; then kind=conda; else kind=venv; fi
    prefix="$root/.$kind"
    python="$prefix/bin/python"
    stamp=".env-stamp-$kind"
    torch="${TORCH:-$(stamped torch)}"
    torch="${torch:-cpu}"
    case "$torch" in cpu | cuda) ;; *) fail "Unknown TORCH=$torch: choose TORCH=cpu or TORCH=cuda." ;; esac
    # If anything here changes, the environment is created again ...
    base="$({ say "$root" "$kind" "$torch"; if [ "$kind" = conda ]; then cat environment.yml; fi; } | fingerprint)"
    # ... and if anything here changes, pip runs again.
    packages="$(cat pyproject.toml constraints.txt pd_setup/create_env.sh pd_setup/fix_torchaudio.py \
        pd_setup/versions.env | fingerprint)"
}

is_current() {
    [ -f "$stamp" ] && [ ! -e "$stamp.building" ] && [ "$(stamped base)" = "$base" ] &&
        [ "$(stamped packages)" = "$packages" ] && [ -n "$(stamped python)" ] &&
        [ "$(stamped python)" = "$(python_version "$python")" ]
}

# --- progress ---------------------------------------------------------------------------------------------

# count_up LABEL: once a second, show the seconds so far and pip's progress (on a terminal)
count_up() {
    local found
    while sleep 1; do
        printf '\r\033[K%s ... %d s' "$1" "$((SECONDS - started))"
        found="$(tail -n +"$((log_start + 1))" "$log" | grep -cE '^ *(Collecting|Processing) ' || true)"
        if tail -n 1 "$log" | grep -q '^Installing collected'; then printf ', unpacking %d packages' "$found"
        elif [ "$found" -gt 0 ]; then printf ', %d packages fetched' "$found"; fi
    done
}

stop_ticker() {
    if [ -n "$ticker" ]; then
        kill "$ticker" 2>/dev/null || true
        wait "$ticker" 2>/dev/null || true
        ticker=""
    fi
}
trap stop_ticker EXIT

# step LABEL COMMAND...: run it with its output in the log, and report how long it took or why it failed
step() {
    local label="$1" status=0
    shift
    started=$SECONDS
    printf '\n== %s: %s\n' "$label" "$*" >>"$log"
    log_start="$(wc -l <"$log")"
    printf '%s ... ' "$label"
    if [ -t 1 ]; then count_up "$label" & ticker=$!; fi
    "$@" >>"$log" 2>&1 </dev/null || status=$?
    stop_ticker
    if [ "$status" = 0 ]; then
        if [ -t 1 ]; then printf '\r\033[K%s ... ' "$label"; fi
        printf '%d s\n' "$((SECONDS - started))"
        return 0
    fi
    printf 'failed after %d s\n' "$((SECONDS - started))"
    {
        printf '\nThe end of %s:\n' "$log"
        tail -n +"$log_start" "$log" | tail -n 20 | sed 's/^/  | /'
        printf '\nIf the cause is the network or a full disk, fix that and run the same command again.\n'
    } >&2
    exit 1
}

# --- creating it -------------------------------------------------------------------------------------------------------

# find_python: an interpreter that can create a venv; on failure, the versions found
find_python() {
    local name check seen=""
    check='import sys
low, high = (tuple(map(int, v.split("."))) for v in sys.argv[1:3])
if not low <= sys.version_info[:2] <= high: sys.exit(3)
import ensurepip, venv'
    for name in ${PYTHON:+"$PYTHON"} "python$PYTHON_PREFERRED" python3 python3.12 python3.13 python3.10; do
        if [ -z "$(command -v "$name")" ] || [ -z "$(python_version "$name")" ]; then continue; fi
        if "$name" -c "$check" "$PYTHON_OLDEST" "$PYTHON_NEWEST" 2>/dev/null; then
            command -v "$name"
            return 0
        fi
        seen="$seen $name is $(python_version "$name");"
    done
    say "$seen"
    return 1
}

make_venv() {
    local base_python
    if ! base_python="$(find_python)"; then
        say "Found no Python from $PYTHON_OLDEST to $PYTHON_NEWEST that can create an environment.${base_python:+ Found:$base_python}"
        bash pd_setup/system_packages.sh --install python || exit 1
        base_python="$(find_python)" || fail \
            "There is still no Python from $PYTHON_OLDEST to $PYTHON_NEWEST with the modules venv and ensurepip." \
            "Install one (on Debian and Ubuntu: sudo apt-get install -y python3 python3-venv; elsewhere Miniforge is" \
            "the easiest way), or set its path: make env PYTHON=/path/to/python3.11"
    fi
    step "Creating .venv with Python $(python_version "$base_python")" "$base_python" -m venv "$prefix"
}

make_conda() {
    local file="build/environment-conda.yml" verb="env create"
    sed '/^  - pip:/,$d' environment.yml >"$file"       # pip's part follows below, as in a venv
    case "$(basename "$conda")" in micromamba*) verb="create" ;; esac
    # shellcheck disable=SC2086  # the verb is one or two words
    CONDA_ALWAYS_YES=true MAMBA_ALWAYS_YES=true step "Creating .conda with $(basename "$conda"), which takes a few minutes" \
        "$conda" $verb -p "$prefix" -f "$file"
    [ -x "$python" ] || fail "$conda succeeded but created no $python: see $log, or use CONDA=none."
}

check_disk() {
    local needed free
    if [ "$torch" = cuda ]; then needed="$DISK_CUDA_MB"; else needed="$DISK_CPU_MB"; fi
    free="$(($(df -Pk . | awk 'NR == 2 { print $4 }') / 1024))"
    [ "$free" -ge "$needed" ] || fail \
        "The environment needs about $needed MB, but the disk of $root has only $free MB free: free some space and try again."
}

# The pinned versions need Python 3.11: on 3.10 only PyTorch is pinned, the other packages are only limited by pyproject.toml.
write_constraints() {
    constraints="constraints.txt"
    case "$(python_version "$python")" in
        3.10.*)
            constraints="build/constraints-python3.10.txt"
            grep -E '^(torch|torchaudio)==' constraints.txt >"$constraints"
            ;;
    esac
}

install_packages() {
    local version wanted
    write_constraints
    export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_PROGRESS_BAR=off PYTHONNOUSERSITE=1 PYTHONUNBUFFERED=1
    version="$(sed -n 's/^torch==//p' constraints.txt)"
    if [ "$torch" = cuda ]; then
        wanted="torch==$version,!=$version+cpu"
    elif "$python" -m pip install --dry-run --no-deps "torch==$version+cpu" >>"$log" 2>&1; then
        wanted="torch==$version+cpu"
    else
        wanted="torch==$version"
        if [ "$(uname -s)" = Linux ]; then
            say "pip knows no CPU build of PyTorch, so it installs the standard one, a download of about 3 GB" \
                "(to avoid that, see pd_setup/create_env.sh --help)."
        fi
    fi
    step "Installing PyTorch $version, usually 1 to 3 minutes" \
        "$python" -m pip install -c "$constraints" "$wanted"
    step "Installing $(grep -c '==' constraints.txt) packages, usually 1 to 3 minutes" \
        "$python" -m pip install -c "$constraints" -e '.[test]'
    step "Checking torchaudio" "$python" pd_setup/fix_torchaudio.py
}

lock() {
    if command -v flock >/dev/null; then
        exec 9>build/env.lock
        if ! flock -n 9; then
            say "Another process is setting up the environment: waiting for it."
            flock 9
        fi
    fi
}

make_env() {
    local began=$SECONDS
    mkdir -p build
    lock
    choose
    if is_current; then return 0; fi
    : >"$log"
    if [ -e "$prefix" ]; then
        if [ -e "$stamp.building" ]; then
            say "The environment .$kind is incomplete: creating it again."
            rm -rf "$prefix"
        elif [ -z "$(python_version "$python")" ] || { [ -f "$stamp" ] && [ "$(stamped base)" != "$base" ]; }; then
            say "The environment .$kind has other settings or no longer works: creating it again."
            rm -rf "$prefix"
        else
            say "Updating the environment .$kind."
        fi
    fi
    if [ ! -e "$prefix" ]; then
        say "Setting up the Python environment in $prefix (only once, takes a few minutes)."
        check_disk
        : >"$stamp.building"
        "make_$kind"
    fi
    : >"$stamp.building"
    rm -f "$stamp"
    install_packages
    printf 'base=%s\npackages=%s\npython=%s\ntorch=%s\n' \
        "$base" "$packages" "$(python_version "$python")" "$torch" >"$stamp.new"
    mv "$stamp.new" "$stamp"
    rm -f "$stamp.building"
    say "The environment is ready after $((SECONDS - began)) s. Its Python: $python"
}

# add_book: the extra that only the book and its test need; runs again only if the package lists change
add_book() {
    choose
    if ! is_current; then make_env; fi
    if [ "$(stamped book)" = "$packages" ]; then return 0; fi
    mkdir -p build
    lock
    : >"$log"
    write_constraints
    export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_PROGRESS_BAR=off PYTHONNOUSERSITE=1 PYTHONUNBUFFERED=1
    step "Installing the packages for the book" "$python" -m pip install -c "$constraints" -e '.[book]'
    printf 'book=%s\n' "$packages" >>"$stamp"
}

case "${1:-}" in
    --help | -h)
        usage
        ;;
    --book)
        add_book
        ;;
    --print-python)
        choose
        [ -x "$python" ] || fail "There is no environment yet: run make env."
        say "$python"
        ;;
    --run)
        shift
        choose
        [ -x "$python" ] || fail "There is no environment yet: run make env."
        cd "$caller"
        # Packages in a PYTHONPATH or in the user's site-packages would take precedence over the environment's.
        unset PYTHONPATH PYTHONHOME
        PYTHONNOUSERSITE=1 PATH="$prefix/bin:$PATH" exec "$@"
        ;;
    "")
        choose
        if is_current; then
            say "The environment .$kind is current."
        else
            make_env
        fi
        ;;
    *)
        usage >&2
        fail "" "Unknown option: $1"
        ;;
esac
