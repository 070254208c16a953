#!/usr/bin/env bash
# Carries the images to a host without a registry.
# Usage: scripts/bundle.sh save FILE.tar.gz    every image of compose.yaml, and their base
#        scripts/bundle.sh load FILE.tar.gz
set -euo pipefail

if [ $# != 2 ]; then
    sed -n '2,4s/^# //p' "$0" >&2
    exit 2
fi
file=$(realpath -m -- "$2")
cd "$(dirname "$0")/.."
case $1 in
    save)
        resolved=$(docker compose --profile '*' config)
        mapfile -t images < <(sed -n 's/^ *image: //p; s/^ *BASE: //p' <<<"$resolved" | sort -u)
        for image in "${images[@]}"; do
            # A build pulls its base without storing it as an image.
            if ! docker image inspect "$image" >/dev/null 2>&1 &&
                    ! docker pull --quiet "$image" >/dev/null 2>&1; then
                echo "error: $image is not here; run docker compose --profile '*' build first" >&2
                exit 2
            fi
        done
        for i in "${!images[@]}"; do           # by its digest alone an image would have no name
            if [[ ${images[i]} = *@* ]]; then
                docker tag "${images[i]}" "${images[i]%@*}"
                images[i]=${images[i]%@*}
            fi
        done
        trap 'rm -f "$file.partial"' EXIT
        docker save "${images[@]}" | gzip > "$file.partial"
        mv "$file.partial" "$file"
        echo "saved ${images[*]} to $file, $(du -h "$file" | cut -f 1)" ;;
    load)
        gzip -dc "$file" | docker load ;;
    *) echo "error: '$1': must be save or load" >&2; exit 2 ;;
esac
