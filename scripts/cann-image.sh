#!/usr/bin/env bash
# Makes the base of the `ascend` images on today's CANN: its image, Python 3.7, TensorFlow 1.15 and
# the adapter. Not needed for CANN 20.2, whose ascend-tensorflow images have them.
# Usage: scripts/cann-image.sh VERSION CHIP        such as 8.5.0 910b; CHIP: 910, 910b, a3, 950 or 310p
# Put npu_bridge-1.15.0-*.whl of that version of CANN into docker/wheels first, and on ARM also
# tensorflow-1.15.0-*.whl, which no package index has. Makes stackgan-cann:VERSION-CHIP.
# CANN_IMAGE and PYTHON_IMAGE name other images to start from; stackgan-base:3.7 of
# scripts/base-image.sh can be the second.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ $# != 2 ]; then echo "usage: $0 VERSION CHIP" >&2; exit 2; fi
version=$1 chip=$2
cann=${CANN_IMAGE:-${STACKGAN_REGISTRY:-}cann:$version-$chip-ubuntu22.04-py3.11}
if ! ls docker/wheels/npu_bridge-1.15.0-*.whl >/dev/null 2>&1; then
    echo "error: no npu_bridge-1.15.0-*.whl in docker/wheels; get that of CANN $version from the" \
         "releases of TF Adapter (hicann/tensorflow, tag tfa_..._$version)" >&2
    exit 3
fi
case $(uname -m) in
    aarch64|arm64)
        if ! ls docker/wheels/tensorflow-1.15*aarch64.whl >/dev/null 2>&1; then
            echo "error: no tensorflow-1.15.0-*-aarch64.whl in docker/wheels; no package index has" \
                 "it: build it, or take the one of your vendor" >&2
            exit 3
        fi ;;
esac
certificates=${STACKGAN_CA_BUNDLE:-docker/no-secret} conf=${STACKGAN_PIP_CONF:-docker/no-secret}
docker build -f docker/cann.Dockerfile -t "stackgan-cann:$version-$chip" \
    --build-arg "CANN=$cann" ${PYTHON_IMAGE:+--build-arg "PYTHON=$PYTHON_IMAGE"} \
    --secret "id=ca_bundle,src=$certificates" --secret "id=pip_conf,src=$conf" .
