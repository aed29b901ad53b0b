"""The folder that clips of events are in, and the one name that each event's clip has."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from urllib.parse import quote

_LONGEST_NAME = 200
SUFFIX = ".mp4"


def clip_name(event_id: str) -> str:
    """The name of an event's clip, whatever is in its id: no folder, and short enough for any disk.

    >>> clip_name("rtsp://door/1@12.500")
    'rtsp%3A%2F%2Fdoor%2F1@12.500.mp4'
    """
    name = quote(event_id, safe="@", errors="surrogateescape")
    if len(name) > _LONGEST_NAME:
        digest = hashlib.sha256(event_id.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        name = f"{name[: _LONGEST_NAME - 33]}~{digest}"
    return name + SUFFIX


class ClipFolder:
    """The clips in a folder; nothing else in it or outside can be named."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> frozenset[str]:
        """Names of the clips that are there: files themselves, no links; none without a folder."""
        try:
            with os.scandir(self._folder) as entries:
                return frozenset(
                    entry.name
                    for entry in entries
                    if entry.name.endswith(SUFFIX) and entry.is_file(follow_symlinks=False)
                )
        except OSError:
            return frozenset()

    def path(self, name: str) -> Path | None:
        """The file of that name, if it is one of `names`."""
        return self._folder / name if name in self.names() else None
