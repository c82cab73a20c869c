# Upgrades the Docker packages that are installed, by the system's package manager.
set -eu

names='docker-ce docker-ce-cli docker-ce-rootless-extras containerd.io docker-buildx-plugin docker-compose-plugin
docker.io docker moby-engine moby-cli containerd runc'
installed=''

if command -v apt-get >/dev/null; then
  for name in $names; do
    if [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ]; then
      installed="$installed $name"
    fi
  done
  if [ -n "$installed" ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q -o DPkg::Lock::Timeout=600 update
    exec apt-get -q -y -o DPkg::Lock::Timeout=600 -o Dpkg::Options::=--force-confdef \
      -o Dpkg::Options::=--force-confold install --only-upgrade $installed
  fi
elif command -v rpm >/dev/null; then
  for name in $names; do
    if rpm -q "$name" >/dev/null 2>&1; then
      installed="$installed $name"
    fi
  done
  for manager in dnf yum; do
    if [ -n "$installed" ] && command -v "$manager" >/dev/null; then
      # Neither of them restarts a service.
      "$manager" -y upgrade $installed
      exec systemctl try-restart docker
    fi
  done
fi

echo 'Docker was not installed by apt-get, dnf or yum: set UpgradeCommand to the command that upgrades it' >&2
exit 1
