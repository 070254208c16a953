#!/usr/bin/env bash
# Carries the images to a host without a registry.
# Usage: scripts/bundle.sh save FILE.tar.gz    every image of compose.yaml, and their base
#        scripts/bundle.sh load FILE.tar.gz
set -euo pipefail
cd "$(dirname "$0")/.."

if [ $# != 2 ]; then
    sed -n '2,4s/^# //p' "$0" >&2
    exit 2
fi
case $1 in
    save)
        mapfile -t images < <(docker compose --profile '*' config --images | sort -u)
        for image in "${images[@]}"; do
            if ! docker image inspect "$image" >/dev/null 2>&1; then
                echo "error: $image is not built; run docker compose build first" >&2
                exit 2
            fi
        done
        docker save "${images[@]}" | gzip > "$2.partial"
        mv "$2.partial" "$2"
        echo "saved ${images[*]} to $2, $(du -h "$2" | cut -f 1)" ;;
    load)
        gzip -dc "$2" | docker load ;;
    *) echo "error: '$1': must be save or load" >&2; exit 2 ;;
esac
