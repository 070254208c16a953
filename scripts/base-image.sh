#!/usr/bin/env bash
# Makes the base of the CPU images without an image registry: Debian by debootstrap, and Python.
# Usage: scripts/base-image.sh [3.7 | 3.11]      (default 3.7; needs root, debootstrap, an engine)
# 3.7 is copied from a Python 3.7 of this machine (PATH or pyenv), 3.11 is Debian's own.
# Makes stackgan-base:<version>; STACKGAN_BASE in .env names it for the builds.
# Debian comes from this machine's own apt sources (DEBIAN_MIRROR names another mirror), checked with
# Debian's keys (DEBIAN_KEYRING names other ones).
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh
. scripts/debian.sh

if [ -n "${SUDO_USER:-}" ]; then              # whose Python it is that is copied
    PYENV_ROOT=${PYENV_ROOT:-$(getent passwd "$SUDO_USER" | cut -d: -f6)/.pyenv}
fi
version=${1:-3.7}
image=stackgan-base:$version
packages=ca-certificates
case $version in
    3.7)
        python=$(find_python 3.7) || {
            echo "error: no Python 3.7 on PATH or in pyenv to copy into the image" >&2; exit 3; }
        packages+=,libssl3,libffi8,libsqlite3-0,libbz2-1.0,liblzma5,libncursesw6,libreadline8,zlib1g
        ;;
    3.11) packages+=,python3,python3-venv ;;
    *) echo "error: '$version': must be 3.7 or 3.11" >&2; exit 2 ;;
esac
if [ "$(id -u)" != 0 ]; then
    echo "error: debootstrap needs root; run: sudo $0 $version" >&2
    exit 3
fi
for tool in debootstrap docker; do
    if ! command -v $tool >/dev/null; then
        echo "error: $tool is not installed (Debian: apt-get install debootstrap docker.io)" >&2
        exit 3
    fi
done
mirror=$(debian_mirror) || exit
keyring=$(debian_keyring) || exit

root=$(mktemp -d)
trap 'rm -rf --one-file-system "$root" "$root.log"' EXIT
echo "debootstrap of bookworm from $mirror" >&2
debootstrap --variant=minbase --keyring="$keyring" --force-check-gpg --include="$packages" \
    bookworm "$root" "$mirror" > "$root.log" 2>&1 || { tail -n 5 "$root.log" >&2; exit 1; }
rm -f "$root.log"

if [ "$version" = 3.7 ]; then
    prefix=$("$python" -c 'import sys; print(sys.base_prefix)')
    echo "Python from $prefix" >&2
    mkdir -p "$root/usr/local/lib" "$root/usr/local/bin"
    cp -a "$prefix"/lib/libpython3* "$root/usr/local/lib/" 2>/dev/null || true   # a static one has none
    cp -a "$prefix/lib/python3.7" "$root/usr/local/lib/"
    cp -a "$(readlink -f "$prefix/bin/python3.7")" "$root/usr/local/bin/python3.7"
    ln -s python3.7 "$root/usr/local/bin/python3"
    rm -rf "$root"/usr/local/lib/python3.7/{test,idlelib,turtledemo,tkinter,ensurepip/__pycache__} \
           "$root"/usr/local/lib/python3.7/{lib2to3/tests,unittest/test,distutils/tests} \
           "$root"/usr/local/lib/python3.7/{sqlite3/test,ctypes/test,config-3.7*} \
           "$root"/usr/local/lib/python3.7/site-packages/*
    chroot "$root" ldconfig
fi
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,info}/* \
       "$root"/var/log/* "$root"/tmp/*
find "$root/usr/share/locale" -mindepth 1 -maxdepth 1 -exec rm -rf {} +
find "$root" -xdev -name '*.opt-[12].pyc' -delete
chmod 755 "$root"                                # mktemp's 0700 would lock out all but root
chroot "$root" python3 -c 'import bz2, ctypes, lzma, sqlite3, ssl, venv, zlib'
tar -C "$root" --numeric-owner -c . | docker import --change 'CMD ["bash"]' \
    --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    - "$image" >/dev/null
docker image inspect --format "made $image, {{.Size}} bytes" "$image" >&2
