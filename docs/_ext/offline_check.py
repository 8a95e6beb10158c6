"""A Sphinx extension: the build fails if a page would load a script, style, font or image from another host."""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

_LOADS = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?(?:https?:)?//[^"'> ]+"""
    r"""|<link\b(?=[^>]*\brel=["']?(?:stylesheet|preload|preconnect|icon))[^>]*\bhref=["']?(?:https?:)?//[^"'> ]+""",
    re.IGNORECASE,
)
_STYLE_LOADS = re.compile(r"""(?:url\(|@import\s+)["']?(?:https?:)?//[^"') ]+""", re.IGNORECASE)


def check(app: Sphinx, error: Exception | None) -> None:
    """Look at each page and style sheet that was built."""
    if error is not None or app.builder.format != "html":
        return
    folder = Path(app.outdir)
    found = [
        f"{path.relative_to(folder)}: {match.group()}"
        for pattern, loads in (("*.html", _LOADS), ("*.css", _STYLE_LOADS))
        for path in sorted(folder.rglob(pattern))
        for match in loads.finditer(path.read_text())
    ]
    if found:
        raise ExtensionError("pages load from other hosts:\n" + "\n".join(found))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
