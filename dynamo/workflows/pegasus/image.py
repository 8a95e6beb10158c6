"""The container image of a plan, in the forms that Pegasus's planner, pegasus-transfer, and its jobs take."""

from __future__ import annotations

from pathlib import Path

from dynamo.errors import InputError

#: HTCondor's attribute of a slot that can run containers of each type.
RUNTIMES = {"docker": "HasDocker", "singularity": "HasSingularity"}
#: Apptainer's image files. Pegasus tells by the name's end what an image is.
_SINGULARITY = (".sif", ".simg", ".img")


def locate_image(image: str, container_type: str) -> Path | str:
    """Return the file that an image is, or its URL.

    Raises
    ------
    InputError
        If the file's name does not fit the type of container.
    """
    scheme, marked, rest = image.partition(":/")
    rest = rest.lstrip("/")
    if scheme == "file" and marked:
        return _file(Path("/" + rest.removeprefix("localhost/")), container_type)
    if not marked:
        if image.startswith(("/", ".")) or image.endswith(_SINGULARITY):
            return _file(Path(image), container_type)
        scheme, rest = "docker", image
    if scheme != "docker":
        return image
    if container_type == "docker":
        return f"docker:///{rest}"
    # Apptainer refuses a third slash, and the planner wants a name in a folder.
    return f"docker://{rest if '/' in rest else 'library/' + rest}"


def _file(path: Path, container_type: str) -> Path:
    if path.name.endswith(_SINGULARITY) != (container_type == "singularity"):
        raise InputError(
            f"not an image for container type {container_type}",
            where=path,
            expected=f"a name that ends in {' or '.join(_SINGULARITY)} for singularity, and another for docker",
            hint="Pegasus sends no root folders: make a file of one with `apptainer build NAME.sif FOLDER`",
        )
    return path.absolute()


def require_image(image: Path | str) -> None:
    """Check that an image that is a file is there.

    Raises
    ------
    InputError
        If it is not.
    """
    if isinstance(image, Path) and not image.is_file():
        raise InputError("no such image", where=image, expected="a file on this machine")
