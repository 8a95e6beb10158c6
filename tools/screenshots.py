"""Take the dashboard's pictures in the README and the manual: of a live demo, in Chromium, with few colors."""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Without a graphics card, and as root in containers.
ARGUMENTS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
#: Name below `docs`, and address.
PICTURES = {"dashboard.png": "/map?grid=nws&opacity=60", "dashboard_now.png": "/now"}
_SIZE = {"width": 1280, "height": 800}
_COLORS = 256
_MOST_BYTES = 200_000
#: Until radars have looked a few times, and until a screen has all of its data, ms.
_STORMS_MS, _SCREEN_MS = 120_000, 30_000


def main(arguments: list[str]) -> int:
    """Take all pictures."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    out = parser.parse_args(arguments).out
    program = os.environ.get("DYNAMO_TEST_CHROMIUM") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder, demo(Path(folder)) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        page = browser.new_page(viewport=_SIZE, color_scheme="dark")
        page.wait_for_timeout(_STORMS_MS)
        for name, address in PICTURES.items():
            page.goto(url + address)
            page.wait_for_timeout(_SCREEN_MS)
            content = _small(page.screenshot())
            if len(content) > _MOST_BYTES:
                sys.exit(f"{name} has {len(content)} bytes, more than {_MOST_BYTES}")
            (out / name).write_bytes(content)
        browser.close()
    return 0


@contextmanager
def demo(folder: Path) -> Iterator[str]:
    """Run a live demo; yield the dashboard's address."""
    command = [sys.executable, "-m", "dynamo", "demo", "--serve", "--listen", "127.0.0.1:0", "--out", str(folder)]
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None  # noqa: S101 - it is a pipe
        found = (re.search(r"dashboard: (\S+)", line) for line in process.stderr)
        address = next((match[1] for match in found if match), None)
        if address is None:
            sys.exit("the demo does not start")
        yield address
        process.send_signal(signal.SIGINT)
        process.stderr.read()


def _small(png: bytes) -> bytes:
    from PIL import Image

    packed = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").quantize(_COLORS, dither=Image.Dither.NONE).save(packed, "PNG", optimize=True)
    return packed.getvalue()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
