# Run in a build: installs the packages of /build/requirements.txt, pinned and hashed.
#   install-packages.sh           into a new virtual environment, /opt/venv; its file `versions`
#                                 tells in one line what is in it
#   install-packages.sh FOLDER    into a folder, beside those of /opt/venv
# BUILD, VENV and PYTHON are for its test.
set -eu
build=${BUILD:-/build} venv=${VENV:-/opt/venv}

# On Ascend bases `python3` may be an older one of the distribution.
python=${PYTHON:-$(command -v python3.7 || true)}
for candidate in /usr/local/python3.7*/bin/python3.7 /usr/local/bin/python3 /usr/bin/python3; do
    if [ -z "$python" ] && [ -x "$candidate" ]; then python=$candidate; fi
done
if [ -z "$python" ]; then
    echo "error: the base image has no Python; choose another with STACKGAN_BASE" >&2
    exit 1
fi

wanted=$(sed -n '1s/^# Python \([0-9.]*\);.*/\1/p' "$build/requirements.txt")
have=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if [ "$wanted" != "$have" ]; then
    echo "error: platform $PLATFORM needs Python $wanted, the base has $have; STACKGAN_PLATFORM" \
         "and STACKGAN_BASE go together" >&2
    exit 1
fi

has_tensorflow() {
    "$1" -c 'import importlib.util as u; assert u.find_spec("tensorflow")' 2>/dev/null
}
if [ "$PLATFORM" = ascend ] && [ "${TENSORFLOW:-}" = yes ] && ! has_tensorflow "$python"; then
    echo "error: the base image has no TensorFlow 1.15, which platform ascend takes from it:" \
         "ascend-tensorflow-arm:20.2.0 (or -x86) and the bases of scripts/cann-image.sh have" \
         "one; choose with STACKGAN_BASE" >&2
    exit 1
fi

if [ -s /run/secrets/ca_bundle ]; then export PIP_CERT=/run/secrets/ca_bundle; fi
if [ -s /run/secrets/pip_conf ]; then export PIP_CONFIG_FILE=/run/secrets/pip_conf; fi
if ls "$build"/wheels/*.whl >/dev/null 2>&1; then
    export PIP_NO_INDEX=1 PIP_FIND_LINKS="$build/wheels"
    trap '[ $? = 0 ] || echo "error: docker/wheels has not what docker/requirements asks for;" \
        "of wheels that your site has built itself, write the sums there: sha256sum *.whl >" \
        "SHA256SUMS" >&2' EXIT
fi
# Wheels that a site has built itself have other hashes than those of the index: its SHA256SUMS.
if [ -s "$build/wheels/SHA256SUMS" ]; then
    "$python" - "$build" <<'PYTHON'
import re, sys
build = sys.argv[1]
name_of = lambda name: re.sub('[-_.]+', '-', name).lower()
sums = {}
for line in open(build + '/wheels/SHA256SUMS'):
    found = re.match(r'([0-9a-f]{64}) [ *](?:.*/)?([^-/]+)-([^-/]+)-[^/]*[.]whl$', line.rstrip('\n'))
    if not found:
        sys.exit('error: docker/wheels/SHA256SUMS: %r is no sum of a wheel; write it by sha256sum '
                 '*.whl' % line[:200])
    key = name_of(found.group(2)), found.group(3)
    sums.setdefault(key, []).append(' \\\n    --hash=sha256:' + found.group(1))
text = open(build + '/requirements.txt').read()
blocks = re.findall(r'^[^\s#].*(?:\n[ \t].*)*', text, re.M)
with open(build + '/requirements.txt', 'w') as stream:
    for block in blocks:
        name, version = re.match(r'([^=\s]+)==([^\s;\\]+)', block).groups()
        stream.write(block + ''.join(sums.get((name_of(name), version), [])) + '\n')
PYTHON
fi
# Every package is listed, so nothing is resolved, and what has no hash is not installed. What comes
# as source alone is built by the setuptools of the list, where it has one: nothing unlisted is got.
install="-m pip install --quiet --no-deps --require-hashes"
sed -n '/^\(setuptools\|wheel\)==/,/[^\\]$/p' "$build/requirements.txt" > "$build/first.txt"

# TensorFlow and NumPy of an Ascend base are its own builds, and so is pip: its Python may lack
# the module that would install one.
own_pip=yes options=
if [ "$PLATFORM" = ascend ]; then own_pip= options="--system-site-packages --without-pip"; fi

if [ $# = 1 ]; then
    "$python" -m venv $options "$build/pip"
    "$build/pip/bin/python" $install --target "$1" -r "$build/requirements.txt"
    rm -rf "$build/pip"
    exit
fi
"$python" -m venv $options "$venv"
if [ -s "$build/first.txt" ]; then
    "$venv/bin/python" $install -r "$build/first.txt"
fi
if "$venv/bin/python" -c 'import setuptools, wheel' 2>/dev/null; then
    install="$install --no-build-isolation"
fi
"$venv/bin/python" $install -r "$build/requirements.txt"
# The wheel of another processor may be empty (tensorflow 2.15 on ARM).
if [ "${TENSORFLOW:-}" = yes ] && ! has_tensorflow "$venv/bin/python"; then
    trap - EXIT
    echo "error: $build/requirements.txt installs no TensorFlow for $(uname -m)" >&2
    exit 1
fi
"$venv/bin/python" - > "$venv/versions" <<'PYTHON'
import platform
try:
    from importlib.metadata import distributions
    have = {each.metadata['Name'].lower(): each.version for each in distributions()}
except ImportError:                                       # Python 3.7
    import pkg_resources
    have = {each.key: each.version for each in pkg_resources.working_set}
names = ('tensorflow', 'intel-tensorflow', 'tensorflow-cpu', 'tensorflow-cpu-aws', 'numpy', 'pillow')
print(', '.join(['Python ' + platform.python_version()]
                + ['%s %s' % (name, have[name]) for name in names if name in have]))
PYTHON
if [ -n "$own_pip" ]; then
    # TensorBoard imports pkg_resources, so setuptools stays where TensorFlow is.
    if ! grep -q tensorflow "$venv/versions"; then
        "$venv/bin/python" -m pip uninstall --quiet -y setuptools
    fi
    "$venv/bin/python" -m pip uninstall --quiet -y pip
fi
