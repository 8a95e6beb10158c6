#!/bin/bash
# Prepares the folder from which the image is built: context.sh FOLDER
#
# It holds the wheel of this checkout, the locked wheels of its dependencies, install.sh and both definitions.
# PYTHON names the Python to use (any with pip); WHEELS a folder where downloaded wheels are kept between calls.
# EXTRA names further wheels to install, with spaces between: packages that add modules, and libraries only they need.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
folder=${1:?usage: context.sh FOLDER}
python=${PYTHON:-python3}
[ -x "$root/.venv/bin/python" ] && python=${PYTHON:-$root/.venv/bin/python}
architecture=$(uname -m)

if [ ! -f "$root/setup.cfg" ]; then
    echo "context.sh: $root is not a checkout of DyNamo: the image is made of its sources" >&2
    exit 2
fi
"$python" -m pip --version >/dev/null || { echo "context.sh: $python has no pip; set PYTHON" >&2; exit 5; }

rm -rf "$folder/wheels"
mkdir -p "$folder/wheels"
wheels=${WHEELS:-$folder/wheels}
mkdir -p "$wheels"

mapfile -t options < <("$python" "$here/lock.py" --options "$architecture")
download() { # download LOCK OPTIONS...
    "$python" -m pip download -qq --disable-pip-version-check --no-deps --require-hashes "${options[@]}" \
        --find-links "$wheels" --dest "$wheels" --requirement "$here/$1.txt" "${@:2}"
}
for lock in requirements installer; do
    # Without a look at the index where everything is there already.
    download "$lock" --no-index 2>/dev/null || download "$lock"
done
if [ "$wheels" != "$folder/wheels" ]; then
    # Only what the lock names: the folder may hold wheels of older locks.
    for file in "$wheels"/*.whl; do
        sum=$(sha256sum "$file")
        if grep -q "sha256:${sum%% *}" "$here/requirements.txt" "$here/installer.txt"; then
            cp "$file" "$folder/wheels/"
        fi
    done
fi

# Built from a copy: setuptools leaves build/ in the tree, and would take removed files from an old one.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
# Without the dashboard, which no job needs.
tar -C "$root" --exclude=__pycache__ --exclude='*.egg-info' --exclude=dynamo/_data/web -cf - \
    setup.cfg pyproject.toml MANIFEST.in README.md LICENSE tools dynamo workflows containers mobius_specs condor |
    tar -C "$copy" -xf -
# The same sources give the same wheel.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-315532800} "$python" -m pip wheel -qq --disable-pip-version-check \
    --no-deps --wheel-dir "$folder/wheels" "$copy"

# In a folder of their own: they are installed as they are, not by the lock.
for wheel in ${EXTRA:-}; do
    [ -f "$wheel" ] || { echo "context.sh: EXTRA: there is no file $wheel" >&2; exit 4; }
    mkdir -p "$folder/wheels/extra"
    cp "$wheel" "$folder/wheels/extra/"
done

cp "$here/Containerfile" "$here/dynamo-modules.def" "$here/install.sh" \
    "$here/requirements.txt" "$here/installer.txt" "$folder/"
