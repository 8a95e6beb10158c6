#!/bin/bash
# Starts the sandbox (idempotent); prints "ready" when every API answers and nova's services are heard. With other settings than
# those it runs with, it is stopped and started.
set -euo pipefail
. "$(dirname "$0")/env.sh"
el() { printf '[%3d s] %s\n' $SECONDS "$*"; }
wait_for() { # wait_for NAME SECONDS COMMAND...
  local name=$1 end=$((SECONDS + $2))
  shift 2
  until "$@" > /dev/null 2>&1; do
    if [ $SECONDS -ge $end ]; then
      echo "FAILED: $name is not up; see $LOGS/$name.log"
      tail -15 "$LOGS/$name.log"
      exit 1
    fi
    sleep 0.2
  done
}
http() { curl -s -o /dev/null --noproxy '*' --max-time 10 "http://127.0.0.1:$1/"; }
port() { (: < "/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
wsgi() { # wsgi NAME PORT MODULE PROCESSES ENVIRONMENT...
  local name=$1 at=$2 module=$3 processes=$4
  shift 4
  start "$name" env "$@" "$VENV/bin/uwsgi" --http-socket "127.0.0.1:$at" --module "$module:application" --callable application --master \
    --processes "$processes" --enable-threads --threads 1 --lazy-apps --need-app --die-on-term --buffer-size 65535 --disable-logging \
    --hook-master-start "unix_signal:15 gracefully_kill_them_all" --procname-prefix "sbx-$name " --listen 100 --add-header "Connection: close"
}
bootstrap() { "$VENV/bin/python" "$HERE/bootstrap.py" "$@"; }
nova_compute() { # nova_compute NAME
  start "nova-compute-$1" env "PYTHONPATH=$HERE/services" PYTHONDONTWRITEBYTECODE=1 "SANDBOX_SERVERS=$DATA/servers" "SANDBOX_MACHINE=$MACHINE" \
    "SANDBOX_MACHINE_ENV=$CONF/machine.env" "SANDBOX_SPAWN_FAULT=$RUN/spawn-fault" "$VENV/bin/nova-compute" --config-file "$CONF/nova/nova.conf" \
    --config-file "$CONF/nova/compute-$1.conf"
}
nova_api() { wsgi nova-api $P_NOVA nova.wsgi.osapi_compute 2 "OS_NOVA_CONFIG_DIR=$CONF/nova"; }

export OPENSTACK_SANDBOX_STATE=$STATE COMPUTES OS_CLIENT_CONFIG_FILE=$STATE/clouds.yaml
# The services ask each other on loopback; a proxy of this machine is not for them.
export no_proxy='*' NO_PROXY='*'
# `up.sh only NAME` starts one service of a sandbox that is up otherwise.
if [ "${1:-}" = only ]; then
  case $2 in
    nova-api) nova_api; wait_for nova-api 60 http $P_NOVA ;;
    nova-compute-*) nova_compute "${2#nova-compute-}" ;;
    *) echo "cannot start $2 alone"; exit 2 ;;
  esac
  exit
fi

