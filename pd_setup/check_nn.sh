#!/usr/bin/env bash
# Verifies in a real Pure Data that the installed nn~ works. See --help.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: [PD_EXTERNALS=folder] [MODEL=model.ts] pd_setup/check_nn.sh [--help]

Checks the nn~ that install_nn.sh installed in PD_EXTERNALS (default: ~/Documents/Pd/externals): that it was built for
this machine, that it finds its shared libraries, and that Pure Data, playing a sound through a model, outputs sample
for sample what Python computes. Pure Data opens no window and makes no sound. Nothing is changed.

MODEL=...   the exported model to use; by default a small temporary one with random weights
PD=...      the Pure Data program to run
TEXT
}

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
externals="${PD_EXTERNALS:-$HOME/Documents/Pd/externals}"
# shellcheck disable=SC2088  # make does not expand ~
case "$externals" in "~/"*) externals="$HOME/${externals#??}" ;; esac
model="${MODEL:-}"
case "$model" in "" | /*) ;; *) model="$PWD/$model" ;; esac
cd "$root"

say() { printf '%s\n' "$*"; }
fail() { printf '%s\n' "$@" >&2; exit 1; }

case "${1:-}" in
    --help | -h) usage; exit 0 ;;
    "") ;;
    *) usage >&2; fail "" "Unknown option: $1" ;;
esac

case "$(uname -s)" in Darwin) suffix=pd_darwin ;; *) suffix=pd_linux ;; esac
file="$externals/nn~/nn~.$suffix"
[ -f "$file" ] || fail "There is no $file: run make pd-install (with the same PD_EXTERNALS)."

if command -v ldd >/dev/null; then
    libraries="$(ldd "$file" 2>&1)" || fail "$file was not built for this machine ($(uname -m)): run make pd-install."
    missing="$(printf '%s\n' "$libraries" | grep 'not found' || true)"
    [ -z "$missing" ] || fail "These shared libraries of nn~ are not found:" "$missing" \
        "The Python environment was moved or deleted since nn~ was built: run make pd-install."
    torch="$(printf '%s\n' "$libraries" | sed -n 's/.*libtorch_cpu[^ ]* => \(.*\)\/libtorch_cpu.*/\1/p')"
elif command -v otool >/dev/null; then
    torch="$(otool -l "$file" | sed -n 's/^ *path \(.*\) (offset.*/\1/p' | head -n 1)"
    [ -f "$torch/libtorch_cpu.dylib" ] || fail "libtorch is not found in '$torch': run make pd-install."
fi

python="$(bash pd_setup/create_env.sh --print-python)" || exit 1
say "Playing a sound through nn~ in Pure Data and comparing it with Python:"
if ! "$python" -c 'import sys; from ravecourse.playback.puredata import main; sys.exit(main())' "$externals/nn~" ${model:+"$model"}; then
    fail "The nn~ in $externals does not work correctly."
fi
say "nn~ works. It is in $externals/nn~ and uses the libtorch in ${torch:-the environment}."
say "Next: in Pure Data, open a patch from $externals/nn~/patches. To use nn~ in your own patches, add $externals to" \
    "Pure Data's search path once (Edit or Pd > Preferences > Path)."
