#!/bin/bash
# Writes the configuration of every service under $CONF, clouds.yaml, and the settings of the servers (machine.env).
# shellcheck disable=SC2153,SC2154  # env.sh sets them
set -euo pipefail
. "$(dirname "$0")/env.sh"
rm -rf "$CONF"
mkdir -p "$CONF"/{keystone,placement,glance,nova,neutron,blazar,rabbit} "$DATA"/{fernet,credential,glance,neutron,nova-locks,servers}
RABBIT=rabbit://guest:guest@127.0.0.1:$P_RABBIT/
authtoken() { cat <<X
[keystone_authtoken]
www_authenticate_uri = http://127.0.0.1:$P_KEYSTONE/v3
auth_url = http://127.0.0.1:$P_KEYSTONE/v3
memcached_servers = 127.0.0.1:$P_MEMCACHED
auth_type = password
region_name = $REGION1
project_domain_name = Default
user_domain_name = Default
project_name = service
username = $1
password = $PASS
service_token_roles = service
service_token_roles_required = true
X
}
client() { cat <<X
[$1]
auth_type = password
auth_url = http://127.0.0.1:$P_KEYSTONE/v3
region_name = $REGION1
project_domain_name = Default
user_domain_name = Default
project_name = service
username = $2
password = $PASS
X
}
common() { cat <<X
[database]
connection = $(db "$1")
max_pool_size = 10
max_overflow = 20
[oslo_messaging_notifications]
driver = noop
X
}
cat > "$CONF/keystone/keystone.conf" <<X
[DEFAULT]
transport_url = fake://
$(common keystone)
[fernet_tokens]
key_repository = $DATA/fernet
[credential]
key_repository = $DATA/credential
[token]
expiration = 86400
[cache]
enabled = true
backend = dogpile.cache.pymemcache
memcache_servers = 127.0.0.1:$P_MEMCACHED
X
cat > "$CONF/placement/placement.conf" <<X
[DEFAULT]
[placement_database]
connection = $(db placement)
[api]
auth_strategy = keystone
$(authtoken placement)
X
cp "$VENV/etc/glance/glance-api-paste.ini" "$CONF/glance/"
cat > "$CONF/glance/glance-api.conf" <<X
[DEFAULT]
enabled_backends = fs:file
transport_url = fake://
$(common glance)
[glance_store]
default_backend = fs
[fs]
filesystem_store_datadir = $DATA/glance/images
[os_glance_tasks_store]
filesystem_store_datadir = $DATA/glance/tasks
[os_glance_staging_store]
filesystem_store_datadir = $DATA/glance/staging
[oslo_concurrency]
lock_path = $DATA/glance
[paste_deploy]
flavor = keystone
$(authtoken glance)
X
cp "$VENV/etc/nova/api-paste.ini" "$CONF/nova/"
cat > "$CONF/nova/nova.conf" <<X
[DEFAULT]
transport_url = $RABBIT
my_ip = 127.0.0.1
state_path = $DATA/nova
compute_driver = $COMPUTE_DRIVER
osapi_compute_listen = 127.0.0.1
osapi_compute_workers = 2
vif_plugging_is_fatal = false
vif_plugging_timeout = 0
reserved_host_memory_mb = 0
use_cow_images = false
force_raw_images = false
max_concurrent_builds = 50
graceful_shutdown_timeout = 3
report_interval = 2
service_down_time = 30
sync_power_state_interval = -1
[database]
connection = $(db nova_cell1)
max_pool_size = 10
[api_database]
connection = $(db nova_api)
max_pool_size = 10
[oslo_messaging_notifications]
driver = noop
[notifications]
notification_format = unversioned
[oslo_concurrency]
lock_path = $DATA/nova-locks
[api]
auth_strategy = keystone
[conductor]
workers = 1
[scheduler]
workers = 1
discover_hosts_in_cells_interval = -1
[filter_scheduler]
available_filters = nova.scheduler.filters.all_filters
available_filters = blazarnova.scheduler.filters.blazar_filter.BlazarFilter
enabled_filters = ComputeFilter,ComputeCapabilitiesFilter,ImagePropertiesFilter,ServerGroupAntiAffinityFilter,ServerGroupAffinityFilter,AggregateInstanceExtraSpecsFilter,BlazarFilter
[glance]
api_servers = http://127.0.0.1:$P_GLANCE
[vnc]
enabled = false
[cache]
enabled = true
backend = dogpile.cache.pymemcache
memcache_servers = 127.0.0.1:$P_MEMCACHED
$(client neutron neutron)
$(client placement nova)
$(client service_user nova | sed 's/^\[service_user\]/[service_user]\nsend_service_user_token = true/')
$(authtoken nova)
X
for c in $COMPUTES; do
  mkdir -p "$DATA/compute-$c"
  printf '[DEFAULT]\nhost = %s\nstate_path = %s\n' "$c" "$DATA/compute-$c" > "$CONF/nova/compute-$c.conf"
