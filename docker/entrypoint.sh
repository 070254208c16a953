# Starts a job in a container: entrypoint.sh JOB [options], as `python -m jobs JOB [options]`.
# Adds to the paths of the base image and never replaces them: on Ascend they lead to the driver.
# Those files are written for bash, and dash, the sh of Ubuntu, may end at them.
if [ -z "${BASH_VERSION:-}" ] && command -v bash >/dev/null; then exec bash "$0" "$@"; fi
for file in /usr/local/Ascend/nnae/set_env.sh /usr/local/Ascend/tfplugin/set_env.sh \
            /usr/local/Ascend/ascend-toolkit/set_env.sh /usr/local/Ascend/cann/set_env.sh; do
    if [ -r "$file" ]; then . "$file"; fi
done
set -eu
if [ -n "${NNAE:-}" ]; then export ASCEND_AICPU_PATH="${ASCEND_AICPU_PATH:-$NNAE}"; fi
export PYTHONPATH="/app${PYTHONPATH:+:$PYTHONPATH}"
if [ -d /opt/convert ]; then export PYTHONPATH="$PYTHONPATH:/opt/convert"; fi
echo "stackgan: $(cat /opt/venv/versions)"
exec /opt/venv/bin/python -m jobs "$@"
