"""Kernel events of a folder, through watchdog: files closed after writing and files moved in."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyFullEmitter, InotifyObserver
from watchdog.observers.inotify_c import InotifyConstants

from dynamo.feeds.base import How

Told = Callable[[Path, How], None]


class _Emitter(InotifyFullEmitter):
    """An emitter that subscribes only to the two kinds of events that matter.

    Watchdog delays the event of a file moved OUT of the folder by half a second, to pair it with its new place, and
    all later events with it. So moves out (to quarantine, to an archive) are not subscribed to. The full emitter
    distinguishes a file moved in from one merely created.
    """

    def get_event_mask_from_filter(self) -> Any:
        mask = InotifyConstants.IN_CLOSE_WRITE | InotifyConstants.IN_MOVED_TO | InotifyConstants.IN_DELETE_SELF
        return mask | InotifyConstants.IN_CREATE if self.watch.is_recursive else mask


class _Handler(FileSystemEventHandler):
    def __init__(self, on_file: Told, on_folder: Told) -> None:
        self._on_file = on_file
        self._on_folder = on_folder

    def on_any_event(self, event: FileSystemEvent) -> None:
        source, goal = Path(os.fsdecode(event.src_path)), Path(os.fsdecode(event.dest_path))
        if isinstance(event, FileClosedEvent):
            self._on_file(source, "closed")
        elif isinstance(event, FileMovedEvent):
            self._on_file(goal, "moved")
        elif isinstance(event, DirMovedEvent):
            self._on_folder(goal, "moved")
        elif isinstance(event, DirCreatedEvent):
            # Files may have been written before the watch on the new folder was set.
            self._on_folder(source, "scan")


def watch(folder: Path, *, recursive: bool, on_file: Told, on_folder: Told) -> BaseObserver:
    """Watch a folder; return the observer, already started. Callbacks run in its thread."""
    observer = InotifyObserver(generate_full_events=True)
    # The observer offers no other way to choose its emitter.
    observer._emitter_class = _Emitter
    observer.schedule(
        _Handler(on_file, on_folder),
        str(folder),
        recursive=recursive,
        event_filter=[FileClosedEvent, FileMovedEvent, DirMovedEvent, DirCreatedEvent],
    )
    observer.start()
    return observer