done
cp "$VENV/etc/neutron/api-paste.ini" "$CONF/neutron/"
cat > "$CONF/neutron/neutron.conf" <<X
[DEFAULT]
bind_host = 127.0.0.1
bind_port = $P_NEUTRON
core_plugin = ml2
service_plugins = sandbox_ml2.L3
transport_url = fake://
state_path = $DATA/neutron
api_paste_config = $CONF/neutron/api-paste.ini
auth_strategy = keystone
notify_nova_on_port_status_changes = true
notify_nova_on_port_data_changes = true
dhcp_agent_notification = false
rpc_workers = 0
max_allowed_address_pair = 10
$(common neutron)
[quotas]
quota_port = -1
[oslo_concurrency]
lock_path = $DATA/neutron
[ml2]
type_drivers = flat,local,vxlan
tenant_network_types = vxlan
mechanism_drivers = sandbox
extension_drivers = port_security
[ml2_type_flat]
flat_networks = public
[ml2_type_vxlan]
vni_ranges = 1:5000
$(client nova nova)
$(client placement neutron)
$(authtoken neutron)
X
cat > "$CONF/blazar/blazar.conf" <<X
[DEFAULT]
host = 127.0.0.1
port = $P_BLAZAR
transport_url = $RABBIT
os_auth_host = 127.0.0.1
os_auth_port = $P_KEYSTONE
os_auth_protocol = http
os_auth_version = v3
os_admin_username = blazar
os_admin_password = $PASS
os_admin_project_name = service
os_region_name = $REGION1
identity_service = identity
[manager]
plugins = physical.host.plugin,virtual.instance.plugin,flavor.instance.plugin
[physical:host]
aggregate_freepool_name = freepool
enable_notification_monitor = false
[enforcement]
enabled_filters =
$(common blazar)
$(authtoken blazar)
X
cat > "$CONF/rabbit/rabbitmq.conf" <<X
listeners.tcp.1 = 127.0.0.1:$P_RABBIT
log.console.level = warning
vm_memory_high_watermark.relative = 0.3
X
cat > "$CONF/rabbit/advanced.config" <<X
[{kernel, [{inet_dist_use_interface, {127,0,0,1}}, {inet_dist_listen_min, $P_DIST}, {inet_dist_listen_max, $P_DIST}]}].
X
echo '[].' > "$CONF/rabbit/enabled_plugins"
touch "$STATE/clouds.yaml"
chmod 600 "$STATE/clouds.yaml"
cloud() { # cloud NAME REGION USER
  cat <<X
  $1:
    auth: {auth_url: "http://127.0.0.1:$P_KEYSTONE/v3", username: $3, password: $PASS, project_name: $3, user_domain_name: Default, project_domain_name: Default}
    region_name: "$2"
    identity_api_version: 3
X
}
{
  echo clouds:
  cloud uc "$REGION1" demo
  cloud tacc "$REGION2" demo
  cloud uc-admin "$REGION1" admin
  cloud tacc-admin "$REGION2" admin
} > "$STATE/clouds.yaml"
