#!/usr/bin/env bash
# The system packages that the course needs: which, why, and how to get them.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: pd_setup/system_packages.sh [--list | --install] GROUP...

Checks for the programs that parts of the course need. As root, or if sudo needs no password, missing ones are
installed with apt-get; otherwise the command to run is printed and the exit status is 1.

Groups:
  python     python3-venv   creates the Python environment (not needed with conda)
  pd         puredata-core puredata-dev   Pure Data and its header m_pd.h
             g++ cmake make               build nn~
  browser    chromium       opens the notebooks in the tests (120 MB; any Chrome or Chromium works, or CHROMIUM=program)
  screen     xvfb puredata-gui   opens the patches in the tests on machines without a screen
  optional   ffmpeg         reads M4A, WMA and other formats that libsndfile cannot

Options:
  --list      only print the packages of the groups
  --install   install missing packages (the default)
TEXT
}

# packages GROUP: the Debian and Ubuntu packages of a group, one per line
packages() {
    case "$1" in
        python) echo python3; echo python3-venv ;;
        pd) echo puredata-core; echo puredata-dev; echo g++; echo cmake; echo make ;;
        browser) echo chromium; echo fonts-dejavu-core ;;
        screen) echo xvfb; echo puredata-gui ;;
        optional) echo ffmpeg ;;
        *) echo "Unknown group '$1': choose python, pd, browser, screen or optional." >&2; exit 2 ;;
    esac
}

# present PACKAGE: whether the package's programs are available, however they were installed
present() {
    case "$1" in
        python3) command -v python3 >/dev/null ;;
        python3-venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
        puredata-core) [ -x "${PD:-}" ] || command -v pd >/dev/null || command -v puredata >/dev/null ;;
        puredata-dev) [ -f "${PD_INCLUDE:-}/m_pd.h" ] || [ -f /usr/include/m_pd.h ] || [ -f /usr/include/pd/m_pd.h ] ||
            [ -f /usr/local/include/m_pd.h ] || [ -f /usr/local/include/pd/m_pd.h ] ;;
        g++) [ -n "${CXX:-}" ] || command -v c++ >/dev/null || command -v g++ >/dev/null ;;
        cmake | make) command -v "$1" >/dev/null ;;
        chromium) [ -x "${CHROMIUM:-}" ] || command -v chromium >/dev/null || command -v chromium-browser >/dev/null ||
            command -v google-chrome >/dev/null || command -v google-chrome-stable >/dev/null ||
            command -v chromium-headless-shell >/dev/null || [ -d "/Applications/Google Chrome.app" ] ||
            [ -d /Applications/Chromium.app ] ;;
        fonts-dejavu-core) present chromium ;;      # an installed browser has fonts
        xvfb) command -v Xvfb >/dev/null ;;
        puredata-gui) command -v wish >/dev/null && { command -v pd-gui >/dev/null || [ "$(uname -s)" = Darwin ]; } ;;
        ffmpeg) command -v ffmpeg >/dev/null ;;
    esac
}

mode=install
groups=""
for argument in "$@"; do
    case "$argument" in
        --help | -h) usage; exit 0 ;;
        --list) mode=list ;;
        --install) mode=install ;;
        *) groups="$groups $argument" ;;
    esac
done
if [ -z "$groups" ]; then usage >&2; exit 2; fi

lean=""       # without Debian's recommended packages: a browser for tests needs no printer
missing=""
for group in $groups; do
    names="$(packages "$group")"
    if [ "$group" = browser ]; then lean="--no-install-recommends "; fi
    for package in $names; do
        if [ "$mode" = list ]; then
            echo "$package"
        elif ! present "$package"; then
            missing="$missing $package"
        fi
    done
done
if [ -z "$missing" ]; then exit 0; fi

if ! command -v apt-get >/dev/null; then
    echo "Missing:$missing (Debian's package names). This system has no apt-get: install them with its package manager." >&2
    exit 1
fi
case "$missing " in
    *" chromium "*)
        if grep -qs '^ID=ubuntu' "${OS_RELEASE:-/etc/os-release}"; then
            echo "Missing: chromium. Ubuntu offers it only as a snap: install Google Chrome, or set CHROMIUM=program." >&2
            exit 1
        fi ;;
esac
as_root=""
if [ "$(id -u)" != 0 ]; then
    if sudo -n true 2>/dev/null; then
        as_root="sudo -n"
    else
        echo "Missing:$missing. Run this command, then try again:" >&2
        echo "  sudo apt-get update && sudo apt-get install -y $lean${missing# }" >&2
        exit 1
    fi
fi
echo "Installing with apt-get:$missing"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
if command -v flock >/dev/null && mkdir -p "$root/build"; then      # two tests may run this at the same time
    exec 8>"$root/build/apt.lock"
    flock 8
fi
# shellcheck disable=SC2086  # lists of words
{
    $as_root apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq $lean$missing >/dev/null
}
