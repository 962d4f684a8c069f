#!/usr/bin/env bash
# Removes what install_nn.sh installed in Pure Data's folder, and nothing else.
set -euo pipefail
case "${1:-}" in
    "") exec bash "$(dirname "${BASH_SOURCE[0]}")/install_nn.sh" --uninstall ;;
    *) exec bash "$(dirname "${BASH_SOURCE[0]}")/install_nn.sh" --help ;;
esac
