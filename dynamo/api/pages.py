"""The dashboard's files: every path that no route has is a page of it, and the page's script decides what to show.

`make web` builds the files, with compressed copies beside them. Without them the API works as ever, and one page says
how to get them.
"""

from __future__ import annotations

import mimetypes
from functools import lru_cache
from pathlib import Path

from anyio import to_thread
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from dynamo.api.problems import Refusal
from dynamo.resources import DATA_ROOT

BUNDLE = DATA_ROOT / "web"
#: Nothing comes from another host, and no script stands in a page. Pictures may be made by scripts.
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_HEADERS = {"Content-Security-Policy": POLICY, "Referrer-Policy": "same-origin", "Vary": "Accept-Encoding"}
#: Names of assets have the hash of their content.
_FOREVER = "public, max-age=31536000, immutable"
#: Asked for each time; the answer is mostly "not modified".
_CHECKED = "no-cache"
#: Copies that the build makes, best first.
_PACKED = (("br", ".br"), ("gzip", ".gz"))
#: Below these a missing resource is an error, not a page.
_NOT_PAGES = ("v1", "mobius", "ping", "docs", "openapi.json", "healthz")
_NOT_BUILT = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>DyNamo</title>'
    "<p>The dashboard is not built: run <code>make web</code> in the checkout, or install a wheel, which has it. "
    'The <a href="/docs">API</a> works without it.</p></html>'
)

mimetypes.add_type("application/geo+json", ".geojson")


def is_built(bundle: Path = BUNDLE) -> bool:
    """Return whether this installation has the dashboard's files."""
    return (bundle / "index.html").is_file()


class Pages:
    """Answers every path that no route has.

    Parameters
    ----------
    bundle
        What `make web` built.
    """

    def __init__(self, bundle: Path = BUNDLE) -> None:
        self._bundle = bundle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        response = await to_thread.run_sync(self.response, Request(scope))
        await response(scope, receive, send)

    def response(self, request: Request) -> Response:
        """Return the file that a path asks for: an asset, or the page of all other paths.

        Raises
        ------
        Refusal
            404 if it is neither.
        """
        path = request.url.path.lstrip("/")
        if request.method not in ("GET", "HEAD") or path.partition("/")[0] in _NOT_PAGES:
            raise Refusal(404, "Not Found", where=request.url.path)
        index = self._bundle / "index.html"
        if not index.is_file():
            return HTMLResponse(_NOT_BUILT, 503, {**_HEADERS, "Cache-Control": "no-store"})
        asset = path.startswith("static/")
        found = _files(self._bundle, index.stat().st_mtime_ns).get(path, None if asset else index)
        if found is None:
            raise Refusal(404, "Not Found", where=request.url.path)
        return _file(found, request.headers, _FOREVER if asset else _CHECKED)


@lru_cache(maxsize=1)
def _files(bundle: Path, _built: int) -> dict[str, Path]:
    """Return the files that may be asked for, by path: no path of a request is ever opened."""
    packed = tuple(suffix for _, suffix in _PACKED)
    files = (path for path in bundle.rglob("*") if path.is_file() and not path.name.endswith(packed))
    return {path.relative_to(bundle).as_posix(): path for path in files}


def _file(path: Path, asked: Headers, caching: str) -> Response:
    headers = {**_HEADERS, "Cache-Control": caching}
    media_type = mimetypes.guess_type(path.name)[0]
    accepted = _encodings(asked.get("accept-encoding", ""))
    for encoding, suffix in _PACKED:
        packed = path.with_name(path.name + suffix)
        if encoding in accepted and packed.is_file():
            path, headers = packed, headers | {"Content-Encoding": encoding}
            break
    response = FileResponse(path, headers=headers, media_type=media_type, stat_result=path.stat())
    if asked.get("if-none-match") == response.headers["etag"]:
        return Response(status_code=304, headers=headers | {"ETag": response.headers["etag"]})
    return response


def _encodings(header: str) -> set[str]:
    """Return the encodings that a client takes."""
    found = set()
    for part in header.lower().split(","):
        name, _, weight = part.partition(";")
        if weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000"):
            found.add(name.strip())
    return found
