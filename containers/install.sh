#!/bin/sh
# Installs the modules into /opt/dynamo from a prepared folder (context.sh), inside the image that is being built.
# Containerfile and dynamo-modules.def both run this, so that their images hold the same.
#
#   install.sh FOLDER     FOLDER holds wheels/, requirements.txt and installer.txt
set -eu
folder=$1
prefix=/opt/dynamo
umask 022

# The only step that needs a network, and only where the base has no Python.
if ! command -v python3 >/dev/null; then
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3
    apt-get clean
    rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log
fi
python3 -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "the lock is for Python 3.11 (Debian 12)")'

export PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0
rm -rf "$prefix"
# Debian's python3 has neither pip nor ensurepip; pip runs from its own wheel and does not stay in the image.
python3 -m venv --without-pip "$prefix"
installer=$(echo "$folder"/wheels/pip-*.whl)
sum=$(sha256sum "$installer")
grep -q "sha256:${sum%% *}" "$folder/installer.txt" || { echo "$installer is not that of installer.txt" >&2; exit 1; }
pip() { "$prefix/bin/python" "$installer/pip" --isolated --no-cache-dir "$@"; }
offline="--quiet --no-index --find-links=$folder/wheels --no-deps --no-compile --root-user-action=ignore"
# shellcheck disable=SC2086 # options, split on purpose
pip install $offline --require-hashes --requirement "$folder/requirements.txt"
# shellcheck disable=SC2086
pip install $offline dynamo-radar
if [ -d "$folder/wheels/extra" ]; then
    # shellcheck disable=SC2086
    pip install $offline "$folder"/wheels/extra/*.whl
    # A module that cannot be used here, as for a library that is not among the wheels, is found now and not by a job.
    "$prefix/bin/python" -c '
import sys
from dynamo.doors import MODULES
broken = [f"module {part.name} of {part.origin} cannot be used: {part.problem}" for part in MODULES.listed() if part.problem]
sys.exit("\n".join(broken) or None)'
fi

# The other commands need libraries that are not here.
find "$prefix/bin" -name 'dynamo*' ! -name dynamo-module -delete
find "$prefix/lib" -type d -name tests -prune -exec rm -rf {} +
# Hash-based and unchecked: the layer's timestamps may be rewritten, and the file system may be read-only.
"$prefix/bin/python" -m compileall -q --invalidation-mode unchecked-hash "$prefix/lib"
# Where the abstract workflow's transformations look for it.
ln -sf "$prefix/bin/dynamo-module" /usr/local/bin/dynamo-module
