#!/bin/sh
# First boot of the worker @WORKER@: joins its HTCondor pool, and powers off when the pool no longer needs it.
# It holds no lasting secret: the bootstrap below works once, to request this worker's own token.
# SERVER_ROOT, if set, is the folder that stands for the machine's disk (several servers on one machine).
umask 077
set -u
name='@WORKER@'
manager='@MANAGER@:@PORT@'
prefix='@PREFIX@'
home="${SERVER_ROOT:+$SERVER_ROOT/worker}"
home="${home:-/var/lib/dynamo-worker}"
cpus="${SERVER_CPUS:-@CPUS@}"
memory_mb="${SERVER_MEMORY_MB:-@MEMORY_MB@}"
lifetime_s=@LIFETIME_S@
grace_s=@GRACE_S@
check_s=@CHECK_S@
master=

# If a folder stands for the machine, also print to the console: the log is deleted with the folder.
exec 3>&1
say() {
  line="$(date -u +%Y-%m-%dT%H:%M:%SZ) dynamo-worker $name: $*"
  echo "$line"
  if [ -n "${SERVER_ROOT:-}" ]; then echo "$line" >&3; fi
}

nap() { sleep "$1" & nap_pid=$!; wait "$nap_pid"; }

master_runs() {
  [ -n "$master" ] && [ -d "/proc/$master" ] && ! grep -q '^State:[[:space:]]*Z' "/proc/$master/status" 2>/dev/null
}

# SIGQUIT: stop jobs and daemons immediately, in order.
stop_master() {
  if [ -s token.pid ]; then kill "$(cat token.pid)" 2>/dev/null; rm -f token.pid; fi
  master_runs || return 0
  kill -QUIT "$master" 2>/dev/null
  left=40
  while [ "$left" -gt 0 ] && master_runs; do sleep 0.25; left=$((left - 1)); done
  master_runs && kill -KILL "$master" 2>/dev/null
  return 0
}

power_off() {
  say "shutting down: $*"
  stop_master
  switch=$(command -v poweroff || command -v shutdown || true)
  if [ -n "${SERVER_ROOT:-}" ]; then
    # A server that is only a folder must not power off its host.
    case "$switch" in "" | /sbin/* | /usr/sbin/* | /bin/* | /usr/bin/*) exit 0 ;; esac
  fi
  case "$switch" in
    */poweroff) "$switch" ;;
    */shutdown) "$switch" -h now ;;
  esac
  exit 0
}

end() { say "stopped by a signal"; stop_master; exit 0; }
trap end TERM INT

mkdir -p "$home" && cd "$home" || exit 1
[ -n "${SERVER_ROOT:-}" ] && exec >>"$home/boot.log" 2>&1
say "booting"
for folder in log spool execute run lock passwords.d tokens.d boot.d; do mkdir -p "$home/$folder"; done
if [ "$(id -u)" = 0 ] && [ -z "${SERVER_ROOT:-}" ]; then chmod 755 "$home" "$home/execute" "$home/log"; fi

# ---- The operator's own script ----------------------------------------------------------------------------------
cat >operator.b64 <<'END'
@SCRIPT@
END
if base64 -d <operator.b64 >operator.sh && [ -s operator.sh ]; then
  case "$(head -c 2 operator.sh)" in "#!") ;; *) printf '#!/bin/sh\n' | cat - operator.sh >o && mv o operator.sh ;; esac
  chmod 700 operator.sh
  (umask 022 && ./operator.sh) || power_off "the operator's script failed with exit code $?"
fi

# ---- HTCondor ---------------------------------------------------------------------------------------------------
install_condor() {
  umask 022
  tries=0
  while ! command -v condor_master >/dev/null 2>&1 && [ "$tries" -lt 5 ]; do
    say "installing HTCondor"
    if command -v apt-get >/dev/null 2>&1; then
      apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends condor ||
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends htcondor
    elif command -v dnf >/dev/null 2>&1; then
      dnf install -y -q condor
    fi
    tries=$((tries + 1))
    command -v condor_master >/dev/null 2>&1 || nap $((tries * 10))
  done
  # Stop the package's default single-machine pool.
  systemctl disable --now condor >/dev/null 2>&1 || true
  umask 077
}
PATH="$PATH:/usr/sbin:/usr/local/sbin:/sbin"
release=
if [ -n "$prefix" ]; then
  # Either the folder that `dynamo pool install` prints, or the one above it.
  for folder in "$prefix" "$prefix/usr"; do [ -x "$folder/sbin/condor_master" ] && release="$folder"; done
  [ -n "$release" ] || wrong=" (condor_prefix $prefix has no sbin/condor_master)"
  [ -n "$release" ] || say "looking for HTCondor elsewhere$wrong"
fi
if [ -z "$release" ]; then
  command -v condor_master >/dev/null 2>&1 || install_condor
  found=$(command -v condor_master) || power_off "HTCondor is missing and cannot be installed${wrong:-}"
  release=$(dirname "$(dirname "$(readlink -f "$found")")")
fi
lib="$release/lib/condor"
[ -d "$release/lib64/condor" ] && lib="$release/lib64/condor"
as=
shown="$(id -u).$(id -g)"
if [ "$(id -u)" = 0 ]; then
  if [ -n "${SERVER_ROOT:-}" ]; then
    # HTCondor runs no jobs as root; in a user namespace, root's daemons act like an ordinary user's.
    for plain in daemon bin nobody; do
      uid=$(id -u "$plain" 2>/dev/null) && [ "$uid" != 0 ] && break
    done
    as="unshare --user --map-user=$uid --map-group=$(id -g "$plain")"
  else
    id condor >/dev/null 2>&1 || useradd --system --no-create-home --shell /usr/sbin/nologin condor
    shown="$(id -u condor).$(id -g condor)"
    chown -R condor: log spool execute run lock
  fi
