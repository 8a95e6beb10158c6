#!/bin/bash
# shellcheck disable=SC2153  # ROOT, NETWORK and others come from MACHINE_ENV
# One server, from power-on to power-off. The nova driver (booting.py) calls
#   machine.sh on FOLDER      run it: boot delay, network, then `boot` in the server's own namespaces; returns when it is off
#   machine.sh kill FOLDER    pull the plug; returns when none of its processes is left
#   machine.sh probe FOLDER   what this machine permits: prints ROOT=overlay|host NETWORK=netns|host
# FOLDER/server.env has INSTANCE_ID, SERVER_NAME, MACHINE_ENV; FOLDER/nics a line "MAC ADDRESS/PREFIX" for each port;
# FOLDER/boot.d the parts of the user data; FOLDER/power is a fifo: a word written to it switches the machine off.
set -u
# shellcheck disable=SC2153  # ROOT, NETWORK, ... come from MACHINE_ENV
me=$(readlink -f "$0")
do=$1
export SERVER_ROOT=$2
# shellcheck source=/dev/null disable=SC2153
load() { . "$SERVER_ROOT/server.env" && . "$MACHINE_ENV"; netns=sbx-${INSTANCE_ID:0:8}; tap=sx${INSTANCE_ID:0:8}n; }
say() { printf '[machine] %s\n' "$*"; }
start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '{print $20}'; }
marked() { grep -lszxF "INSTANCE_ID=$INSTANCE_ID" /proc/[0-9]*/environ | tr -dc '0-9\n'; }

network_up() {
  local n=0 mac address
  ip netns del "$netns" 2>/dev/null
  ip netns add "$netns" && ip -netns "$netns" link set lo up || return 1
  while read -r mac address; do
    ip link add "$tap$n" type veth peer name "eth$n" address "$mac" netns "$netns" &&
      ip link set "$tap$n" master "$BRIDGE" up &&
      ip -netns "$netns" addr add "$address" dev "eth$n" &&
      ip -netns "$netns" link set "eth$n" up || return 1
    [ $n -gt 0 ] || ip -netns "$netns" route add default via "$GATEWAY" dev eth0 onlink || return 1
    case $address in 10.140.*) ;; *) ip route replace "${address%/*}" dev "$BRIDGE" ;; esac
    n=$((n + 1))
  done < "$SERVER_ROOT/nics"
}

# The machine's own root: what the host has, with all writes kept in FOLDER/disk (as a disk: it outlives a power-off).
own_root() {
  local new=$SERVER_ROOT/mnt n=0 at kind
  mkdir -p "$new" "$SERVER_ROOT/disk"
  layer() { # layer MOUNT-POINT
    mkdir -p "$SERVER_ROOT/disk/$n.upper" "$SERVER_ROOT/disk/$n.work" &&
      mount -t overlay overlay -o "lowerdir=$1,upperdir=$SERVER_ROOT/disk/$n.upper,workdir=$SERVER_ROOT/disk/$n.work" "$new$1"
    local done=$?
    n=$((n + 1))
    return $done
  }
  if ! layer / 2>/dev/null; then
    # The folder's file system cannot carry an overlay (itself one, or without attributes): keep the writes in memory.
    mount -t tmpfs -o mode=0755 tmpfs "$SERVER_ROOT/disk" && n=0 && layer / || return 1
  fi
  while read -r _ _ _ _ at _ rest; do
    kind=${rest##*- }; kind=${kind%% *}
    case $at:$kind in
      /:* | /proc* | /sys* | /dev* | /run* | "$SERVER_ROOT"*) ;;
      *:ext?|*:xfs|*:btrfs|*:tmpfs|*:overlay) [ ! -d "$at" ] || layer "$at" || return 1 ;;
    esac
  done < /proc/self/mountinfo
  mount --rbind /dev "$new/dev" && mount --rbind /sys "$new/sys" && mount -t proc proc "$new/proc" &&
    mount -t tmpfs -o mode=0755 tmpfs "$new/run" && mkdir -p "$new/run/lock" &&
    mount --rbind "$SERVER_ROOT" "$new$SERVER_ROOT" && cd "$new" && pivot_root . . && umount -l . && cd /
}

own_identity() {
  hostname "$SERVER_NAME"
  echo "$SERVER_NAME" > /etc/hostname
  tr -d - <<< "$INSTANCE_ID" > /etc/machine-id
  {
    printf '127.0.0.1 localhost\n'
    while read -r _ address; do printf '%s %s\n' "${address%/*}" "$SERVER_NAME"; done < "$SERVER_ROOT/nics"
  } > /etc/hosts
  local name
  for name in poweroff shutdown halt; do rm -f "/usr/sbin/$name" && cp "$SERVER_ROOT/bin/poweroff" "/usr/sbin/$name"; done
}

