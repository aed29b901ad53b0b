"""The folder that clips of events are in, and the one name that each event's clip has."""

from __future__ import annotations

import os
from pathlib import Path

from ecolite_stream.media.clip_names import SUFFIX


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
