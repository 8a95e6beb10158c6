"""The Python reference: one page for each public package, one section for each of its modules."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

#: Package or module, and the title of its page. A package's modules are found, not listed.
PACKAGES = {
    "dynamo.radar": "Numerics on arrays",
    "dynamo.formats": "Reading and writing files",
    "dynamo.contract": "Contracts of modules",
    "dynamo.workflows": "Workflow documents",
    "dynamo.runs": "Runs",
    "dynamo.engines.base": "The interface of engines",
    "dynamo.feeds.base": "The interface of feeds",
    "dynamo.triggers": "Triggers",
    "dynamo.autoscale.policies": "Scaling policies",
    "dynamo.provision.sites.base": "The interface of sites",
    "dynamo.errors": "Errors",
}
_HEAD = """\
# Python reference

Made from the docstrings. Examples on these pages run as tests. Before version 1.0 a name may change with a minor
version; the changelog says so.

```{{toctree}}
:maxdepth: 1

{names}
```
"""


def pages() -> Iterator[tuple[str, str]]:
    """Give the pages and their menu."""
    for name, title in PACKAGES.items():
        yield f"reference/python/{name}.md", _page(name, title)
    yield "reference/python/index.md", _HEAD.format(names="\n".join(PACKAGES))


def _page(name: str, title: str) -> str:
    package = import_module(name)
    modules = _modules(package)
    own = [] if hasattr(package, "__path__") else [name]
    sections = [f"# `{name}`: {title.lower()}", *([(package.__doc__ or "").strip()] if not own else [])]
    for module in own or modules:
        head = [] if own else [f"## `{module}`", ""]
        sections.append("\n".join([*head, "```{eval-rst}", f".. automodule:: {module}", "   :members:", "```"]))
    return "\n\n".join(sections) + "\n"


def _modules(package: ModuleType) -> list[str]:
    if not hasattr(package, "__path__"):
        return []
    found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    return [module.name for module in found if not module.ispkg and not module.name.rpartition(".")[2].startswith("_")]
