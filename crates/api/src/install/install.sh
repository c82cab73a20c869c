#!/bin/sh
# Makes this machine a node of Berth's: installs Docker where there is none, then Berth's agent from the Berth that has
# served this script, and starts it.
#
#   curl -fsSL @HOST@/agent/install.sh | sudo sh -s TOKEN
#
# Without a token the one counts that stands in /etc/dockercloud/agent/dockercloud-agent.conf already.
# BERTH_PREFIX=/opt puts the agent into /opt/bin instead of /usr/local/bin.
set -eu

host='@HOST@'

die() {
    echo "berth: $*" >&2
    exit 1
}

install_docker() {
    if command -v dockerd >/dev/null 2>&1; then
        return
    fi
    echo "berth: installing Docker"
    if command -v apt-get >/dev/null 2>&1; then
        apt-get update -q
        DEBIAN_FRONTEND=noninteractive apt-get install -q -y docker.io
    elif command -v dnf >/dev/null 2>&1; then
        dnf install -q -y docker || dnf install -q -y moby-engine
    elif command -v yum >/dev/null 2>&1; then
        yum install -q -y docker
    else
        die "there is no Docker, and no apt-get, dnf or yum to install it with; install it, and run this again"
    fi
    if command -v systemctl >/dev/null 2>&1; then
        systemctl enable --now docker
    fi
}

main() {
    [ "$(uname -s)" = Linux ] || die "$(uname -s) is not supported; the agent runs on Linux"
    [ "$(id -u)" = 0 ] || die "this must be run as root, as with sudo"
    for program in curl sha256sum install; do
        command -v "$program" >/dev/null 2>&1 || die "$program is missing; install it, and run this again"
    done
    case "$(uname -m)" in
        x86_64 | amd64) architecture=amd64 checksum='@SHA256_AMD64@' ;;
        aarch64 | arm64) architecture=arm64 checksum='@SHA256_ARM64@' ;;
        *) die "there is no agent for $(uname -m); there are those for x86_64 and aarch64" ;;
    esac
    program="berth-agent-linux-$architecture"
    [ -n "$checksum" ] || die "$host has no $program; its operator builds it as docs/AGENT.md says"

    install_docker

    folder="${BERTH_PREFIX:-/usr/local}/bin"
    fetched="$(mktemp)"
    trap 'rm -f "$fetched"' EXIT
    curl -fsSL --retry 3 "$host/agent/$program" -o "$fetched"
    echo "$checksum  $fetched" | sha256sum -c - >/dev/null 2>&1 ||
        die "$host/agent/$program has another checksum than this script expects; it was replaced in between, so run this again"
    install -D -m 0755 "$fetched" "$folder/berth-agent"

    if [ $# -gt 0 ]; then
        "$folder/berth-agent" install --host "$host" --token "$1"
    else
        "$folder/berth-agent" install --host "$host"
    fi
}

# Nothing is done before all of the script has come.
main "$@"
