"""Damages documents as editors, disks, and generators do: in their bytes, in their shape, and in their values."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

_BITS = 8
#: Values that no document wants where it gets them; some are of the right type elsewhere.
_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 10**30, -(10**30), 1e308, -0.0, 0.5),
    *("", " ", "a", "x" * 300, "\x1b[2J", "a\nb", "\u202e", "~nobody-of-that-name/x", "../../etc/passwd"),
    *("{inputs.nowcast}", "{", "{x:%Q}", "1e999", "2019-06-10T00:00:00Z", "NaN", "-5", "nowcast", "split"),
    *([], [[]], [None], [1, "a"], ["a", "a"]),
    *({}, {"": 1}, {"a": {"a": {}}}, {"from": "split.leads"}, {"x": ["y"]}),
)


def damaged(data: Any, dump: Callable[[Any], str], rng: random.Random) -> bytes:
    """Return a document as text that has been damaged in one or several ways.

    Parameters
    ----------
    data
        The sound document.
    dump
        Writes it.
    rng
        Says how; the same state damages in the same way.
    """
    if rng.random() < 0.7:
        data = copy.deepcopy(data)
        for _ in range(rng.choice((1, 1, 1, 2, 5))):
            data = _misshapen(data, rng)
        return dump(data).encode("utf-8", "surrogatepass")
    raw = bytearray(dump(data).encode())
    for _ in range(rng.choice((1, 1, 2, 20))):
        _corrupt(raw, rng)
    return bytes(raw)


def _misshapen(data: Any, rng: random.Random) -> Any:
    """Return data with one value replaced, removed, moved, or renamed."""
    places = [((), None), *_places(data)]
    path, parent = places[rng.randrange(len(places))]
    if parent is None:
        return rng.choice(_ODD) if rng.random() < 0.2 else data
    key = path[-1]
    way = rng.randrange(6)
    if way == 0:
        del parent[key]
    elif way == 1:
        parent[key] = [parent[key]]
    elif way == 2:
        parent[key] = {"x": parent[key]}
    elif way == 3 and isinstance(parent, dict):
        parent[str(key)[: rng.randrange(1, 9)] + rng.choice(("", "x", " ", "\x1b"))] = parent.pop(key)
    elif way == 4:
        other, home = places[rng.randrange(len(places))]
        parent[key] = copy.deepcopy(home[other[-1]]) if home is not None else 5
    else:
        parent[key] = copy.deepcopy(rng.choice(_ODD))
    return data


def _places(data: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Any]]:
    """Return the path of every value inside, with what holds it."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    found: list[tuple[tuple[str | int, ...], Any]] = []
    for key, value in items:
        found.append(((*path, key), data))
        found += _places(value, (*path, key))
    return found


def _corrupt(raw: bytearray, rng: random.Random) -> None:
    """Change bytes: cut off, flip a bit, remove, repeat, or insert some."""
    if not raw:
        return
    at = rng.randrange(len(raw))
    size = rng.choice((1, 2, 10, 100))
    way = rng.randrange(5)
    if way == 0:
        del raw[at:]
    elif way == 1:
        raw[at] ^= 1 << rng.randrange(_BITS)
    elif way == 2:
        del raw[at : at + size]
    elif way == 3:
        raw[at:at] = raw[at : at + size]
    else:
        raw[at:at] = rng.choice(
            (b"\0", b"\xff", b"{", b"]", b'"', b"'", b"\n", b"\r", b"\x1b[2J", b"#", b"- ", b": ", b"&a ")
        )
