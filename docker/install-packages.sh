# Run in a build: installs the packages of /build/requirements.txt, pinned and hashed.
#   install-packages.sh           into a new virtual environment, /opt/venv; its file `versions`
#                                 tells in one line what is in it
#   install-packages.sh FOLDER    into a folder, beside those of /opt/venv
set -eu

# On Ascend bases `python3` may be an older one of the distribution.
python=$(command -v python3.7 || true)
for candidate in /usr/local/python3.7.5/bin/python3.7 /usr/local/bin/python3 /usr/bin/python3; do
    if [ -z "$python" ] && [ -x "$candidate" ]; then python=$candidate; fi
done
if [ -z "$python" ]; then
    echo "error: the base image has no Python; choose another with STACKGAN_BASE" >&2
    exit 1
fi

wanted=$(sed -n '1s/^# Python \([0-9.]*\);.*/\1/p' /build/requirements.txt)
have=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if [ "$wanted" != "$have" ]; then
    echo "error: platform $PLATFORM needs Python $wanted, the base has $have; STACKGAN_PLATFORM" \
         "and STACKGAN_BASE go together" >&2
    exit 1
fi

if [ -s /run/secrets/ca_bundle ]; then export PIP_CERT=/run/secrets/ca_bundle; fi
if [ -s /run/secrets/pip_conf ]; then export PIP_CONFIG_FILE=/run/secrets/pip_conf; fi
hashes=--require-hashes
if ls /build/wheels/*.whl >/dev/null 2>&1; then
    # Their builder trusts them; one made from a source archive has another hash than that.
    export PIP_NO_INDEX=1 PIP_FIND_LINKS=/build/wheels
    hashes=
    sed -i -e '/^ *--hash/d' -e 's/ *\\$//' /build/requirements.txt
fi
# Every package is listed, so nothing is resolved.
install="-m pip install --quiet --no-deps $hashes -r /build/requirements.txt"

# TensorFlow and NumPy of an Ascend base are its own builds, and so is pip: its Python may lack
# the module that would install one.
own_pip=yes options=
if [ "$PLATFORM" = ascend ]; then own_pip= options="--system-site-packages --without-pip"; fi

if [ $# = 1 ]; then
    "$python" -m venv $options /tmp/pip
    /tmp/pip/bin/python $install --target "$1"
    exit
fi
"$python" -m venv $options /opt/venv
/opt/venv/bin/python $install
/opt/venv/bin/python - > /opt/venv/versions <<'PYTHON'
import platform
try:
    from importlib.metadata import distributions
    have = {each.metadata['Name'].lower(): each.version for each in distributions()}
except ImportError:                                       # Python 3.7
    import pkg_resources
    have = {each.key: each.version for each in pkg_resources.working_set}
names = ('tensorflow', 'intel-tensorflow', 'tensorflow-cpu', 'numpy', 'pillow')
print(', '.join(['Python ' + platform.python_version()]
                + ['%s %s' % (name, have[name]) for name in names if name in have]))
PYTHON
if [ -n "$own_pip" ]; then
    # TensorBoard imports pkg_resources, so setuptools stays where TensorFlow is.
    if ! grep -q tensorflow /opt/venv/versions; then
        /opt/venv/bin/python -m pip uninstall --quiet -y setuptools
    fi
    /opt/venv/bin/python -m pip uninstall --quiet -y pip
fi
