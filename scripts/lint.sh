#!/usr/bin/env bash
# Runs ruff and mypy, configured in pyproject.toml, in an environment of their own.
# Usage: scripts/lint.sh [--fix]
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

version=$(first_version 3.13 3.12 3.11 3.10) && lock_for lint "$version" >/dev/null || {
    echo "skipped: ruff and mypy: they need a Python from 3.10 to 3.13 on Linux"
    exit 0
}
make_environment lint "$version" lint
code=0
"$PYTHON" -m ruff check --quiet "$@" . || code=1
"$PYTHON" -m mypy --no-error-summary || code=1
if [ $code = 0 ]; then echo "ruff and mypy find nothing"; fi
exit $code