fi

# `dynamo pool install --containers` puts it beside HTCondor's prefix.
runtime="$(dirname "$(dirname "$release")")/apptainer/usr/bin/apptainer"
[ -x "$runtime" ] || runtime=$(command -v apptainer || command -v singularity || true)
wrapper=
if [ -n "$runtime" ]; then
  # Jobs that start their containers themselves find it on PATH. In their environment HTCondor would impose it on its
  # own containers, too.
  wrapper="$home/job_wrapper"
  cat >"$wrapper" <<END
#!/bin/sh
PATH="\${PATH:-/usr/local/bin:/usr/bin:/bin}:$(dirname "$runtime")"
export PATH
exec "\$@"
END
  chmod 755 "$wrapper"
else
  say "no container runtime: container jobs will not start here"
fi

reserved_mb=
disk_mb='@DISK_MB@'
if [ -n "$disk_mb" ]; then
  free_mb=$(df -Pm "$home" | awk 'NR == 2 { print $4 }')
  [ "$free_mb" -gt "$disk_mb" ] && reserved_mb=$((free_mb - disk_mb))
fi
cat >condor_config <<END
RELEASE_DIR = $release
BIN = $release/bin
SBIN = $release/sbin
LIB = $lib
LIBEXEC = $release/libexec/condor
LOCAL_DIR = $home
CONDOR_IDS = $shown
SINGULARITY = $runtime
USER_JOB_WRAPPER = $wrapper
${cpus:+NUM_CPUS = $cpus}
${memory_mb:+MEMORY = $memory_mb}
${reserved_mb:+RESERVED_DISK = $reserved_mb}
END
cat >>condor_config <<'END'
@CONFIGURATION@
END
cat >>condor_config <<END
STARTER_JOB_ENVIRONMENT = "@MARK@=@ID@${SERVER_MARK:+ $SERVER_MARK}"
END
export CONDOR_CONFIG="$home/condor_config"

# ---- The worker's own token -------------------------------------------------------------------------------------
ask_token() { # folder with the token that authenticates the request; seconds to wait
  rm -f token.new
  _CONDOR_SEC_TOKEN_DIRECTORY="$home/$1" _CONDOR_SEC_TOKEN_SYSTEM_DIRECTORY="$home/$1" \
    timeout "$2" "$release/bin/condor_token_request" -type collector -name "$manager" \
    -identity '@IDENTITY@' @AUTHZ@ -lifetime "$lifetime_s" >token.new 2>token.err &
  echo $! >token.pid
  wait $!
  if grep -q '^ey' token.new 2>/dev/null; then
    rm -f token.pid
    grep '^ey' token.new >token.only && mv token.only tokens.d/worker && rm -f token.new
    return 0
  fi
  rm -f token.pid
  say "got no token: $(tail -n 1 token.err)"
  return 1
}
if [ -n "${SERVER_ROOT:-}" ] && [ -f "$SERVER_ROOT/private/token" ]; then
  cp "$SERVER_ROOT/private/token" tokens.d/worker && rm -f "$SERVER_ROOT/private/token"
elif [ ! -s tokens.d/worker ]; then
  cat >boot.d/boot <<'END'
@BOOTSTRAP@
END
  say "asking the pool at $manager for a token"
  until_s=$(($(date +%s) + @JOIN_S@))
  until ask_token boot.d 300; do
    [ "$(date +%s)" -ge "$until_s" ] && power_off "the pool did not approve its token request"
    nap 5
  done
fi
rm -f boot.d/boot

# In the background: the answer comes when the provisioner polls, and the pool may go away meanwhile.
renew() {
  patience_s=$((lifetime_s / 6))
  # The program polls for the answer every 5 s.
  [ "$patience_s" -lt 12 ] && patience_s=12
  [ "$patience_s" -gt 600 ] && patience_s=600
  renew_at=$((now + patience_s + 1))
  (trap - TERM INT; ask_token tokens.d "$patience_s" && date +%s >renewed) &
}
renew_at=$(($(date +%s) + lifetime_s / 3))

# ---- HTCondor's daemons, for as long as the pool needs them -----------------------------------------------------
say "starting HTCondor"
$as "$release/sbin/condor_master" -f &
master=$!
answered=$(date +%s)
asked=$answered
while master_runs; do
  nap @STEP_S@
  now=$(date +%s)
  [ $((now - asked)) -lt "$check_s" ] && continue
  asked=$now
  if timeout 20 "$release/bin/condor_status" -collector -af Name 2>/dev/null | grep -q .; then
    answered=$(date +%s)
    # The old token authenticates the request for the new one.
    if [ -s renewed ]; then renew_at=$(($(cat renewed) + lifetime_s / 3)); rm -f renewed; fi
    [ "$now" -ge "$renew_at" ] && renew
  else
    [ "${silent:-}" = "$answered" ] || say "no answer from the pool at $manager"
    silent=$answered
    [ $((now - answered)) -lt "$grace_s" ] || power_off "no answer from the pool for $((now - answered)) s"
  fi
done
power_off "HTCondor has stopped"
