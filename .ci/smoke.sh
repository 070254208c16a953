#!/usr/bin/env bash
# The chain in containers on the engine of DOCKER_HOST: builds the CPU images, runs the commands a
# user types on a tiny configuration, then the tests that need a real engine.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

scripts/configure.sh cpu
export STACKGAN_CONFIG=smoke COMPOSE_PROJECT_NAME=stackgan-ci

docker compose --profile serve build --quiet
docker image ls --format '{{.Repository}}:{{.Tag}}  {{.Size}}' | grep -E '^stackgan'
lists=$(mktemp -d)
trap 'rm -rf "$lists"' EXIT
for kind in serve convert; do
    scripts/sbom.sh "$lists" "stackgan/$kind:cpu" || {
        [ $? = 3 ] || exit 1; echo "skipped: the SBOM of $kind"; }
done
docker compose run --rm preprocess
docker compose -f compose.yaml -f compose.workers.yaml up train-stage1 2>&1 |
    tee "${TMPDIR:-/tmp}/workers-up"
if ! grep -q ', 2 workers' "${TMPDIR:-/tmp}/workers-up" ||
   ! grep -q 'train-stage1: done in' "${TMPDIR:-/tmp}/workers-up"; then
    echo "failed: two containers did not train Stage-I together" >&2
    exit 1
fi
docker compose up train-stage2
code=0
docker compose run --rm convert-om || code=$?
if [ $code != 3 ]; then                # there is no ATC here, and it must say so
    echo "failed: convert-om ended with exit code $code" >&2
    exit 1
fi
docker compose up
echo "== again: every job must say that it is up to date =="
docker compose up 2>&1 | tee "${TMPDIR:-/tmp}/second-up"
jobs=$(docker compose config --services | wc -l)
if [ "$(grep -c 'up to date' "${TMPDIR:-/tmp}/second-up")" != "$jobs" ]; then
    echo "failed: a second up did work" >&2
    exit 1
fi
docker compose down --volumes

version=$(first_version 3.11 3.13 3.12 3.10 3.9 3.7)
case $version in 3.7) lane=tf1 ;; *) lane=tf2 ;; esac
make_environment "$lane" "$version" "$lane,test"
STACKGAN_TEST_ENGINE=1 "$PYTHON" -m pytest -q tests/test_containers.py
