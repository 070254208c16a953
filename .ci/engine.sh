#!/usr/bin/env bash
# A Docker engine of CI's own: its data, socket and processes end with `stop`.
# Usage: .ci/engine.sh start FOLDER    installs what is missing and starts it; prints DOCKER_HOST
#        .ci/engine.sh stop FOLDER
# Exit code 3 where an engine cannot run.
set -euo pipefail
. "$(dirname "$0")/../scripts/debian.sh"

install_missing() {
    local missing=()
    command -v dockerd >/dev/null || missing+=(docker.io)
    command -v iptables >/dev/null || missing+=(iptables)
    command -v debootstrap >/dev/null || missing+=(debootstrap)
    if [ ${#missing[@]} -gt 0 ]; then
        apt-get update -qq || true
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y "${missing[@]}" || return 1
    fi
    docker compose version >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1 ||
        install_plugins
}

# Compose v2 and buildx are static programs of Debian 13 that run on Debian 12 as well.
install_plugins() {
    local lists options mirror keyring
    mirror=$(debian_mirror) && keyring=$(debian_keyring) || return
    lists=$folder/apt
    mkdir -p "$lists/lists/partial" "$lists/cache"
    echo "deb [signed-by=$keyring] $mirror trixie main" > "$lists/sources.list"
    options=(-o "Dir::Etc::SourceList=$lists/sources.list" -o Dir::Etc::SourceParts=/dev/null
             -o "Dir::State::Lists=$lists/lists" -o "Dir::Cache=$lists/cache")
    (cd "$lists" && apt-get -qq "${options[@]}" update &&
        apt-get -qq "${options[@]}" download docker-compose docker-buildx &&
        dpkg -i docker-compose_*.deb docker-buildx_*.deb)
}

start() {
    install_missing >"$folder/install.log" 2>&1 || {
        echo "engine: cannot be installed: $(tail -n 1 "$folder/install.log")" >&2; exit 3; }
    setsid dockerd --data-root "$folder/data" --exec-root "$folder/exec" \
        --pidfile "$folder/pid" --host "unix://$folder/socket" >"$folder/dockerd.log" 2>&1 &
    local tries
    for tries in $(seq 60); do
        if docker --host "unix://$folder/socket" info >/dev/null 2>&1; then
            echo "unix://$folder/socket"
            return 0
        fi
        sleep 0.5
    done
    echo "engine: does not start: $(tail -n 3 "$folder/dockerd.log")" >&2
    stop
    exit 3
}

stop() {
    if [ -s "$folder/pid" ]; then
        local process
        process=$(cat "$folder/pid")
        kill "$process" 2>/dev/null || true
        while kill -0 "$process" 2>/dev/null; do sleep 0.2; done
    fi
}

folder=$2
mkdir -p "$folder"
case $1 in
    start) start ;;
    stop) stop ;;
    *) echo "usage: $0 start|stop FOLDER" >&2; exit 2 ;;
esac
