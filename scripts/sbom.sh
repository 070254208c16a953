#!/usr/bin/env bash
# Writes what is in the images: for each an SBOM (CycloneDX), the licences of its Python packages and
# the packages of Debian.
# Usage: scripts/sbom.sh FOLDER [IMAGE | PYTHON]...
# Without IMAGE: those of compose.yaml. PYTHON is the interpreter of an environment outside images:
# scripts/sbom.sh data/sbom .venv-tf2-3.13/bin/python
# Makes FOLDER/NAME.cdx.json, NAME.licences.csv and, of images, NAME.debian.txt. Needs a package index
# once, for cyclonedx-bom and pip-licenses; nothing is installed into the images.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

if [ $# = 0 ]; then sed -n '4,7s/^# //p' "$0" >&2; exit 2; fi
folder=$1
shift
version=$(first_version 3.13 3.12 3.11 3.10) || {
    echo "error: the tools for SBOMs need a Python 3.10 to 3.13, on PATH or in pyenv" >&2; exit 3; }
make_environment tools "$version" tools || exit
tools=$PWD/.venv-tools-$version/bin

work=$(mktemp -d)
container=
clean() {
    if [ -n "$container" ]; then docker rm "$container" >/dev/null 2>&1 || true; fi
    rm -rf "$work"
}
trap clean EXIT

# describe NAME PYTHON: the two lists of what that interpreter finds.
describe() {
    "$tools/cyclonedx-py" environment --output-reproducible --of JSON -o "$work/sbom" "$2"
    "$tools/pip-licenses" --python "$2" --with-system --with-urls --format csv \
        --output-file "$work/licences" >/dev/null
    mv "$work/sbom" "$folder/$1.cdx.json"
    mv "$work/licences" "$folder/$1.licences.csv"
    echo "$folder/$1.cdx.json and $1.licences.csv: $(($(wc -l < "$folder/$1.licences.csv") - 1)) packages"
}

# describe_image IMAGE: what its packages say of themselves is copied out, and read there by an
# interpreter of this machine.
describe_image() {
    local image=$1 name root
    name=$(sed 's|[/:@]|-|g' <<<"$image")
    root=$work/$name
    mkdir "$root"
    if ! container=$(docker create "$image" 2>/dev/null); then
        echo "error: no image $image here, or no Docker engine answers; docker compose build makes it" >&2
        exit 3
    fi
    for part in /opt/venv/lib /opt/convert; do
        mkdir -p "$root${part%/*}"
        docker cp "$container:$part" - 2>/dev/null | tar -C "$root${part%/*}" -x --wildcards \
            '*.dist-info/*' '*.egg-info*' 2>/dev/null || true             # not every image has both
    done
    docker cp -q "$container:/var/lib/dpkg/status" "$root/status" 2>/dev/null || true
    docker rm "$container" >/dev/null
    container=
    cat > "$root/python" <<PYTHON
#!/bin/sh
PYTHONPATH=$(printf '%s:' "$root"/opt/venv/lib/python3.*/site-packages "$root/opt/convert") \
exec "$tools/python" -S "\$@"
PYTHON
    chmod +x "$root/python"
    describe "$name" "$root/python"
    if [ -f "$root/status" ]; then
        awk '/^Package: /{name = $2} /^Version: /{print name, $2}' "$root/status" | sort \
            > "$folder/$name.debian.txt"
    fi
    rm -rf "$root"
}

mkdir -p "$folder"
if [ $# = 0 ]; then
    mapfile -t images < <(docker compose --profile '*' config --images 2>/dev/null | sort -u)
    if [ ${#images[@]} = 0 ]; then
        echo "error: docker compose names no images; name them, or the Python of an environment" >&2
        exit 3
    fi
    set -- "${images[@]}"
fi
for each in "$@"; do
    if [ -x "$each" ]; then
        describe "$(basename "$(dirname "$(dirname "$(realpath -s "$each")")")" | sed 's/^\.//')" "$each"
    else
        describe_image "$each"
    fi
done
