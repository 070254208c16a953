#!/usr/bin/env bash
# The main job on the built-in synthetic dataset: generates painted birds, trains, samples, writes a report.
# Through Docker Compose where an engine and a base image can be had, otherwise in a virtual
# environment of its own, with the same jobs.
# Usage: scripts/demo.sh [options of `python -m jobs run`, e.g. --set stage1.epochs=10]
# STACKGAN_ON=docker|local picks the way, STACKGAN_LANE=tf1|tf2 the TensorFlow (1.15 or 2.x),
# STACKGAN_DATA the data volume, a folder (default: ./data).
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

lane=${STACKGAN_LANE:-}
way=${STACKGAN_ON:-}
data=${STACKGAN_DATA:-data}
case $lane in ''|tf1|tf2) ;; *)
    echo "error: STACKGAN_LANE is '$lane', must be tf1 or tf2" >&2; exit 2 ;;
esac
case $way in ''|docker|local) ;; *)
    echo "error: STACKGAN_ON is '$way', must be docker or local" >&2; exit 2 ;;
esac

# Sees to it that .env names a platform; fails, with the reason in $reason, where there is no way.
in_containers() {
    local platform=cpu-tf2
    if [ "$lane" = tf1 ]; then platform=cpu; fi
    if [ -s .env ]; then                # this machine is configured already
        reason="no Docker engine answers 'docker info'"
        docker info >/dev/null 2>&1
        return
    fi
    echo "demo: looking for a Docker engine and a base image"
    reason=$(scripts/configure.sh "$platform" 2>&1 | tail -n 1)
    [ -s .env ]
}

# Makes the virtual environment that trains, and says so.
in_this_machine() {
    local tf1 tf2 version tensorflow
    tf2=$(first_version 3.13 3.12 3.11 3.10 3.9 || true)
    tf1=$(first_version 3.7 || true)
    if [ -z "$lane" ]; then
        if [ -n "$tf2" ]; then lane=tf2; else lane=tf1; fi
    fi
    case $lane in tf2) version=$tf2 ;; *) version=$tf1 ;; esac
    if [ -z "$version" ]; then
        echo "error: no Python for lane $lane: tf2 needs Python 3.9 to 3.13, tf1 needs 3.7, on" \
             "PATH or in pyenv" >&2
        exit 3
    fi
    case $version in
        3.7) tensorflow=1.15 ;;
        3.12|3.13) tensorflow=2.21 ;;
        *) tensorflow=2.15 ;;
    esac
    echo "demo: in a virtual environment, lane $lane: Python $version, TensorFlow $tensorflow"
    make_environment "$lane" "$version" "$lane,export,serve"
}

reason=
if [ "$way" != local ] && in_containers; then
    way=docker
    platform=$(sed -n 's/^STACKGAN_PLATFORM=//p' .env)
    case ${platform:-cpu} in cpu|ascend) lane=tf1 ;; *) lane=tf2 ;; esac
    echo "demo: in containers, platform ${platform:-cpu} by .env"
    version=$(first_version 3.13 3.12 3.11 3.10 3.9 3.8 3.7) || {
        echo "error: the chain's runner needs a Python 3.7 or later, on PATH or in pyenv" >&2; exit 3; }
    make_environment docker "$version" docker
elif [ "$way" = docker ]; then
    echo "error: ${reason#error: }" >&2
    exit 3
else
    if [ -n "$reason" ]; then echo "demo: not in containers: ${reason#error: }"; fi
    way=local
    in_this_machine
fi

# The options may name another configuration, run or setting: the lines at the end speak of those.
config=configs/painted-birds.yaml run= option= given=()
for word in "$@"; do
    case $option$word in
        --config=*|--set=*) word="${word%%=*} ${word#*=}" ;;
        --config\ *|--set\ *) word=$option$word ;;
    esac
    option=
    case $word in
        --config|--set) option="$word " ;;
        --config\ *) config=${word#--config } ;;
        --set\ *) given+=("$word"); case $word in *\ run.name=*) run=${word#*=} ;; esac ;;
    esac
done
name=$(basename "$config" .yaml)
run="$data/runs/${run:-$name}"

settings=(--config "$config")
if [ "$lane" = tf1 ] && [ "$name" = painted-birds ]; then
    # Half as fast on CPUs that compute in bfloat16, so it trains for less.
    settings+=(--set stage1.epochs=12 --set stage1.learning_rate_half_life_epochs=4)
fi
"$PYTHON" -m jobs run --on "$way" "${settings[@]}" --data "$data" "$@"

words='--caption "a blue bird with brown wings"'
echo
echo "images     $run/samples/grid.png (64x64 and 256x256, each caption under its row)"
echo "           $run/samples/64/ and $run/samples/256/, indexed by samples.jsonl"
echo "report     $run/report/index.html"
if [ "$way" = docker ]; then
    data=$(realpath -m "$data")
    echo "your words STACKGAN_DATA=\"$data\" docker compose run --rm --no-deps sample $words"
    echo "a page     STACKGAN_DATA=\"$data\" docker compose --profile serve up --build serve"
else
    echo "your words $PYTHON -m jobs sample ${settings[*]} ${given[*]:+${given[*]} }--data $data $words"
    echo "a page     $PYTHON -m jobs serve --data $data"
fi
