"""An S3 server of a test's own, and what is in its buckets, seen without the client that is tested."""

from __future__ import annotations

import contextlib
import re
import urllib.request
from collections.abc import Iterator
from urllib.parse import quote, unquote

from moto.server import ThreadedMotoServer

KEY = "AKIAEXAMPLEEXAMPLE00"
#: What the client finds in the environment; this server looks at no keys.
KEYS = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": "not-a-secret"}


@contextlib.contextmanager
def s3_server() -> Iterator[str]:
    """Run a server and yield its address."""
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


def make_bucket(server: str, bucket: str) -> None:
    """Make a bucket."""
    _ask("PUT", f"{server}/{bucket}")


def content_of(server: str, bucket: str) -> dict[str, bytes]:
    """Return all objects of a bucket, by name; at most 1000."""
    listed = _ask("GET", f"{server}/{bucket}?list-type=2&encoding-type=url").decode()
    names = [unquote(name) for name in re.findall("<Key>(.*?)</Key>", listed)]
    return {name: _ask("GET", f"{server}/{bucket}/{quote(name)}") for name in names}


def _ask(method: str, url: str) -> bytes:
    # It wants a signature, and compares it with nothing.
    headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={KEY}/20260101/us-east-1/s3/aws4_request"}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers, method=method)) as answer:
        return bytes(answer.read())
