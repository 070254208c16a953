# Sourced by configure.sh: which base image is meant, by docker/bases.lock.

LOCK=docker/bases.lock
ALWAYS=(python:3.7-slim-bookworm python:3.11-slim-bookworm)     # locked if they can be had
MADE=(stackgan-base:3.7 stackgan-base:3.11)                     # if they have been made here

is_here() { docker image inspect "$1" >/dev/null 2>&1; }
id_of() { docker image inspect --format '{{.Id}}' "$1"; }
locked_digest() { awk -v name="$1" '$1 == name { print $2; exit }' "$LOCK" 2>/dev/null; }

# The digests by which an image that is here is known in registries, one a line.
digests_of() {
    docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$1" 2>/dev/null |
        sed -n 's/.*@//p'
}

pull() { timeout 300 docker pull --quiet "$1" >/dev/null 2>&1; }

# get_base NAME: sees to it that the base is here, as the lock has it, and sets BASE, its name for
# builds, and DIGEST. Returns 1 where it cannot be had; ends the script where another is here.
get_base() {
    local name=$1 locked
    locked=$(locked_digest "$name")
    BASE=$name
    if [ -z "$locked" ]; then
        is_here "$name" || pull "$name" || return 1
        DIGEST=$(digests_of "$name" | head -n 1)
        DIGEST=${DIGEST:-$(id_of "$name")}
        echo "no digest of $name in $LOCK; scripts/configure.sh --update-bases writes it" >&2
        return 0
    fi
    DIGEST=$locked
    if is_here "$name" && [ "$(id_of "$name")" = "$locked" ]; then return 0; fi
    if digests_of "$name" | grep -qxF "$locked" || pull "$name@$locked"; then
        BASE=$name@$locked
        return 0
    fi
    is_here "$name" || return 1
    echo "error: base image $name is another one than in $LOCK: $(digests_of "$name" |
        head -n 1 | grep . || id_of "$name"), not $locked; pull that one, or take the one that is" \
        "here by scripts/configure.sh --update-bases $name" >&2
    exit 3
}

# The digest that the registry of an image gives for its name now.
registry_digest() {
    timeout 60 docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$1" 2>/dev/null |
        grep -x 'sha256:[0-9a-f]\{64\}' && return
    pull "$1" && digests_of "$1" | head -n 1 | grep .
}

# update_bases [NAME...]: rewrites the lock: what registries give now, or what is here.
update_bases() {
    local name digest new given=("$@")
    new=$(mktemp "$LOCK.XXXXXX")
    trap 'rm -f "$new"' EXIT
    grep '^#' "$LOCK" > "$new" || true
    if [ $# = 0 ]; then
        mapfile -t given < <(printf '%s\n' "${ALWAYS[@]}"; sed '/^#/d; s/ .*//; /^$/d' "$LOCK"
            for name in "${MADE[@]}"; do if is_here "$name"; then echo "$name"; fi; done)
    else
        awk 'NR == FNR { given[$1]; next } /^[^#]/ && !($1 in given)' \
            <(printf '%s\n' "$@") "$LOCK" >> "$new"
    fi
    while read -r name; do
        if digest=$(registry_digest "$name"); then
            echo "$name: $digest, by its registry" >&2
        elif is_here "$name"; then
            digest=$(digests_of "$name" | head -n 1)
            digest=${digest:-$(id_of "$name")}
            echo "$name: $digest, of the image that is here" >&2
        else
            digest=$(locked_digest "$name")
            echo "$name: cannot be pulled; ${digest:-not locked}" >&2
        fi
        if [ -n "$digest" ]; then echo "$name $digest" >> "$new"; fi
    done < <(printf '%s\n' "${given[@]}" | sort -u)
    chmod 644 "$new"
    mv "$new" "$LOCK"
    trap - EXIT
}
