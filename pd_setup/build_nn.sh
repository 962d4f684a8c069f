#!/usr/bin/env bash
# Builds nn~, the object that plays models in Pure Data, against the environment's libtorch. See --help.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: [NN=kit|upstream] pd_setup/build_nn.sh [--help]

Builds nn~ for Pure Data against the libtorch of the course's Python environment (created by `make env`), in
build/nn or build/nn-upstream. Nothing outside build/ changes, except that missing programs are installed with apt-get
if that needs no password. A second run builds only what has changed. The last line of output is the built file.

NN=kit           (the default) the course's own nn~, from pd_setup/nn; needs no network
NN=upstream      the original nn~ of acids-ircam, cloned at the version in versions.env; needs a network
NN_TILDE_DIR=... with NN=upstream: use this checkout of nn_tilde instead of cloning
PD_INCLUDE=...   the folder that contains m_pd.h, if it is neither in a standard place nor in Pd.app
CXX=...          the C++ compiler
JOBS=...         number of files compiled in parallel (default: 2)

On macOS the result is nn~.pd_darwin. The code for macOS has been reviewed but never run on a Mac.
TEXT
}

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root"
# shellcheck source=pd_setup/versions.env
. pd_setup/versions.env

say() { printf '%s\n' "$*"; }
fail() { printf '%s\n' "$@" >&2; exit 1; }

case "${1:-}" in
    --help | -h) usage; exit 0 ;;
    "") ;;
    *) usage >&2; fail "" "Unknown option: $1" ;;
esac

# --- requirements --------------------------------------------------------------------------------------------------

check_system() {
    case "$(uname -s)" in
        Linux) suffix=pd_linux ;;
        Darwin) suffix=pd_darwin ;;
        *) fail "nn~ can be built on Linux and macOS; this system is $(uname -s)." ;;
    esac
    if [ "$suffix" = pd_linux ]; then bash pd_setup/system_packages.sh --install pd || exit 1; fi
    command -v cmake >/dev/null || fail "cmake is missing: install it (macOS: brew install cmake, or from cmake.org)."
    local have
    have="$(cmake --version | sed -n '1s/[^0-9]*\([0-9.]*\).*/\1/p')"
    [ "$(printf '%s\n' "$CMAKE_OLDEST" "$have" | sort -t . -k 1,1n -k 2,2n | head -n 1)" = "$CMAKE_OLDEST" ] ||
        fail "cmake is version $have but $CMAKE_OLDEST or newer is needed: install one (pip install cmake works too)."
}

check_compiler() {
    compiler="${CXX:-}"
    if [ -z "$compiler" ]; then compiler="$(command -v c++ || command -v g++ || true)"; fi
    command -v "${compiler:-none}" >/dev/null || fail \
        "No C++ compiler${CXX:+ at CXX=$CXX}: install one (Debian: apt-get install g++; macOS: xcode-select --install)."
    local try="build/compiler-check"
    mkdir -p "$try"
    printf '#include <bit>\n#include <atomic>\nint main() { std::atomic<int> a{0}; a.notify_one(); return std::bit_ceil(3u) != 4; }\n' \
        >"$try/check.cpp"
    "$compiler" -std=c++20 "$try/check.cpp" -o "$try/check" 2>"$try/log" || fail \
        "The C++ compiler $compiler cannot compile C++20: use g++ 10, clang 13, Xcode 13 or newer (choose one with CXX=...)." \
        "$(head -n 3 "$try/log")"
}

check_torch() {
    python="$(bash pd_setup/create_env.sh --print-python 2>/dev/null)" ||
        fail "There is no Python environment to build against: run make env."
    local found
    found="$("$python" -c 'import platform, torch
print(platform.machine()); print(torch.__version__); print(torch.utils.cmake_prefix_path)' 2>/dev/null)" ||
        fail "The environment's Python cannot import torch: run make env."
    { read -r machine; read -r torch_version; read -r torch_cmake; } <<<"$found"
    [ -f "$torch_cmake/Torch/TorchConfig.cmake" ] ||
        fail "PyTorch $torch_version in $python has no C++ headers ($torch_cmake is missing): run make env."
    case "$(uname -m)/$machine" in
        x86_64/x86_64 | x86_64/AMD64 | aarch64/aarch64 | arm64/arm64 | arm64/aarch64) ;;
        *) fail "This machine is $(uname -m) and the environment's Python is $machine: the architectures must match." ;;
    esac
}

find_header() {
    local place
    header=""
    for place in "${PD_INCLUDE:-}" /usr/include /usr/include/pd /usr/local/include /usr/local/include/pd \
        /opt/homebrew/include /opt/homebrew/include/pd "${APPLICATIONS:-/Applications}"/Pd*.app/Contents/Resources/src \
        "${APPLICATIONS:-/Applications}"/Pd*.app/Contents/Resources/include; do
        if [ -n "$place" ] && [ -f "$place/m_pd.h" ]; then header="$place"; fi
        if [ -n "$header" ]; then return 0; fi
    done
    if [ "$suffix" = pd_darwin ]; then
        fail "m_pd.h is missing: install Pd.app (from puredata.info) in /Applications, or set PD_INCLUDE to the folder that contains it."
    fi
    fail "m_pd.h is missing: apt-get install puredata-dev, or set PD_INCLUDE to the folder that contains it."
}

# --- building --------------------------------------------------------------------------------------------------------

