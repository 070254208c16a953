#!/usr/bin/env bash
# The main job on the embedded dataset: draws painted birds, trains, samples, writes a report.
# Usage: scripts/demo.sh [options of `python -m jobs run`, e.g. --set stage1.epochs=10]
# STACKGAN_LANE=tf1|tf2 picks the lane, STACKGAN_DATA the data volume (default: ./data).
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

lane=${STACKGAN_LANE:-}
tf2=$(first_version 3.13 3.12 3.11 3.10 3.9 || true)
tf1=$(first_version 3.7 || true)
if [ -z "$lane" ]; then
    if [ -n "$tf2" ]; then lane=tf2; else lane=tf1; fi
fi
case $lane in
    tf2) version=$tf2 ;;
    tf1) version=$tf1 ;;
    *) echo "error: STACKGAN_LANE is '$lane', must be tf1 or tf2" >&2; exit 2 ;;
esac
if [ -z "$version" ]; then
    echo "error: no Python for lane $lane: tf2 needs Python 3.9 to 3.13, tf1 needs 3.7, on PATH" \
         "or in pyenv" >&2
    exit 3
fi
case $version in
    3.7) tensorflow=1.15 ;;
    3.12|3.13) tensorflow=2.21 ;;
    *) tensorflow=2.15 ;;
esac
echo "demo: lane $lane: Python $version, TensorFlow $tensorflow"
make_environment "$lane" "$version" "$lane"

data=${STACKGAN_DATA:-data}
settings=(--config configs/painted-birds.yaml)
if [ "$lane" = tf1 ]; then
    # Half as fast on CPUs that compute in bfloat16, so it trains for less to end as soon.
    settings+=(--set stage1.epochs=48 --set stage1.learning_rate_half_life_epochs=24
               --set stage2.epochs=3)
fi
"$PYTHON" -m jobs run "${settings[@]}" --data "$data" "$@"

run="$data/runs/painted-birds"
echo
echo "pictures   $run/samples/grid.png (64x64 and 256x256, each caption under its row)"
echo "           $run/samples/64/ and $run/samples/256/, indexed by samples.jsonl"
echo "report     $run/report/index.html"
echo "your words $PYTHON -m jobs sample ${settings[*]} --data $data --caption \"a blue bird with brown wings\""
