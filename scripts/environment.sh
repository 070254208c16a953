# Sourced by the other scripts: finds interpreters and makes virtual environments.
# An environment is named by its lane and Python: .venv-tf1-3.7, .venv-tf2-3.13.

# Prints the path of a Python of the given version (3.7), from PATH or pyenv; fails without one.
find_python() {
    local version=$1 candidate
    for candidate in "$(command -v "python$version" || true)" \
                     "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python; do
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

# make_environment LANE VERSION EXTRAS: makes or updates the environment and sets PYTHON to its
# interpreter. An environment whose requirements have not changed is used as it is.
make_environment() {
    local lane=$1 version=$2 extras=$3 folder base installed wanted
    folder=".venv-$lane-$version"
    installed="$folder/installed-$extras"
    wanted=$(cksum < pyproject.toml)
    PYTHON="$PWD/$folder/bin/python"
    if [ "$(cat "$installed" 2>/dev/null)" = "$wanted" ]; then
        return 0
    fi
    base=$(find_python "$version")
    echo "installing lane $lane for Python $version into $folder (once)" >&2
    if ! "$base" -m venv "$folder"; then
        echo "error: $base cannot make a virtual environment; install its venv package" \
             "(Debian: apt-get install python$version-venv)" >&2
        return 3
    fi
    "$PYTHON" -m pip install -qq --disable-pip-version-check --upgrade pip &&
        "$PYTHON" -m pip install -qq --disable-pip-version-check -e ".[$extras]" || {
        echo "error: the packages of lane $lane could not be installed; pip's message is above." \
             "Behind a proxy or without the package index, set PIP_INDEX_URL, PIP_CERT or" \
             "PIP_FIND_LINKS" >&2
        return 3
    }
    echo "$wanted" > "$installed"
}
