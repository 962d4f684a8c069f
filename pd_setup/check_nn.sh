#!/usr/bin/env bash
# Proves in a real Pure Data that the installed nn~ works. See --help.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: [PD_EXTERNALS=folder] [MODEL=model.ts] pd_setup/check_nn.sh [--help]

Checks the nn~ that install_nn.sh put into PD_EXTERNALS (~/Documents/Pd/externals): that it is made for this
machine, that it finds its libraries, and that Pure Data plays a sound through a model with it so that every sample
equals what Python computes. Pure Data opens no window and makes no sound. Nothing is changed.

MODEL=...   an exported model to try; without it a small one with random weights is made for the moment
PD=...      the Pure Data to start
TEXT
}

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
externals="${PD_EXTERNALS:-$HOME/Documents/Pd/externals}"
# shellcheck disable=SC2088  # make hands a ~ on as it is
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
[ -f "$file" ] || fail "There is no $file: type make pd-install (with the same PD_EXTERNALS)."

if command -v ldd >/dev/null; then
    libraries="$(ldd "$file" 2>&1)" || fail "$file is not made for this machine ($(uname -m)): type make pd-install."
    missing="$(printf '%s\n' "$libraries" | grep 'not found' || true)"
    [ -z "$missing" ] || fail "nn~ does not find its libraries:" "$missing" \
        "The Python environment was moved or deleted since nn~ was built: type make pd-install."
    torch="$(printf '%s\n' "$libraries" | sed -n 's/.*libtorch_cpu[^ ]* => \(.*\)\/libtorch_cpu.*/\1/p')"
elif command -v otool >/dev/null; then
    torch="$(otool -l "$file" | sed -n 's/^ *path \(.*\) (offset.*/\1/p' | head -n 1)"
    [ -f "$torch/libtorch_cpu.dylib" ] || fail "nn~ does not find libtorch in '$torch': type make pd-install."
fi

python="$(bash pd_setup/create_env.sh --print-python)" || exit 1
say "Playing through nn~ in Pure Data, and comparing with Python:"
if ! "$python" -c 'import sys; from ravecourse.playback.puredata import main; sys.exit(main())' "$externals/nn~" ${model:+"$model"}; then
    fail "nn~ in $externals does not do what it should."
fi
say "nn~ works. It is in $externals/nn~ and uses the libtorch in ${torch:-the environment}."
say "Next: in Pure Data, File > Open: $externals/nn~/patches. To use nn~ in patches of your own, add $externals to" \
    "Pure Data's paths once (Edit or Pd > Preferences > Path)."
