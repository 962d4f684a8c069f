#!/usr/bin/env bash
# Removes from Pure Data's folder what install_nn.sh put there, and nothing else.
set -euo pipefail
case "${1:-}" in
    "") exec bash "$(dirname "${BASH_SOURCE[0]}")/install_nn.sh" --uninstall ;;
    *) exec bash "$(dirname "${BASH_SOURCE[0]}")/install_nn.sh" --help ;;
esac