[ -f "$VENV/.installed" ] || { echo "FAILED: not installed: run $HERE/install.sh first"; exit 1; }
exec 9> "$STATE/up.lock"
flock 9 # two at once would start everything twice
settings=$(cat "$HERE"/{env,conf,up}.sh "$HERE"/services/*.py "$VENV/.installed" | sha256sum; echo "$COMPUTES $COMPUTE_DRIVER")
if [ "$(cat "$CONF/.made-from" 2>/dev/null)" != "$settings" ]; then
  [ ! -d "$RUN" ] || "$HERE/down.sh" > /dev/null
  "$HERE/conf.sh"
  echo "$settings" > "$CONF/.made-from"
fi
mkdir -p "$DATA/servers" "$LOGS" "$RUN"
chmod 711 "$DATA" "$DATA/servers"
rm -f "$RUN/spawn-fault"

# --- the servers' machines: what is permitted here, unless it was said
permitted=$("$MACHINE" probe "$RUN/probe")
rm -rf "$RUN/probe"
ROOT=${permitted#ROOT=} ROOT=${ROOT% *} NETWORK=${permitted#*NETWORK=}
[ "$SANDBOX_ROOT" = auto ] || ROOT=$SANDBOX_ROOT
[ "$SANDBOX_NETWORK" = auto ] || NETWORK=$SANDBOX_NETWORK
printf '%s=%q\n' ROOT "$ROOT" NETWORK "$NETWORK" BOOT_S "$SANDBOX_BOOT_S" GRACE_S "$SANDBOX_GRACE_S" BRIDGE "$BRIDGE" GATEWAY "$GATEWAY" > "$CONF/machine.env"
if [ "$NETWORK" = netns ] && ! ip link show "$BRIDGE" > /dev/null 2>&1; then
  ip link add "$BRIDGE" type bridge
  ip addr add "$GATEWAY/16" dev "$BRIDGE"
  ip link set "$BRIDGE" up
fi
el "servers will have: root $ROOT, network $NETWORK, $SANDBOX_BOOT_S s to boot"

# --- infrastructure
FIRST=0
[ -f "$DATA/.initialized" ] || FIRST=1
if [ ! -d "$DATA/mysql/mysql" ]; then
  mariadb-install-db --no-defaults --user=root "--datadir=$DATA/mysql" --auth-root-authentication-method=normal --skip-test-db > "$LOGS/mysql-install.log" 2>&1
fi
start mysql mariadbd --no-defaults --user=root "--datadir=$DATA/mysql" "--socket=$SOCK" --skip-networking "--pid-file=$RUN/mariadbd.own.pid" \
  --innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=0 --skip-log-bin --max-connections=600 --innodb-buffer-pool-size=128M --performance-schema=OFF --character-set-server=utf8mb3
start memcached memcached -l 127.0.0.1 -p $P_MEMCACHED -u root -m 64
start epmd env ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT=$P_EPMD epmd -address 127.0.0.1 -port $P_EPMD
wait_for epmd 10 port $P_EPMD
mkdir -p "$DATA/rabbit-home"
start rabbit env "HOME=$DATA/rabbit-home" ERL_CRASH_DUMP=/dev/null ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT=$P_EPMD RABBITMQ_NODENAME=sbx@localhost RABBITMQ_DIST_PORT=$P_DIST \
  "RABBITMQ_BASE=$DATA" "RABBITMQ_MNESIA_BASE=$DATA/rabbit" "RABBITMQ_LOG_BASE=$LOGS" RABBITMQ_LOGS=- "RABBITMQ_CONFIG_FILE=$CONF/rabbit/rabbitmq.conf" \
  "RABBITMQ_ADVANCED_CONFIG_FILE=$CONF/rabbit/advanced.config" "RABBITMQ_ENABLED_PLUGINS_FILE=$CONF/rabbit/enabled_plugins" RABBITMQ_CONF_ENV_FILE=/dev/null \
  "RABBITMQ_PID_FILE=$RUN/rabbit.own.pid" RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 2:2 +sbwt none" /usr/lib/rabbitmq/bin/rabbitmq-server
wait_for mysql 30 mariadb-admin --no-defaults "--socket=$SOCK" -u root ping

# --- first time: schemas
if [ $FIRST = 1 ]; then
  for name in keystone placement glance nova_api nova_cell0 nova_cell1 neutron blazar; do echo "CREATE DATABASE IF NOT EXISTS $name CHARACTER SET utf8mb3;"; done |
    mariadb --no-defaults "--socket=$SOCK" -u root
  (
    set -e
    keystone() { "$VENV/bin/keystone-manage" --config-file "$CONF/keystone/keystone.conf" "$@"; }
    keystone db_sync
    keystone fernet_setup --keystone-user root --keystone-group root
    keystone credential_setup --keystone-user root --keystone-group root
    url=http://127.0.0.1:$P_KEYSTONE/v3
    keystone bootstrap --bootstrap-password $PASS --bootstrap-region-id "$REGION1" --bootstrap-public-url $url --bootstrap-internal-url $url --bootstrap-admin-url $url
    "$VENV/bin/placement-manage" --config-file "$CONF/placement/placement.conf" db sync
    "$VENV/bin/glance-manage" --config-file "$CONF/glance/glance-api.conf" db_sync
    "$VENV/bin/blazar-db-manage" --config-file "$CONF/blazar/blazar.conf" upgrade head
  ) > "$LOGS/dbsync-1.log" 2>&1 &
  syncs=($!)
  (
    set -e
    nova() { "$VENV/bin/nova-manage" --config-file "$CONF/nova/nova.conf" "$@"; }
    nova api_db sync
    nova cell_v2 map_cell0 --database_connection "$(db nova_cell0)"
    [[ $(nova cell_v2 list_cells) == *' cell1 '* ]] || nova cell_v2 create_cell --name=cell1
    nova db sync
  ) > "$LOGS/dbsync-2.log" 2>&1 &
  syncs+=($!)
  "$VENV/bin/neutron-db-manage" --config-file "$CONF/neutron/neutron.conf" upgrade heads > "$LOGS/dbsync-3.log" 2>&1 &
  syncs+=($!)
  for sync in "${syncs[@]}"; do wait "$sync" || { echo "FAILED: database sync; see $LOGS/dbsync-*.log"; exit 1; }; done
  el "schemas made"
fi

# --- services
wsgi keystone $P_KEYSTONE keystone.wsgi.api 2 "OS_KEYSTONE_CONFIG_FILES=$CONF/keystone/keystone.conf"
wsgi placement $P_PLACEMENT placement.wsgi.api 1 "OS_PLACEMENT_CONFIG_DIR=$CONF/placement"
wait_for keystone 60 http $P_KEYSTONE
if [ $FIRST = 1 ]; then bootstrap identity; el "identity seeded"; fi
wait_for rabbit 60 port $P_RABBIT
start nova-conductor "$VENV/bin/nova-conductor" --config-file "$CONF/nova/nova.conf"
start nova-scheduler "$VENV/bin/nova-scheduler" --config-file "$CONF/nova/nova.conf"
wsgi glance $P_GLANCE glance.wsgi.api 1 "OS_GLANCE_CONFIG_DIR=$CONF/glance"
wsgi neutron $P_NEUTRON neutron.wsgi.api 2 "OS_NEUTRON_CONFIG_FILES=$CONF/neutron/neutron.conf" "OS_NEUTRON_CONFIG_DIR=$CONF/neutron"
nova_api
for name in $COMPUTES; do nova_compute "$name"; done
start blazar-manager "$VENV/bin/blazar-manager" --config-file "$CONF/blazar/blazar.conf"
start blazar-api "$VENV/bin/blazar-api" --config-file "$CONF/blazar/blazar.conf"
for service in placement:$P_PLACEMENT glance:$P_GLANCE neutron:$P_NEUTRON nova-api:$P_NOVA blazar-api:$P_BLAZAR; do
  wait_for "${service%%:*}" 90 http "${service#*:}"
done
el "APIs up"
if [ "$(cat "$DATA/.computes" 2>/dev/null)" != "$COMPUTES" ]; then
  bootstrap computes
  "$VENV/bin/nova-manage" --config-file "$CONF/nova/nova.conf" cell_v2 discover_hosts > "$LOGS/discover.log" 2>&1
  bootstrap resources
  echo "$COMPUTES" > "$DATA/.computes"
  touch "$DATA/.initialized"
  el "computes and resources known"
fi
bootstrap fresh
bootstrap health
el "ready: export OS_CLIENT_CONFIG_FILE=$STATE/clouds.yaml; $VENV/bin/openstack --os-cloud uc server list"