# Whether a process of the server, other than this one, is left.
busy() {
  if [ "$ROOT" = overlay ]; then
    set -- /proc/[0-9]*
    [ $# -gt 1 ]
  else
    [ -n "$(marked)" ]
  fi
}
signal() { # signal NAME: to every process of the server but this one
  if [ "$ROOT" = overlay ]; then kill "-$1" -1; else marked | xargs -r kill "-$1"; fi 2>/dev/null
}

boot() {
  load
  local home=$SERVER_ROOT/home tmp=$SERVER_ROOT/tmp from=$SERVER_ROOT/home files=$SERVER_ROOT pause=1 until
  if [ "$ROOT" = overlay ]; then
    own_root || { say "no own root"; exit 1; }
    own_identity
    home=/root tmp=/tmp from=/ files='' pause=0.5
  fi
  mkdir -p "$home" "$tmp"
  cd "$from" || exit 1
  say "$SERVER_NAME runs its user data"
  # shellcheck disable=SC2016  # expanded by the inner shell
  env -i PATH="$SERVER_ROOT/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" LANG=C.UTF-8 HOME="$home" TMPDIR="$tmp" USER=root \
    SHELL=/bin/bash HOSTNAME="$SERVER_NAME" INSTANCE_ID="$INSTANCE_ID" SERVER_ROOT="$SERVER_ROOT" SERVER_ADDRESS="${ADDRESS:-}" GATEWAY="$GATEWAY" FILES_ROOT="$files" \
    setsid /bin/sh -c 'for part in "$0"/*; do "$part" || echo "[machine] ${part##*/} left with $?"; done' "$SERVER_ROOT/boot.d" 3>&- &
  while busy; do read -rt $pause -u 3 _ && { say "power off"; break; }; done
  signal TERM
  until=$((SECONDS + GRACE_S))
  while busy && [ $SECONDS -lt $until ]; do read -rt 0.1 -u 3 _; done
  signal KILL
}

on() {
  load
  local enter=()
  exec 3<> "$SERVER_ROOT/power"
  say "powered on"
  if read -rt "$BOOT_S" -u 3 _; then say "off before it booted"; return; fi
  if [ "$NETWORK" = netns ]; then
    if network_up; then enter=(nsenter "--net=/run/netns/$netns"); else say "no own network: it is in the host's"; fi
  fi
  [ "$ROOT" = overlay ] && enter+=(unshare --pid --fork --kill-child --mount --uts --ipc)
  "${enter[@]}" "$me" boot "$SERVER_ROOT"
  ip netns del "$netns" 2>/dev/null
  say "off"
}

plug_pulled() {
  load
  local pid='' began='' left
  [ ! -f "$SERVER_ROOT/pid" ] || read -r pid began < "$SERVER_ROOT/pid"
  [ -n "$pid" ] && [ "$(start_time "$pid")" = "$began" ] && kill -KILL -- "-$pid" 2>/dev/null
  for _ in {1..200}; do
    left=$(marked)
    [ -n "$left" ] || break
    # shellcheck disable=SC2086  # a list of numbers
    kill -KILL $left 2>/dev/null
    sleep 0.02
  done
  ip netns del "$netns" 2>/dev/null
  return 0
}

probe() {
  local root=host network=host
  mkdir -p "$SERVER_ROOT"
  # shellcheck disable=SC2016
  if unshare --pid --fork --kill-child --mount --uts --ipc "$me" probe-root "$SERVER_ROOT" 2>/dev/null; then root=overlay; fi
  if ip netns add sbx-probe 2>/dev/null; then
    if ip link add sbx-probe-a type veth peer name sbx-probe-b netns sbx-probe 2>/dev/null &&
      ip link add sbx-probe-br type bridge 2>/dev/null && nsenter --net=/run/netns/sbx-probe true 2>/dev/null; then network=netns; fi
    for left in sbx-probe-a sbx-probe-br; do ip link del "$left" 2>/dev/null; done
    ip netns del sbx-probe
  fi
  echo "ROOT=$root NETWORK=$network"
}

case $do in
  on) on ;;
  boot) boot ;;
  kill) plug_pulled ;;
  probe) probe ;;
  probe-root) own_root && hostname probe && unshare --mount true ;;
  *) echo "machine.sh: unknown verb $do" >&2; exit 2 ;;
esac
