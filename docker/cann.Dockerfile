# A base for the `ascend` images on today's CANN, whose own images have neither TensorFlow nor
# Python 3.7: scripts/cann-image.sh builds it.
#   cann:<version>-<chip>-<system>-py3.x     CANN (Ascend/cann-container-image)
#   python:3.7.11-slim-bullseye              Python 3.7, of which the adapter takes 3.7.5 to 3.7.11
#   scripts/requirements/cann.txt            TensorFlow 1.15.0 and what CANN's compilers import
#   docker/wheels/npu_bridge-1.15.0-*.whl    the adapter; on ARM also tensorflow-1.15.0-*.whl
ARG CANN=cann:8.5.0-910b-ubuntu22.04-py3.11
ARG PYTHON=python:3.7.11-slim-bullseye

# Python with the libraries of its own system that another system may not have.
FROM ${PYTHON} AS python
RUN set -eu; cd /usr/local; mkdir own; \
    for file in lib/python3.7/lib-dynload/*.so; do ldd "$file"; done | \
        awk '$3 ~ /^\// { print $3 }' | sort -u | \
        grep -E '/lib(ssl|crypto|ffi|readline|sqlite3|bz2|lzma|ncursesw?|tinfo|uuid|z)\.' | \
        while read -r library; do cp -L "$library" own/; done; \
    cp -P lib/libpython3* own/ 2>/dev/null || true

FROM ${CANN}
USER root
ENV PYTHON37=/usr/local/python3.7
COPY --from=python /usr/local/bin/python3.7 ${PYTHON37}/bin/
COPY --from=python /usr/local/lib/python3.7 ${PYTHON37}/lib/python3.7
COPY --from=python /usr/local/own/ ${PYTHON37}/own/
# Of the libraries only those that the image lacks, so that its own programs keep theirs. A static
# Python has no libpython, and the Python of scripts/base-image.sh has no pip.
RUN set -eu; ldconfig; cd "${PYTHON37}/own"; \
    for library in *; do \
        case $library in libpython*) mv "$library" ../lib/; continue ;; esac; \
        ldconfig -p | grep -qF "$library " || mv "$library" ../lib/; \
    done; \
    cd /; rm -r "${PYTHON37}/own"; \
    echo "${PYTHON37}/lib" > /etc/ld.so.conf.d/zz-python3.7.conf; ldconfig; \
    ln -s "${PYTHON37}/bin/python3.7" /usr/local/bin/python3.7; \
    python3.7 -c 'import bz2, ctypes, lzma, sqlite3, ssl, venv, zlib'; \
    python3.7 -m pip --version >/dev/null 2>&1 || python3.7 -m ensurepip >/dev/null
COPY scripts/requirements/cann.txt docker/wheels/ /build/
RUN --mount=type=secret,id=ca_bundle --mount=type=secret,id=pip_conf \
    set -eu; cd /build; \
    if [ -s /run/secrets/ca_bundle ]; then export PIP_CERT=/run/secrets/ca_bundle; fi; \
    if [ -s /run/secrets/pip_conf ]; then export PIP_CONFIG_FILE=/run/secrets/pip_conf; fi; \
    export PIP_FIND_LINKS=/build; \
    export PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
        PIP_NO_WARN_SCRIPT_LOCATION=0; \
    python3.7 -m pip install --quiet --no-deps --require-hashes -r cann.txt; \
    python3.7 -m pip install --quiet --no-deps --no-index npu_bridge-*.whl \
        $(ls tensorflow-1.15*.whl 2>/dev/null || true); \
    rm -rf /build
# What the adapter needs that the image must bring; the driver's libraries are mounted later.
RUN python3.7 -c 'import tensorflow as tf; assert tf.__version__ == "1.15.0", tf.__version__' || \
        { echo "error: no TensorFlow 1.15.0 in the image; on ARM no package index has it: put" \
            "tensorflow-1.15.0-*-aarch64.whl into docker/wheels" >&2; exit 1; }; \
    set -e; python3.7 -c 'import sys; sys.exit(not (3, 7, 5) <= sys.version_info[:3] <= (3, 7, 11))' || \
        echo "warning: $(python3.7 --version); the adapter is documented for 3.7.5 to 3.7.11" >&2; \
    python3.7 -c 'import importlib.util as u; assert u.find_spec("npu_bridge")'; \
    for opp in "${ASCEND_OPP_PATH:-}" /usr/local/Ascend/cann/opp \
            /usr/local/Ascend/ascend-toolkit/latest/opp; do \
        if [ -s "$opp/built-in/framework/tensorflow/npu_supported_ops.json" ]; then exit 0; fi; \
    done; echo "error: the CANN image has no npu_supported_ops.json, without which the adapter" \
        "runs everything on the CPU" >&2; exit 1
