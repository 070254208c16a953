#!/usr/bin/env bash
# Writes the variables of compose.yaml that depend on this machine to .env; other lines stay.
# Usage: scripts/configure.sh PLATFORM
#        scripts/configure.sh --update-bases [IMAGE...]    writes digests to docker/bases.lock
# PLATFORM: cpu      TensorFlow 1.15 on Python 3.7 (the default)
#           cpu-tf2  TensorFlow 2.15 on Python 3.11; twice as fast where the CPU has bfloat16
#           gpu      the same on an NVIDIA GPU, with the NVIDIA container toolkit
#           ascend [--cann VERSION [--chip CHIP]]
#                    TensorFlow 1.15 of the ascend-tensorflow image (CANN 20.2) for this processor;
#                    with --cann 8.5 on a base of that version of CANN (scripts/cann-image.sh) for
#                    CHIP: 910, 910b, a3, 950 or 310p (default: the one that npu-smi names, else 910b)
# Where no registry gives the CPU base, it is made by scripts/base-image.sh (needs root).
# STACKGAN_BASE names another base; STACKGAN_REGISTRY ("host/path/") comes before Ascend's.
# A base whose digest docker/bases.lock has is taken by that digest, and no other.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/bases.sh
. scripts/ascend.sh

platform=${1:-cpu} cann= chip=
if [ "$platform" = ascend ]; then
    shift
    while [ $# -gt 0 ]; do
        case $1 in
            --cann) cann=${2:-} ;;
            --chip) chip=${2:-} ;;
            *) echo "error: '$1': must be --cann VERSION or --chip CHIP" >&2; exit 2 ;;
        esac
        shift $(($# < 2 ? 1 : 2))
    done
    if [[ -n $cann && ! $cann =~ ^[0-9]+\.[0-9]+([.-][0-9A-Za-z]+)*$ ]]; then
        echo "error: --cann '$cann': must be a version as CANN's images spell it, such as 8.5.0 or" \
             "8.3.rc1" >&2; exit 2
    fi
    if [[ $cann =~ ^[0-9]+\.[0-9]+$ ]]; then cann=$cann.0; fi      # as the images spell it
    if [ -z "$chip" ]; then chip=$(chip_here); fi
    case $chip in 910|910b|a3|950|310p) ;; *)
        echo "error: --chip '$chip': must be 910, 910b, a3, 950 or 310p" >&2; exit 2 ;;
    esac
fi
case $platform in
    --update-bases) python= ;;
    cpu) python=3.7 ;;
    cpu-tf2|gpu) python=3.11 ;;
    ascend) python= ;;
    *) echo "error: platform '$platform': must be cpu, cpu-tf2, gpu or ascend" >&2; exit 2 ;;
esac
case $platform-$(uname -m) in
    cpu-aarch64|cpu-arm64)
        if ! ls docker/wheels/tensorflow-1.15*aarch64.whl >/dev/null 2>&1; then
            echo "error: no package index has TensorFlow 1.15 for ARM, which platform cpu needs;" \
                 "choose cpu-tf2, or ascend, whose base image has one, or fill docker/wheels with" \
                 "tensorflow-1.15.0-*-aarch64.whl among the rest" >&2
            exit 3
        fi ;;
    gpu-aarch64|gpu-arm64)
        echo "error: TensorFlow 2.15 for GPUs has no packages for ARM; choose cpu-tf2" >&2
        exit 3 ;;
esac
if ! docker info >/dev/null 2>&1; then
    echo "error: no Docker engine answers 'docker info'; start it, or be in group docker" >&2
    exit 3
fi
if ! docker compose version >/dev/null 2>&1; then
    echo "error: docker has no Compose v2 (Debian: docker-compose, others: docker-compose-plugin)" >&2
    exit 3
fi
if [ "$platform" = --update-bases ]; then
    shift
    update_bases "$@"
    exit
fi

if [ -n "${STACKGAN_BASE:-}" ]; then
    base=$STACKGAN_BASE
elif [ -n "$cann" ]; then
    base=stackgan-cann:$cann-$chip
    is_here "$base" || scripts/cann-image.sh "$cann" "$chip"
elif [ "$platform" = ascend ]; then
    case $(uname -m) in aarch64|arm64) processor=arm ;; *) processor=x86 ;; esac
    base=${STACKGAN_REGISTRY:-}ascend-tensorflow-$processor:20.2.0
else
    base=python:$python-slim-bookworm
fi

if ! get_base "$base"; then
    if [ -z "$python" ] || [ -n "${STACKGAN_BASE:-}" ]; then
        echo "error: image $base is not here and cannot be pulled; log in to its registry, name" \
             "the registry with STACKGAN_REGISTRY or the image with STACKGAN_BASE, or load it by" \
             "scripts/bundle.sh" >&2
        exit 3
    fi
    echo "no registry gives $base" >&2
    base=stackgan-base:$python
    is_here "$base" || scripts/base-image.sh "$python"
    get_base "$base"
fi

# Files in a folder used as the volume belong to you; the engine's root would write as user 1000.
user=$(id -u) group=$(id -g)
if [ "$user" = 0 ]; then user=1000 group=1000; fi
certificates=${STACKGAN_CA_BUNDLE:-${PIP_CERT:-${SSL_CERT_FILE:-}}}
case $platform in
    gpu) files=compose.yaml:compose.gpu.yaml ;;
    ascend)
        files=compose.yaml:compose.ascend.yaml
        if docker info --format '{{json .Runtimes}}' | grep -q '"ascend"'; then
            files=compose.yaml:compose.ascend-runtime.yaml
        fi ;;
    *) files=compose.yaml ;;
esac
if [ "$platform" = ascend ]; then ascend_gid; fi

new=$(mktemp .env.XXXXXX)
trap 'rm -f "$new"' EXIT
names='COMPOSE_FILE|STACKGAN_PLATFORM|STACKGAN_BASE|STACKGAN_BASE_DIGEST|STACKGAN_UID|STACKGAN_GID|STACKGAN_CA_BUNDLE'
if [ -n "${NODES_GID:-}" ]; then names="$names|ASCEND_GID"; fi
if [ -f .env ]; then grep -Ev "^($names)=" .env > "$new" || true; fi
cat >> "$new" <<VARIABLES
COMPOSE_FILE=$files
STACKGAN_PLATFORM=$platform
STACKGAN_BASE=$BASE
STACKGAN_BASE_DIGEST=$DIGEST
STACKGAN_UID=$user
STACKGAN_GID=$group
VARIABLES
if [ -n "${NODES_GID:-}" ]; then echo "ASCEND_GID=$NODES_GID" >> "$new"; fi
if [ -n "$certificates" ]; then echo "STACKGAN_CA_BUNDLE='$certificates'" >> "$new"; fi
chmod 644 "$new"
mv "$new" .env
echo "wrote .env: platform $platform on $BASE" >&2
