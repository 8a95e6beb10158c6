#!/bin/bash
# Stops what up.sh and nova started here, and nothing else. `down.sh --wipe` also removes the data (not the installation).
set -u
. "$(dirname "$0")/env.sh"
first=() last=()
for file in "$RUN"/*.pid; do
  name=$(basename "$file" .pid)
  case $name in
    '*' | *.own) ;;
    mysql | rabbit | epmd | memcached) last+=("$name") ;;
    *) first+=("$name") ;;
  esac
done
for name in ${first[@]+"${first[@]}"}; do stop "$name" & done
wait
for folder in "$DATA"/servers/*/; do
  [ ! -f "$folder/server.env" ] || "$MACHINE" kill "${folder%/}" &
done
wait
for name in ${last[@]+"${last[@]}"}; do stop "$name" & done
wait
ip link del "$BRIDGE" 2>/dev/null
[ "${1:-}" != --wipe ] || rm -rf "$DATA" "$CONF" "$LOGS" "$RUN"
echo stopped
