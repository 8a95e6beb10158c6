# Sourced by what starts from a bare Debian: a debootstrapped tree as a tarball, made once and kept below the user's
# cache folder. The caller defines `say` (progress) and `fail MESSAGE CODE`, and has a folder $work.
#
# DYNAMO_DEBIAN_MIRROR  the mirror, where apt's configuration names none of Debian
# shellcheck shell=bash
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/dynamo/containers

need_tools() { # need_tools TOOL...
    local missing=() tool apt
    for tool in "$@"; do command -v "$tool" >/dev/null || missing+=("$tool"); done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || fail "${missing[*]} missing, and there is no apt-get: install them" 5
    say "installing ${missing[*]}"
    apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)
    "${apt[@]}" update >/dev/null || say "apt-get update failed; trying with the lists that are there"
    "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null ||
        fail "apt-get could not install ${missing[*]}" 5
}

mirror() {
    if [ -n "${DYNAMO_DEBIAN_MIRROR:-}" ]; then
        echo "$DYNAMO_DEBIAN_MIRROR"
    else
        command -v apt-get >/dev/null || return 0
        # shellcheck disable=SC2016 # apt's own variable
        apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' 'Component: main' | sed -n 1p
    fi
}

make_base() { # make_base TARBALL RELEASE PACKAGES
    local uri tree=$work/base proxy=
    uri=$(mirror)
    [ -n "$uri" ] || fail "apt's configuration names no Debian mirror: set DYNAMO_DEBIAN_MIRROR" 5
    eval "$(apt-config shell proxy Acquire::http::Proxy || true)"
    say "debootstrapping $2 with $3"
    http_proxy=${http_proxy:-$proxy} debootstrap --variant=minbase --include="$3" "$2" "$tree" "$uri" \
        >"$work/debootstrap.log" 2>&1 || { tail -n 20 "$work/debootstrap.log" >&2; fail "debootstrap failed" 5; }
    # What the registry's slim image leaves out too.
    tar -C "$tree" --numeric-owner --exclude='./dev/*' --exclude='./usr/share/doc/*' --exclude='./usr/share/info/*' \
        --exclude='./usr/share/locale/*' --exclude='./usr/share/man/*' --exclude='./var/cache/apt/*' \
        --exclude='./var/lib/apt/lists/*' --exclude='./var/log/*' -cf "$1.part" .
    mv "$1.part" "$1"
    rm -rf --one-file-system "$tree"
}

# Sets $tarball. The lock (descriptor 9) stays held: whoever needs no more of the cache may release it.
base_tarball() { # base_tarball NAME RELEASE PACKAGES
    mkdir -p "$cache"
    tarball=$cache/$1-$(dpkg --print-architecture).tar
    exec 9>"$cache/lock"
    flock 9
    [ -f "$tarball" ] || make_base "$tarball" "$2" "$3"
    say "base: $(du -m "$tarball" | cut -f1) MB ($tarball; remove it to renew)"
}
