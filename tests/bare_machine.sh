#!/bin/bash
# Shows that a bare machine needs Python, git and make only: a clone of this checkout (what is committed) runs
# `make demo` and `make test-fast` in a fresh Debian, as an ordinary user, without data, compiler, iproute2, PostgreSQL.
#
#   sudo tests/bare_machine.sh [RELEASE]        (= make test-bare)        Debian, root; RELEASE: bookworm
#   sudo tests/bare_machine.sh RELEASE base     only debootstraps, into the cache
#
# pip is configured inside as it is here; local files that its configuration names are shown inside.
#
# DYNAMO_DEBIAN_MIRROR  the mirror, where apt's configuration names none of Debian
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
release=${1:-bookworm}
user=somebody
started=$SECONDS

say() { printf '%4d s  %s\n' "$((SECONDS - started))" "$*"; }
fail() {
    echo "bare_machine: $1" >&2
    exit "${2:-1}"
}
[ "$(id -u)" = 0 ] || fail "must be root (debootstrap and chroot need it): sudo make test-bare" 5
# shellcheck source=containers/base.sh
. "$root/containers/base.sh"

work=$(mktemp -d "${TMPDIR:-/tmp}/dynamo-bare.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT TERM
need_tools debootstrap git unshare
base_tarball "bare-$release" "$release" ca-certificates,git,make,python3,python3-venv
[ "${2:-}" != base ] || exit 0
tree=$work/tree
mkdir "$tree"
tar -C "$tree" -xf "$tarball"
flock -u 9

# --- network and pip as they are here ---------------------------------------------------------------------------------
for file in resolv.conf hosts; do cp -L "/etc/$file" "$tree/etc/$file"; done
python3 - "$tree/etc/pip.conf" >"$work/shown" <<'PY'
"""Write pip's configuration of this machine into one file; print the local paths that it names."""
import ast
import subprocess
import sys
from pathlib import Path

told = subprocess.run([sys.executable, "-m", "pip", "config", "list"], stdout=subprocess.PIPE, text=True).stdout
options = {}
for line in told.splitlines():
    name, _, value = line.partition("=")
    section, _, option = name.rpartition(".")
    if section in ("global", "install", ":env:"):
        options[option] = ast.literal_eval(value)
Path(sys.argv[1]).write_text("[global]\n" + "".join(f"{option} = {value}\n" for option, value in options.items()))
for word in " ".join(options.values()).split():
    path = Path(word)
    if word.startswith("file://"):
        # The pages of an index may name files beside it.
        path = Path(word.removeprefix("file://")).parent
    if path.is_absolute() and path.exists():
        print(path)
PY

# --- the clone, and commands in it ------------------------------------------------------------------------------------
chroot "$tree" useradd --create-home "$user"
git clone --quiet --no-hardlinks "file://$root" "$tree/home/$user/dynamo"
chroot "$tree" chown -R "$user:" "/home/$user"
for tool in cc gcc ip initdb psql; do
    ! chroot "$tree" sh -c "command -v $tool" >/dev/null || fail "the bare machine has $tool"
done
say "$(chroot "$tree" python3 --version) on Debian $(<"$tree/etc/debian_version"); revision $(git -C "$root" rev-parse --short HEAD)"

environment=(PATH=/usr/local/bin:/usr/bin:/bin HOME="/home/$user" USER="$user" LANG=C.UTF-8)
for name in http_proxy https_proxy no_proxy; do [ -z "${!name:-}" ] || environment+=("$name=${!name}"); done
in_tree() { # in_tree COMMAND...
    # Mounts are of this namespace and go with it.
    # shellcheck disable=SC2016 # expanded inside
    unshare --mount --pid --fork --kill-child bash -euc '
        tree=$0 user=$1 shown=$2; shift 2
        mount --rbind /dev "$tree/dev"
        mount -t proc proc "$tree/proc"
        while read -r path; do
            if [ -d "$path" ]; then mkdir -p "$tree$path"; else mkdir -p "$(dirname "$tree$path")"; touch "$tree$path"; fi
            mount --bind "$path" "$tree$path"
        done <"$shown"
        exec chroot --userspec="$user" "$tree" "${@:2}"
    ' "$tree" "$user" "$work/shown" -- env -i "${environment[@]}" sh -c 'cd ~/dynamo && exec "$@"' sh "$@"
}
in_tree make demo || fail "make demo failed"
say "make demo passed"
[ -n "$(find "$tree/home/$user/dynamo/demo-output" -name '*.geojson' -print -quit)" ] || fail "make demo left no contours"
in_tree make test-fast || fail "make test-fast failed"
say "make test-fast passed"
