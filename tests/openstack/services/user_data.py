"""What a server is to run: user data, as cloud-init takes it, turned into executable parts.

Understood are ``#!`` scripts, ``#cloud-config`` with ``bootcmd``, ``write_files``, ``runcmd``, MIME multipart of these,
and all of that gzipped. Standard library and PyYAML only: this runs in the environment of nova.
"""

from __future__ import annotations

import base64
import binascii
import email
import gzip
import shlex
from typing import Any

import yaml

PACKED = ("gz", "gzip", "gz+base64", "gzip+base64", "gz+b64", "gzip+b64")


def parts(user_data: bytes) -> list[tuple[str, bytes]]:
    """The executable parts in their order: name and content.

    What is not understood becomes a part that says so on the console, as cloud-init logs it and goes on.
    """
    if user_data[:2] == b"\x1f\x8b":
        user_data = gzip.decompress(user_data)
    head = user_data.lstrip()[:64].lower()
    if head.startswith((b"content-type:", b"mime-version:", b"from ")):
        found: list[tuple[str, bytes]] = []
        for number, part in enumerate(email.message_from_bytes(user_data).walk()):
            if not part.is_multipart():
                content = part.get_payload(decode=True)
                assert isinstance(content, bytes)
                found += [(f"{number:02}-{name}", text) for name, text in parts(content)]
        return found
    if user_data.startswith(b"#!"):
        return [("script", user_data)]
    if user_data.startswith(b"#cloud-config"):
        return [("cloud-config", _from_cloud_config(user_data))]
    return [("unknown", _complaint(f"user data of an unknown kind: {user_data[:20]!r}"))] if user_data.strip() else []


def _complaint(text: str) -> bytes:
    return f"#!/bin/sh\necho {shlex.quote('[machine] ' + text)}\n".encode()


def _from_cloud_config(text: bytes) -> bytes:
    try:
        config: dict[str, Any] = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        return _complaint(f"cloud-config is not YAML: {error}")
    lines = ["#!/bin/bash"]
    if ignored := sorted(config.keys() - {"bootcmd", "write_files", "runcmd"}):
        lines.append(f"echo {shlex.quote('[machine] cloud-config keys without effect: ' + ', '.join(ignored))}")
    lines += [_command(command) for command in config.get("bootcmd") or []]
    for entry in config.get("write_files") or []:
        # FILES_ROOT is empty where the server has a root of its own, else the server's folder.
        path = '"$FILES_ROOT"' + shlex.quote(str(entry["path"]))
        content = base64.b64encode(_content(entry)).decode()
        arrow = ">>" if entry.get("append") else ">"
        lines.append(f'mkdir -p "$(dirname {path})" && base64 -d {arrow} {path} <<< {content} || exit 1')
        lines.append(f"chmod {int(str(entry.get('permissions', '0644')), 8):o} {path}")
        if owner := entry.get("owner"):
            lines.append(f"chown {shlex.quote(str(owner))} {path}")
    lines += [_command(command) for command in config.get("runcmd") or []]
    return ("\n".join(lines) + "\n").encode()


def _content(entry: dict[str, Any]) -> bytes:
    content = entry.get("content") or ""
    raw = content if isinstance(content, bytes) else str(content).encode()
    encoding = str(entry.get("encoding") or "").lower()
    try:
        if encoding in ("b64", "base64") or encoding in PACKED:
            raw = base64.b64decode(raw)
    except binascii.Error:
        return raw
    return gzip.decompress(raw) if encoding in PACKED else raw


def _command(command: object) -> str:
    # cloud-init: a list is quoted word by word, a string goes to the shell as it is.
    return shlex.join(str(word) for word in command) if isinstance(command, list) else str(command)
