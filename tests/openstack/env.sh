# shellcheck shell=bash disable=SC2034  # Settings that the other scripts share; sourced, not run.
HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
STATE="${OPENSTACK_SANDBOX_STATE:-${XDG_CACHE_HOME:-$HOME/.cache}/openstack-sandbox}" # everything written goes here
VENV=$STATE/venv DATA=$STATE/data CONF=$STATE/conf LOGS=$STATE/logs RUN=$STATE/run
SOCK=$RUN/mysql.sock
P_KEYSTONE=25000 P_PLACEMENT=28778 P_GLANCE=29292 P_NOVA=28774 P_NEUTRON=29696 P_BLAZAR=21234
P_RABBIT=25673 P_DIST=25674 P_EPMD=24369 P_MEMCACHED=21211
PASS=sandbox # of all users; the services listen on loopback only
REGION1='CHI@UC' REGION2='KVM@TACC'
# The nodes named uc-* are Blazar's: only leased servers land there. The others take every server.
COMPUTES="${COMPUTES:-uc-node-1 uc-node-2 tacc-kvm-1 tacc-kvm-2}"
COMPUTE_DRIVER="${COMPUTE_DRIVER:-booting.BootingDriver}" # nova's own fake: fake.FakeDriverWithoutFakeNodes
SANDBOX_BOOT_S="${SANDBOX_BOOT_S:-1}"                     # from power-on to the start of user data
SANDBOX_GRACE_S="${SANDBOX_GRACE_S:-5}"                   # from SIGTERM to SIGKILL at a clean power-off
SANDBOX_ROOT="${SANDBOX_ROOT:-auto}"                      # overlay: a root and pids of its own; host: the host's
SANDBOX_NETWORK="${SANDBOX_NETWORK:-auto}"                # netns: its own address on the bridge; host: the host's network
BRIDGE=sbx0 GATEWAY=10.140.0.1
MACHINE=$HERE/services/machine.sh
db() { echo "mysql+pymysql://root@localhost/$1?unix_socket=$SOCK&charset=utf8"; }
# A process is named by its pid and the time it began, so that a reused pid is never taken for it.
start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '{print $20}'; }
alive() { # alive NAME
  local pid='' began=''
  [ -f "$RUN/$1.pid" ] && read -r pid began < "$RUN/$1.pid" && [ -n "$pid" ] && [ "$(start_time "$pid")" = "$began" ]
}
start() { # start NAME COMMAND...
  local name=$1 pid
  shift
  alive "$name" && return 0
  setsid nohup "$@" >> "$LOGS/$name.log" 2>&1 < /dev/null 9>&- & # 9: the lock of up.sh
  pid=$!
  for _ in 1 2 3 4 5; do [ -n "$(start_time "$pid")" ] && break; sleep 0.02; done
  echo "$pid $(start_time "$pid")" > "$RUN/$name.pid"
}
stop() { # stop NAME [SIGNAL]
  local name=$1 pid='' began='' n
  [ -f "$RUN/$name.pid" ] || return 0
  read -r pid began < "$RUN/$name.pid"
  if alive "$name"; then
    # A session of its own (setsid): the group is only ours.
    kill "-${2:-TERM}" -- "-$pid" 2>/dev/null || kill "-${2:-TERM}" "$pid" 2>/dev/null
    for ((n = 0; n < 100; n++)); do alive "$name" || break; sleep 0.1; done
    if alive "$name"; then echo "$name: killed"; kill -KILL -- "-$pid"; fi
  fi
  rm -f "$RUN/$name.pid"
}
