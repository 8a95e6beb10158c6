#!/bin/bash
# Installs the sandbox: Debian packages for its infrastructure (root), PyPI packages for OpenStack in a venv. Once; again: at once.
set -euo pipefail
. "$(dirname "$0")/env.sh"
export DEBIAN_FRONTEND=noninteractive PIP_DISABLE_PIP_VERSION_CHECK=1
need=()
for package in rabbitmq-server mariadb-server memcached python3-venv curl iproute2 procps; do
  dpkg -s "$package" > /dev/null 2>&1 || need+=("$package")
done
if [ ${#need[@]} -gt 0 ]; then
  apt-get update -q
  apt-get install -yq --no-install-recommends "${need[@]}"
fi
wanted=$(cat "$HERE"/requirements-server.txt "$HERE"/upper-constraints-2025.1.txt "$HERE"/services/sandbox_ml2.py "$0" | sha256sum)
if [ "$(cat "$VENV/.installed" 2>/dev/null)" = "$wanted" ]; then
  echo "installed already"
  exit
fi
mkdir -p "$STATE"
[ -x "$VENV/bin/python" ] || /usr/bin/python3 -m venv "$VENV"
"$VENV/bin/pip" install -q -c "$HERE/upper-constraints-2025.1.txt" -r "$HERE/requirements-server.txt"
packages=$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
# neutron finds a mechanism driver by its entry point only.
cp "$HERE/services/sandbox_ml2.py" "$packages/"
about=$packages/sandbox_ml2-0.1.dist-info
mkdir -p "$about"
printf 'Metadata-Version: 2.1\nName: sandbox-ml2\nVersion: 0.1\n' > "$about/METADATA"
printf '[neutron.ml2.mechanism_drivers]\nsandbox = sandbox_ml2:AgentlessDriver\n' > "$about/entry_points.txt"
printf 'sandbox_ml2.py,,\n' > "$about/RECORD"
# nova loads virt drivers from its own package only; up.sh puts services/ on the path of nova-compute.
echo 'from booting import BootingDriver' > "$packages/nova/virt/booting.py"
# oslo.messaging 16.1 looks for each RPC reply every 0.5 s (lp-2035113), so each call costs that; look more often.
sed -i 's/^\( *\)time\.sleep(0\.5)$/\1time.sleep(0.01)/' "$packages/oslo_messaging/_drivers/amqpdriver.py"
echo "$wanted" > "$VENV/.installed"
echo "installed in $SECONDS s"
