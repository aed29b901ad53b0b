"""The folder of clips: each whole or not there, and all of them no larger than they may be."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from pathlib import Path

import av
from av.error import FFmpegError

from ecolite_stream.errors import ConfigError
from ecolite_stream.media.clip_names import clip_name

MARK = "ecolite-stream event clip"
"""In the comment of every clip: what has none is never deleted, whatever its name."""
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_OLDER = r".+(@-?\d+\.\d{3}(%23\d+)?|~[0-9a-f]{32})"  # before events had UUIDs
_NAME = re.compile(rf"({_UUID}|{_OLDER})\.mp4")
_PART = ".part"
_FORGOTTEN_S = 3600.0


class ClipStore:
    """Clips of events in a folder, named as the page looks for them.

    Args:
        folder: made if it is not there.
        max_bytes: size of all clips together; the oldest go, but never the newest. One that is
            read-only is kept, and does not count.

    Raises:
        ConfigError: nothing can be written there.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._others: set[str] = set()  # that are named like clips and are none
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / f".{os.getpid()}{_PART}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise ConfigError(
                f"clips: {folder} cannot be written to: {error.strerror}; choose another folder"
            ) from error
        self._clear()

    def part(self, event_id: str) -> Path:
        """Where to write the clip of an event until it is whole."""
        return self._folder / f".{clip_name(event_id)}{_PART}"

    def keep(self, event_id: str) -> None:
        """What was written is whole: give it its name, and make room for it.

        Raises:
            OSError: it cannot be renamed.
        """
        name = clip_name(event_id)
        self.part(event_id).replace(self._folder / name)
        self._make_room(name)

    def _make_room(self, newest: str) -> None:
        clips = self._clips()
        total = sum(size for _, size, _ in clips)
        for _, size, name in sorted(clips):
            if total <= self._max_bytes:
                return
            if name != newest and self._is_ours(name):
                (self._folder / name).unlink(missing_ok=True)
                total -= size

    def _clips(self) -> list[tuple[int, int, str]]:
        """(time of change in ns, size in bytes, name) of each."""
        clips = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name in self._others or not _NAME.fullmatch(entry.name):
                    continue
                if entry.is_file(follow_symlinks=False):
                    found = entry.stat(follow_symlinks=False)
                    if found.st_mode & stat.S_IWUSR:
                        clips.append((found.st_mtime_ns, found.st_size, entry.name))
        return clips

    def _is_ours(self, name: str) -> bool:
        with contextlib.suppress(FFmpegError, OSError), av.open(self._folder / name) as container:
            if container.metadata.get("comment") == MARK:
                return True
        self._others.add(name)
        return False

    def _clear(self) -> None:
        """Delete what a run that was killed left half written."""
        for part in self._folder.glob(f".*{_PART}"):
            name = part.name.removeprefix(".").removesuffix(_PART)
            with contextlib.suppress(OSError):
                if _NAME.fullmatch(name) and time.time() - part.stat().st_mtime > _FORGOTTEN_S:
                    part.unlink()
