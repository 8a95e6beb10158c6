"""How a plan names its container image and inputs, and what it asks of workers with a container."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dynamo.errors import InputError
from dynamo.modules.registry import contracts
from dynamo.workflows.layout import choose_layout
from dynamo.workflows.pegasus.image import locate_image
from dynamo.workflows.pegasus.settings import PegasusSettings
from dynamo.workflows.pegasus.write import LINKS, write_plan
from tests.unit.workflows.test_pegasus import LFN, nowcast_plan


@pytest.mark.parametrize(
    ("image", "kind", "located"),
    [
        ("docker:///x/y:1", "docker", "docker:///x/y:1"),
        ("docker://y:1", "docker", "docker:///y:1"),
        ("x/y:1", "docker", "docker:///x/y:1"),
        # Apptainer: `docker:///x/y:1` is an "invalid reference format".
        ("docker:///x/y:1", "singularity", "docker://x/y:1"),
        ("docker://y:1", "singularity", "docker://library/y:1"),
        ("https://z.org/a.sif", "singularity", "https://z.org/a.sif"),
        ("/images/a-1.0.sif", "singularity", Path("/images/a-1.0.sif")),
        ("file:///images/a.sif", "singularity", Path("/images/a.sif")),
        ("file://localhost/images/a.sif", "singularity", Path("/images/a.sif")),
        ("/images/a.tar", "docker", Path("/images/a.tar")),
    ],
)
def test_images_get_the_form_that_pegasus_takes(image: str, kind: str, located: Path | str) -> None:
    assert locate_image(image, kind) == located


@pytest.mark.parametrize(("image", "kind"), [("/images/a.sif", "docker"), ("/images/root", "singularity")])
def test_images_of_the_other_kind_and_root_folders_are_refused(image: str, kind: str) -> None:
    with pytest.raises(InputError, match=f"not an image for container type {kind}"):
        PegasusSettings(image, kind)


def write(folder: Path, settings: PegasusSettings) -> None:
    plan = nowcast_plan()
    layout = choose_layout(plan, slots=2, job_overhead_s=0.01, single_threshold_s=0.0)
    write_plan(plan, layout, contracts(), folder, settings)


def test_files_are_sent_under_the_names_that_jobs_use(tmp_path: Path) -> None:
    image = tmp_path / "storms-1.0.sif"
    settings = PegasusSettings(str(image), "singularity")
    with pytest.raises(InputError, match="no such image"):
        write(tmp_path / "plan", settings)
    image.touch()
    for _ in range(2):
        write(tmp_path / "plan", settings)
    links = tmp_path / "plan" / LINKS
    assert {link.name: link.readlink() for link in links.iterdir()} == {
        LFN: Path("/data/in.nc"),
        "dynamo-modules.sif": image,
    }
    [container] = yaml.safe_load((tmp_path / "plan" / "transformations.yml").read_text())["containers"]
    assert (container["image"], container["image.site"]) == (f"file://{links}/dynamo-modules.sif", "local")


@pytest.mark.parametrize(
    ("image", "kind", "requirements", "strict"),
    [
        ("", "singularity", None, False),
        ("docker://x/y", "docker", None, True),
        ("docker://x/y", "singularity", "TARGET.HasSingularity", True),
    ],
)
def test_what_a_container_needs_is_asked_of_workers(
    image: str, kind: str, requirements: str | None, strict: bool, tmp_path: Path
) -> None:
    write(tmp_path, PegasusSettings(image, kind, "/opt/dynamo-module"))
    sites = {site["name"]: site for site in yaml.safe_load((tmp_path / "sites.yml").read_text())["sites"]}
    assert sites["condorpool"]["profiles"]["condor"].get("requirements") == requirements
    # Pegasus's own programs are taken as sent, since the image may have nothing to fetch others with.
    text = (tmp_path / "pegasus.properties").read_text().replace(" ", "")
    assert ("pegasus.transfer.worker.package.strict=false" in text) == strict
