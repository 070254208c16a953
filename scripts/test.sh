#!/usr/bin/env bash
# Runs ruff and mypy, makes the environments of both lanes and runs all tests in each.
# Usage: scripts/test.sh [pytest options, e.g. -k batches]
# A process for each core; a file's tests share what they set up, so they stay together.
# STACKGAN_TEST_PYTHONS picks the versions (default: "3.7 3.11 3.13", those that are there).
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

lane_of() { case $1 in 3.7) echo tf1 ;; *) echo tf2 ;; esac }

wanted=${STACKGAN_TEST_PYTHONS:-3.7 3.11 3.13}
tested=() skipped=() failed=() making=() lint= code=0
# Options are for pytest: who runs a few tests is not told of all the code. Beside the first tests.
if [ $# -eq 0 ]; then scripts/lint.sh & lint=$!; fi
# Environments are made side by side, since pip mostly waits.
for version in $wanted; do
    if find_python "$version" >/dev/null; then
        make_environment "$(lane_of "$version")" "$version" "$(lane_of "$version"),test" &
        making+=($!)
    fi
done
for each in ${making[@]+"${making[@]}"}; do wait "$each" || code=$?; done
if [ $code != 0 ]; then wait; exit $code; fi
for version in $wanted; do
    if ! find_python "$version" >/dev/null; then
        skipped+=("Python $version: not on this machine")
        continue
    fi
    lane=$(lane_of "$version")
    make_environment "$lane" "$version" "$lane,test"
    tested+=("$version=$PYTHON")
done
if [ ${#tested[@]} -eq 0 ]; then
    echo "error: none of the Pythons $wanted is on PATH or in pyenv" >&2
    exit 3
fi

for each in "${tested[@]}"; do
    python=${each#*=}
    # A test that compares lanes needs another environment's interpreter beside its own.
    other=
    for candidate in "${tested[@]}"; do
        if [ "$candidate" != "$each" ]; then other=${candidate#*=}; fi
    done
    echo
    echo "== Python ${each%%=*} =="
    # Between the oldest and the newest Python only what runs TensorFlow can differ: networks and
    # their gradients, a training and its resuming, exported files, collectives, and one chain.
    only=
    if [ "$each" != "${tested[0]}" ] && [ "$each" != "${tested[-1]}" ]; then only=tensorflow; fi
    # The newest Python alone runs the documents' commands, schedulers and browsers, and chains of
    # whole jobs whose parts (plans, resuming, imports, scores) have tests in every Python; the
    # oldest alone what an NPU computes, whose adapter is one for TensorFlow 1.15. Who names tests
    # gets them everywhere.
    marks=
    if [ "$each" != "${tested[-1]}" ]; then marks+=" and not newest"; fi
    if [ "$each" != "${tested[0]}" ]; then marks+=" and not oldest"; fi
    if [ -n "$only" ]; then marks+=" and not outermost"; fi
    if [ $# -gt 0 ]; then marks=; fi
    STACKGAN_TEST_ONLY=$only STACKGAN_OTHER_PYTHON=$other \
        "$python" -m pytest -q -n auto --dist loadfile ${marks:+-m "${marks# and }"} "$@" ||
        failed+=("Python ${each%%=*}")
done
if [ -n "$lint" ]; then wait "$lint" || failed+=("scripts/lint.sh"); fi

echo
for each in ${skipped[@]+"${skipped[@]}"}; do echo "skipped: $each"; done
if [ ${#failed[@]} -gt 0 ]; then
    echo "failed: ${failed[*]}"
    exit 1
fi
echo "passed: ${#tested[@]} environments"
