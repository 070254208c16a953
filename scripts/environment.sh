# Sourced by the other scripts: finds interpreters and makes virtual environments.
# An environment is named by its lane and Python: .venv-tf1-3.7, .venv-tf2-3.13. It holds the
# packages of scripts/requirements/LANE.txt, pinned and hashed, and the path of this checkout.
# STACKGAN_LOCK=off takes what pyproject.toml admits instead: for an index with builds of its own.

# Prints the path of a Python of the given version (3.7), from PATH or pyenv; fails without one.
find_python() {
    local version=$1 candidate
    for candidate in "$(command -v "python$version" || true)" \
                     "${PYENV_ROOT:-${HOME:-}/.pyenv}/versions/$version".*/bin/python \
                     "$(command -v python3 || true)" "$(command -v python || true)"; do
        if [ -x "$candidate" ] && [ "$("$candidate" -c 'import sys
print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$version" ]; then
            echo "$candidate"
            return 0
        fi
    done
    return 1
}

# Prints the first version of those given that this machine has; fails without one.
first_version() {
    local version
    for version in "$@"; do
        if find_python "$version" >/dev/null; then
            echo "$version"
            return 0
        fi
    done
    return 1
}

# lock_for LANE VERSION: prints the file of the packages of an environment, pinned and hashed; fails
# where there is none for that Python or system.
lock_for() {
    local file=scripts/requirements/$1.txt minor=${2#3.} first last
    [ "${STACKGAN_LOCK:-}" != off ] && [ "$(uname -s)" = Linux ] && [ -f "$file" ] || return 1
    read -r first last < <(sed -n '1s/^# Python 3\.\([0-9]*\) to 3\.\([0-9]*\) on Linux;.*/\1 \2/p' \
                           "$file") || return 1
    [ "$minor" -ge "$first" ] && [ "$minor" -le "$last" ] && echo "$file"
}

# pip_install OPTIONS...: installs into the environment of PYTHON. Modules are compiled when they are
# first imported, which takes less than compiling all, unless Python is told to keep nothing compiled.
pip_install() {
    local compile=--no-compile
    if [ -n "${PYTHONDONTWRITEBYTECODE:-}" ]; then compile=--compile; fi
    "$PYTHON" -m pip install -qq "$compile" --disable-pip-version-check "$@"
}

# install_locked FILE: what the file pins, with nothing resolved and nothing that it does not hash.
# What comes as source alone is built by the file's own setuptools, which so has to be there first.
install_locked() {
    local first status=0
    first=$(mktemp)
    sed -n '/^\(setuptools\|wheel\)==/,/[^\\]$/p' "$1" > "$first"
    if [ -s "$first" ]; then pip_install --no-deps --require-hashes -r "$first" || status=$?; fi
    rm -f "$first"
    [ $status = 0 ] && pip_install --no-deps --require-hashes --no-build-isolation -r "$1"
}

# make_environment LANE VERSION EXTRAS: makes or updates the environment and sets PYTHON to its
# interpreter. An environment whose packages are those wanted is used as it is. EXTRAS are those of
# pyproject.toml, for a Python without a file of its lane.
make_environment() {
    local lane=$1 version=$2 extras=$3 folder base lock installed wanted
    folder=".venv-$lane-$version"
    PYTHON="$PWD/$folder/bin/python"
    if lock=$(lock_for "$lane" "$version"); then
        installed="$folder/installed" wanted=$(cksum < "$lock")
    else
        installed="$folder/installed-$extras" wanted=$(cksum < pyproject.toml)
    fi
    wanted+=" $PWD"
    if [ "$(cat "$installed" 2>/dev/null)" = "$wanted" ]; then
        return 0
    fi
    base=$(find_python "$version")
    echo "installing lane $lane for Python $version into $folder (once)" >&2
    rm -f "$folder"/installed*
    if ! "$base" -m venv "$folder"; then
        echo "error: $base cannot make a virtual environment; install its venv package" \
             "(Debian: apt-get install python$version-venv)" >&2
        return 3
    fi
    if [ -z "$lock" ]; then
        echo "no packages are pinned for lane $lane and this Python; taking what pyproject.toml" \
             "admits" >&2
        pip_install --upgrade pip || echo "pip stays as it is" >&2
    fi
    if [ -n "$lock" ]; then install_locked "$lock"; else pip_install -e ".[$extras]"; fi || {
        echo "error: the packages of lane $lane could not be installed; pip's message is above." \
             "Behind a proxy or without the package index, set PIP_INDEX_URL, PIP_CERT or" \
             "PIP_FIND_LINKS; with an index whose builds differ, STACKGAN_LOCK=off" >&2
        return 3
    }
    if [ -n "$lock" ]; then
        echo "$PWD" > "$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/stackgan.pth"
    fi
    echo "$wanted" > "$installed"
}
