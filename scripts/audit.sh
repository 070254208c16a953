#!/usr/bin/env bash
# Lists known vulnerabilities of the packages that images and environments pin, by pip-audit.
# Usage: scripts/audit.sh [REQUIREMENTS...]       (default: all of docker/ and scripts/requirements)
# Ends with 0 when it could look, whatever it found; with 3, and no all-clear, when it could not.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

version=$(first_version 3.13 3.12 3.11 3.10) || {
    echo "error: pip-audit needs a Python 3.10 to 3.13, on PATH or in pyenv" >&2; exit 3; }
make_environment tools "$version" tools || exit
if [ $# = 0 ]; then set -- docker/requirements/*.txt scripts/requirements/*.txt; fi
exec "$PYTHON" scripts/audit.py "$@"
