#!/bin/bash
# Builds the image without a registry and shows that its products are those made outside, byte for byte.
#
#   sudo containers/test.sh        (= make test-containers)        Debian, root
#
# A Debian 12 base is debootstrapped (once; kept below the user's cache folder) and imported under the name that the
# Containerfile builds from. The same nowcast is then worked on by this checkout's Python, in the image with podman,
# and in the result of the Apptainer definition's %post; so is a module of another package, examples/own-module. Images
# and runs are kept in a folder that is removed at the end.
#
# DYNAMO_DEBIAN_MIRROR  the mirror, where apt's configuration names none of Debian
# PYTHON                the Python with DyNamo's libraries; else .venv, else python3
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
release=bookworm
base=docker.io/library/debian:bookworm-slim
python=${PYTHON:-}
[ -n "$python" ] || { [ -x "$root/.venv/bin/python" ] && python=$root/.venv/bin/python; } || python=python3
started=$SECONDS

say() { printf '%4d s  %s\n' "$((SECONDS - started))" "$*"; }
fail() {
    echo "test-containers: $1" >&2
    exit "${2:-1}"
}
# shellcheck source=containers/base.sh
. "$here/base.sh"
dynamo() { PYTHONPATH=$root "$python" -m "$@"; }

[ "$(id -u)" = 0 ] || fail "must be root (debootstrap and chroot builds need it): sudo make test-containers" 5
[ -f "$root/setup.cfg" ] || fail "$root is not a checkout of DyNamo" 2
PYTHONPATH=$root "$python" -c 'from dynamo.modules.warm import import_science; import_science()' 2>/dev/null ||
    fail "$python lacks DyNamo's libraries: run make once, or set PYTHON" 5

