#!/usr/bin/env bash
# Installs nn~, its help patch and the course's patches where Pure Data finds them. See --help.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: [PD_EXTERNALS=folder] [NN=kit|upstream] pd_setup/install_nn.sh [--help | --uninstall]

Builds nn~ if necessary (build_nn.sh), and installs it with its help patch, the course's patches, and the models and
sounds that they play, in the folder nn~ of PD_EXTERNALS (default: ~/Documents/Pd/externals). Each file is written
completely before it replaces an older one. The installed files are listed in nn~/.installed-by-ravecourse.

  --uninstall   remove exactly the installed files, except patches, models and sounds that you have changed

An nn~ that was not installed by this script is never overwritten.
TEXT
}

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root"
externals="${PD_EXTERNALS:-$HOME/Documents/Pd/externals}"
# shellcheck disable=SC2088  # make does not expand ~
case "$externals" in "~/"*) externals="$HOME/${externals#??}" ;; esac
target="$externals/nn~"
manifest="$target/.installed-by-ravecourse"

say() { printf '%s\n' "$*"; }
fail() { printf '%s\n' "$@" >&2; exit 1; }

# sum_of FILE: its checksum and size
sum_of() { cksum <"$1" | tr ' ' '-'; }

# was_ours NAME: the checksum of a file in the manifest; empty if it is not listed
was_ours() {
    [ -f "$manifest" ] || return 0
    awk -v name="$1" '{ sum = $1; sub(/^[^ ]* /, ""); if ($0 == name) print sum }' "$manifest"
}

# theirs_to_change NAME: whether students may change a file (patches, models, sounds)
theirs_to_change() { case "${1##*.}" in pd | ts | wav) ;; *) return 1 ;; esac; }

# put SOURCE NAME: install a file under a temporary name, then rename it; a changed file is renamed and kept
put() {
    local to="$target/$2" ours
    mkdir -p "$(dirname "$to")"
    if [ -e "$to" ]; then
        ours="$(was_ours "$2")"
        if [ -z "$ours" ]; then
            fail "$to already exists and was not installed by this course: move it away, or choose another PD_EXTERNALS."
        fi
        if [ "$ours" != "$(sum_of "$to")" ] && ! cmp -s "$1" "$to" && theirs_to_change "$2"; then
            mv "$to" "${to%.*}.yours.${to##*.}"
            say "You changed $2: your version is kept as $(basename "${to%.*}").yours.${to##*.}."
        fi
    fi
    cp "$1" "$to.part"
    mv -f "$to.part" "$to"
    printf '%s %s\n' "$(sum_of "$to")" "$2" >>"$manifest.new"
}

remove() {
    [ -f "$manifest" ] || { say "Nothing to remove: the course has installed no nn~ in $externals."; return 0; }
    local sum name
    while read -r sum name; do
        if [ ! -e "$target/$name" ]; then continue; fi
        if theirs_to_change "$name" && [ "$(sum_of "$target/$name")" != "$sum" ]; then
            say "You changed $name: it is kept."
        else
            rm -f "$target/$name"
        fi
    done <"$manifest"
    rm -f "$manifest" "$manifest.new"
    find "$target" -depth -type d -empty -exec rmdir {} \; 2>/dev/null || true
    if [ -d "$target" ]; then say "Removed nn~ from $externals. $target is kept because it contains files of yours."
    else say "Removed nn~ from $externals."; fi
}

# If anything fails on the way, the files installed so far are added to the manifest.
tidy() {
    if [ ! -f "$manifest.new" ]; then return 0; fi
    cat "$manifest.new" >>"$manifest"
    rm -f "$manifest.new"
    find "$target" -name '*.part' -exec rm -f {} +
}
trap tidy EXIT

install_files() {
    local built file sum name
    say "Building nn~, then installing it with its help and patches in $target."
    mkdir -p build
    bash pd_setup/build_nn.sh | tee build/nn-output.txt
    built="$(tail -n 1 build/nn-output.txt)"
    [ -f "$built" ] || fail "build_nn.sh reported '$built', which is not a file."
    say "Exporting the models for the patches (about a minute the first time)."
    if ! "$(bash pd_setup/create_env.sh --print-python)" \
        -c 'import sys; from ravecourse.playback.patch_assets import main; sys.exit(main())' \
        build/patches >build/patches.log 2>&1; then
        say "The export failed, so the patches are installed without models: $(tail -n 1 build/patches.log)"
    fi
    for file in "$target"/nn~.pd_* "$target"/nn~.l_* "$target"/nn~.d_* "$externals"/nn~.pd_*; do
        if [ -e "$file" ] && { [ "$(dirname "$file")" = "$externals" ] || [ -z "$(was_ours "$(basename "$file")")" ]; }; then
            fail "$file already exists and was not installed by this course: move it away, or choose another PD_EXTERNALS."
        fi
    done
    mkdir -p "$target" || fail "The folder $target cannot be created: choose another with PD_EXTERNALS=..."
    rm -f "$manifest.new"
    : >"$manifest.new" || fail "Cannot write to $target: choose another folder with PD_EXTERNALS=..."
    for file in pd_setup/patches/*; do
        if [ ! -f "$file" ]; then continue; fi
        case "$(basename "$file")" in
            *-help.pd) put "$file" "$(basename "$file")" ;;
            *) put "$file" "patches/$(basename "$file")" ;;
        esac
    done
    for file in build/patches/*.ts build/patches/*.wav; do
        if [ -f "$file" ]; then put "$file" "patches/$(basename "$file")"; fi
    done
    if [ -f pd_setup/nn/nn~-help.pd ] && [ ! -f pd_setup/patches/nn~-help.pd ]; then put pd_setup/nn/nn~-help.pd nn~-help.pd; fi
    put "$built" "$(basename "$built")"
    if [ -f "$manifest" ]; then        # remove what an older version installed and this one does not
        while read -r sum name; do
            if ! grep -qF " $name" "$manifest.new" && [ -f "$target/$name" ] && [ "$(sum_of "$target/$name")" = "$sum" ]; then
                rm -f "$target/$name"
            fi
        done <"$manifest"
    fi
    mv -f "$manifest.new" "$manifest"
    say "Installed $(wc -l <"$manifest" | tr -d ' ') files in $target."
}

case "${1:-}" in
    --help | -h) usage ;;
    --uninstall) remove ;;
    "") install_files ;;
    *) usage >&2; fail "" "Unknown option: $1" ;;
esac