# configure_and_build SOURCE FOLDER OPTION...: the output goes to FOLDER.log; errors are shown if it fails
configure_and_build() {
    local source="$1" folder="$2" log
    shift 2
    log="$folder.log"
    # Start afresh if the folder was configured for another location, compiler or version of PyTorch.
    if [ -f "$folder/CMakeCache.txt" ] && ! grep -qxF "$root|$torch_cmake|$torch_version|$compiler" "$folder/made-for" 2>/dev/null; then
        rm -rf "$folder"
    fi
    mkdir -p "$folder"
    printf '%s\n' "$root|$torch_cmake|$torch_version|$compiler" >"$folder/made-for"
    say "Building nn~ in $folder against PyTorch $torch_version (about half a minute the first time)."
    if ! { cmake -S "$source" -B "$folder" -DCMAKE_BUILD_TYPE=Release "-DCMAKE_PREFIX_PATH=$torch_cmake" \
        "-DCMAKE_CXX_COMPILER=$compiler" "$@" && cmake --build "$folder" --parallel "${JOBS:-2}"; } >"$log" 2>&1; then
        grep -nE -A 3 'error|Error|ERROR' "$log" | head -n 20 >&2 || true
        fail "Building nn~ failed. The full output is in $log."
    fi
}

# check_libraries FILE: fails if a shared library that it needs is not found
check_libraries() {
    if ! command -v ldd >/dev/null; then return 0; fi
    local missing
    missing="$(ldd "$1" 2>&1 | grep 'not found' || true)"
    [ -z "$missing" ] || fail "These shared libraries of $1 are not found:" "$missing"
}

build_kit() {
    configure_and_build pd_setup/nn build/nn "-DPD_INCLUDE=$header"
    built="build/nn/nn~.$suffix"
}

upstream_source() {
    checkout="${NN_TILDE_DIR:-build/nn_tilde}"
    if [ -n "${NN_TILDE_DIR:-}" ]; then
        [ -f "$checkout/src/CMakeLists.txt" ] || fail \
            "NN_TILDE_DIR=$checkout is not a checkout of nn_tilde: it has no src/CMakeLists.txt."
        return 0
    fi
    if [ -f "$checkout/.complete" ] && [ "$(cat "$checkout/.complete")" = "$NN_UPSTREAM_VERSION" ]; then return 0; fi
    command -v git >/dev/null || fail "git is missing: install it, or set NN_TILDE_DIR to a checkout of nn_tilde."
    say "Cloning nn_tilde $NN_UPSTREAM_VERSION from $NN_UPSTREAM_URL."
    rm -rf "$checkout" "$checkout.part"
    if ! GIT_TERMINAL_PROMPT=0 git clone --quiet --depth 1 --recurse-submodules --shallow-submodules \
        --branch "$NN_UPSTREAM_VERSION" "$NN_UPSTREAM_URL" "$checkout.part" 2>build/nn_tilde.log; then
        rm -rf "$checkout.part"
        fail "Cloning nn_tilde failed: $(tail -n 1 build/nn_tilde.log)" \
            "NN=upstream needs a network connection to GitHub, or a checkout (NN_TILDE_DIR=...). The default, NN=kit, needs neither."
    fi
    printf '%s\n' "$NN_UPSTREAM_VERSION" >"$checkout.part/.complete"
    mv "$checkout.part" "$checkout"
}

build_upstream() {
    upstream_source
    local lists="$checkout/src/CMakeLists.txt" frontend="$checkout/src/frontend/puredata/nn_tilde/CMakeLists.txt"
    local needs=""
    # Newer versions download models from a server, and need libcurl for that.
    if grep -rqiE 'find_package *\( *CURL|vcpkg' "$lists" "$frontend" 2>/dev/null && ! have_curl; then
        needs="libcurl with its headers (Debian: apt-get install libcurl4-openssl-dev)"
    fi
    # Some versions read their version number from git when they are configured, so a downloaded archive is not enough.
    if [ ! -e "$checkout/.git" ] && grep -qE 'git +(describe|rev-parse)|GIT_EXECUTABLE|COMMAND +git' "$lists" "$frontend" 2>/dev/null; then
        needs="${needs:+$needs, and }its git history (use a clone instead of a downloaded archive)"
    fi
    # Older versions include libraries as git submodules, which are empty folders in a checkout without them.
    if [ -f "$checkout/.gitmodules" ]; then
        local module
        while read -r module; do
            if [ -z "$(ls -A "$checkout/$module" 2>/dev/null)" ]; then
                needs="${needs:+$needs, and }its submodule $module (git -C '$checkout' submodule update --init)"
            fi
        done < <(sed -n 's/^[[:space:]]*path = //p' "$checkout/.gitmodules" | grep -v -E 'max-sdk|min-api')
    fi
    [ -z "$needs" ] || fail "This version of nn_tilde needs $needs before it can be configured. The default, NN=kit, does not."
    configure_and_build "$checkout/src" build/nn-upstream "-DPUREDATA_INCLUDE_DIR=$header" "-DPUREDATA_INCLUDE_DIRS=$header" \
        -DCMAKE_POLICY_VERSION_MINIMUM=3.5
    built="$(find build/nn-upstream -name "nn~.$suffix" | head -n 1)"
    [ -n "$built" ] || fail "nn_tilde was built, but there is no nn~.$suffix in build/nn-upstream: see build/nn-upstream.log."
}

have_curl() { [ -f /usr/include/curl/curl.h ] || ls /usr/include/*/curl/curl.h >/dev/null 2>&1 || command -v curl-config >/dev/null; }

mkdir -p build
if command -v flock >/dev/null; then
    exec 8>build/nn.lock
    flock 8
fi
check_system
check_compiler
check_torch
find_header
case "${NN:-kit}" in
    kit) build_kit ;;
    upstream) build_upstream ;;
    *) fail "Unknown NN=$NN: choose NN=kit or NN=upstream." ;;
esac
check_libraries "$built"
say "Built against PyTorch $torch_version:"
say "$root/$built"