need_tools debootstrap podman runc
work=$(mktemp -d "${TMPDIR:-/tmp}/dynamo-containers.XXXXXX")
clean() {
    # podman keeps its overlay folder mounted onto itself, and a failed container its root.
    awk -v under="$work/" 'index($2, under) == 1 { print $2 }' /proc/mounts | tac | while read -r mounted; do
        umount "$mounted" || true
    done
    rm -rf --one-file-system "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM

base_tarball "$release" "$release" python3

# --- the build context and the image ---------------------------------------------------------------------------------
cp -r "$root/examples/own-module" "$work/own-source"
"$python" -m pip wheel -qq --disable-pip-version-check --no-index --no-deps --no-build-isolation \
    --wheel-dir "$work/extra" "$work/own-source"
PYTHON=$python WHEELS=$cache/wheels EXTRA=$(echo "$work"/extra/*.whl) "$here/context.sh" "$work/context"
flock -u 9
version=$(PYTHONPATH=$root "$python" -c 'import dynamo; print(dynamo.__version__)')
image=dynamo-modules:$version
say "build context: $(du -sm "$work/context" | cut -f1) MB"

driver=overlay
[ "$(stat -f -c %T "$work")" != overlayfs ] || driver=vfs # overlay does not stack on itself
podman() {
    command podman --root "$work/storage" --runroot "$work/run" --storage-driver "$driver" \
        --cgroup-manager=cgroupfs --runtime runc "$@"
}
podman import --quiet - "$base" <"$tarball" >/dev/null
podman build --quiet --isolation=chroot --pull=never --timestamp 0 --tag "$image" "$work/context" \
    >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; fail "podman build failed"; }
size=$(podman image inspect --format '{{.Size}}' "$image")
based=$(podman image inspect --format '{{.Size}}' "$base")
say "image $image: $((size / 1000000)) MB, of which base $((based / 1000000)) MB"

# --- one nowcast, three times ----------------------------------------------------------------------------------------
dynamo dynamo simulate nowcast --regime wide --start 2019-06-10T00:00:00Z --seed 7 --out "$work/feed" >/dev/null 2>&1
PYTHONPATH=$root "$python" - "$work" <<'PY'
import sys
from pathlib import Path

from dynamo.engines.base import RunFolder
from dynamo.inspection.look import inspect_input
from dynamo.modules.registry import contracts
from dynamo.workflows.layout import choose_layout
from dynamo.workflows.workflow import plan_run, read_workflow

work = Path(sys.argv[1])
nowcast = next((work / "feed").glob("*.nc"))
levels = [35.0, 40.0, 45.0, 50.0, 55.0]
facts = {"nowcast": inspect_input(nowcast, levels)}
workflow = read_workflow("nowcast", contracts())
plan = plan_run(workflow, {"nowcast": nowcast}, {"levels": levels}, facts, contracts())
layout = choose_layout(plan, slots=1, job_overhead_s=1.0, single_threshold_s=1e9)
for name in ("outside", "image", "apptainer"):
    RunFolder(work / name).prepare(plan, layout)
(work / "products").write_text("".join(f"{lfn}\n" for lfn in sorted(plan.products)))
(work / "task").write_text(layout.tasks[0].id)
PY
task=$(<"$work/task")
count=$(wc -l <"$work/products")

compare() { # compare RUN NAME
    local different=() lfn
    while read -r lfn; do
        cmp -s "$work/outside/work/$lfn" "$1/work/$lfn" || different+=("$lfn")
    done <"$work/products"
    [ ${#different[@]} = 0 ] ||
        fail "$2: ${#different[@]} of $count products differ from those made outside: ${different[*]:0:4}"
    say "$2: $count products, all byte for byte those made outside"
}
in_image() { # in_image FOLDER COMMAND...
    # podman would raise these limits, which root without CAP_SYS_RESOURCE may not. The input is a link in the run
    # folder to where it lies, so that place must be there too.
    podman run --rm --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --network none --read-only --cap-drop all \
        --security-opt no-new-privileges --volume "$1:/work" --volume "$work/feed:$work/feed:ro" "$image" "${@:2}"
}
dynamo dynamo.modules.runner "$work/outside" "$task" >"$work/outside.log" ||
    fail "the run outside failed: $(tail -n 1 "$work/outside.log")"
[ "$count" = 62 ] || fail "$count products are planned; expected 62"
outside=$("$python" -c 'import platform, numpy; print(platform.python_version(), "numpy", numpy.__version__)')
say "outside: $count products (Python $outside)"

chown -R 10001:10001 "$work/image"
[ "$(in_image "$work/image" id -u)" = 10001 ] || fail "the image does not run as its own user"
in_image "$work/image" python -m dynamo.modules.runner /work "$task" >"$work/image.log" ||
    fail "the run in the image failed: $(tail -n 1 "$work/image.log")"
inside=$(in_image "$work/image" python -c 'import platform, numpy; print(platform.python_version(), "numpy", numpy.__version__)')
compare "$work/image" "image (Python $inside; read-only, no network, uid 10001)"

# The command form, with names as an abstract workflow gives them.
grid=$(cd "$work/image/work" && ls PredictedReflectivity_10min_*.nc)
contours=$(cd "$work/image/work" && ls mrt_STORM_CASA_10_*.geojson)
in_image "$work/image/work" dynamo-module contour --input "grid=$grid" --output geojson=again.geojson \
    --param levels=35,40,45,50,55 >/dev/null || fail "dynamo-module in the image failed"
cmp -s "$work/image/work/again.geojson" "$work/outside/work/$contours" ||
    fail "dynamo-module in the image gives another file"
say "image: dynamo-module contour gives the same file"

# --- a module of another package -------------------------------------------------------------------------------------
"$python" -m pip install -qq --disable-pip-version-check --no-index --no-deps --target "$work/own" "$work"/extra/*.whl
mkdir "$work/cells"
cp "$work"/feed/*.nc "$work/cells/nowcast.nc"
cells() { echo dynamo.modules.command mypkg_cells --input nowcast=nowcast.nc --output "cells=$1" --param level=40; }
# shellcheck disable=SC2046 # words, split on purpose
(cd "$work/cells" && PYTHONPATH=$root:$work/own "$python" -m $(cells outside.geojson) >/dev/null) ||
    fail "mypkg_cells failed outside"
chown -R 10001:10001 "$work/cells"
# shellcheck disable=SC2046
in_image "$work/cells" python -m $(cells image.geojson) >"$work/cells.log" || fail "mypkg_cells failed in the image"
cmp -s "$work/cells/outside.geojson" "$work/cells/image.geojson" || fail "mypkg_cells gives another file in the image"
say "image: mypkg_cells of the package mypkg gives the same file ($(grep -o '"cells":[0-9]*' "$work/cells.log"))"

# --- the Apptainer definition ----------------------------------------------------------------------------------------
# %files, %post, %environment, %runscript and %test in a chroot without a network, to show that they need none.
section() { awk -v name="%$1" '/^%/ { inside = ($1 == name); next } inside' "$work/context/dynamo-modules.def"; }
tree=$work/tree
mkdir -p "$tree"
tar -C "$tree" -xf "$tarball"
while read -r source target; do
    if [ -n "$source" ]; then cp -r "$work/context/$source" "$tree$target"; fi
done < <(section files)
in_tree() { # in_tree USER SCRIPT ARGUMENTS...
    # shellcheck disable=SC2016 # expanded inside
    unshare --mount --net --pid --fork bash -c '
        mount --rbind /dev "$0/dev" && mount -t proc proc "$0/proc" || exit 1
        user=$1; shift
        exec chroot --userspec="$user" --groups="" "$0" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp /bin/sh -c "$@"
    ' "$tree" "$@"
}
in_tree 0:0 "set -e; $(section post)" || fail "%post of dynamo-modules.def failed"
in_tree 10001:10001 "set -e; $(section test)" || fail "%test of dynamo-modules.def failed"
mkdir -p "$tree$work" "$tree/work"
cp -r "$work/feed" "$tree$work/"
cp -r "$work/apptainer/." "$tree/work/"
chown -R 10001:10001 "$tree/work"
in_tree 10001:10001 "$(section environment)
$(section runscript)" run python -m dynamo.modules.runner /work "$task" >"$work/apptainer.log" ||
    fail "the run by dynamo-modules.def failed: $(tail -n 1 "$work/apptainer.log")"
cp -r "$work/cells" "$tree/work/"
chown -R 10001:10001 "$tree/work/cells"
# shellcheck disable=SC2046
in_tree 10001:10001 "$(section environment)
cd /work/cells
$(section runscript)" run python -m $(cells apptainer.geojson) >/dev/null || fail "mypkg_cells failed by dynamo-modules.def"
cmp -s "$work/cells/outside.geojson" "$tree/work/cells/apptainer.geojson" ||
    fail "mypkg_cells gives another file by dynamo-modules.def"
compare "$tree/work" "apptainer definition (its sections in a chroot, no network, uid 10001)"

# --- Apptainer itself, and jobs of HTCondor in its image -------------------------------------------------------------
say "installing HTCondor and Apptainer in private folders, where they are missing"
apptainer=$(dynamo dynamo pool install --containers --json 2>"$work/install.log" |
    "$python" -c 'import json, sys; print(json.load(sys.stdin)["containers"]["program"])') ||
    fail "dynamo pool install --containers failed: $(tail -n 1 "$work/install.log")" 5
# Without a registry, the definition starts from the same base as a folder. In a user namespace, as for anybody: root may
# lack what Apptainer asks for root.
mkdir "$work/plain"
tar --no-same-owner -C "$work/plain" -xf "$tarball"
sed "s|^Bootstrap: .*|Bootstrap: localimage|; s|^From: .*|From: $work/plain|" "$work/context/dynamo-modules.def" \
    >"$work/context/local.def"
(cd "$work/context" && unshare --user --map-root-user "$apptainer" build \
    --mksquashfs-args "-Xcompression-level 1" "$work/dynamo-modules.sif" local.def) >"$work/sif.log" 2>&1 ||
    fail "apptainer build failed: $(tail -n 1 "$work/sif.log")"
say "dynamo-modules.sif: $(du -m "$work/dynamo-modules.sif" | cut -f1) MB"
unshare --user --map-root-user "$apptainer" build --sandbox "$work/root" "$work/dynamo-modules.sif" >"$work/root.log" 2>&1 ||
    fail "apptainer build --sandbox failed: $(tail -n 1 "$work/root.log")"

export DYNAMO_POOL_DIR=$work/pool
unset CONDOR_CONFIG
trap 'dynamo dynamo pool down >/dev/null 2>&1 || true; clean' EXIT
dynamo dynamo pool up --slots 2 >"$work/up.log" 2>&1 || fail "the pool does not start: $(tail -n 1 "$work/up.log")"
for image in "$work/dynamo-modules.sif" "$work/root"; do
    name=$(basename "$image")
    mkdir "$work/$name-run"
    printf '[engines.condor.options]\ncontainer = "%s"\n' "$image" >"$work/$name-run/dynamo.toml"
    (cd "$work/$name-run" && dynamo dynamo submit nowcast --input nowcast="$(echo "$work"/feed/*.nc)" \
        --param levels=35,40,45,50,55 --engine condor --wait --out work) >"$work/$name.log" 2>&1 ||
        fail "the run of HTCondor in $name failed: $(tail -n 1 "$work/$name.log")"
    compare "$work/$name-run" "HTCondor in $name"
done
