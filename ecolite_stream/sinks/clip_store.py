"""The folder of clips: each whole or not there, and all of them no larger than they may be."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
import time
from pathlib import Path

import av
from av.error import FFmpegError

from ecolite_stream.errors import ConfigError
from ecolite_stream.media.clip_names import clip_name
from ecolite_stream.media.new_files import PART, create_part

MARK = "ecolite-stream event clip"
"""In the comment of every clip: what has none is never deleted, whatever its name."""
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_OLDER = r".+(@-?\d+\.\d{3}(%23\d+)?|~[0-9a-f]{32})"  # before events had UUIDs
_NAME = re.compile(rf"({_UUID}|{_OLDER})\.mp4")
_PARTS = re.compile(rf"\.{_NAME.pattern}(\.[0-9a-f]{{8}})?{re.escape(PART)}")
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
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise ConfigError(
                f"clips: {folder} cannot be written to: {error.strerror}; choose another folder"
            ) from error
        self._clear()

    def new_part(self, event_id: str) -> Path:
        """A new file for the clip of an event until it is whole; no other run writes to it.

        Raises:
            OSError: it cannot be made.
        """
        return create_part(self._folder, clip_name(event_id))

    def keep(self, part: Path, event_id: str) -> None:
        """What was written is whole: give it its name, and make room for it.

        Raises:
            OSError: it cannot be renamed.
        """
        name = clip_name(event_id)
        part.replace(self._folder / name)
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
                    with contextlib.suppress(FileNotFoundError):  # another run made room, too
                        found = entry.stat(follow_symlinks=False)
                        if not found.st_mode & stat.S_IWUSR:
                            continue
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
        for part in self._folder.glob(f".*{PART}"):
            with contextlib.suppress(OSError):
                changed_unix_s = part.lstat().st_mtime
                if _PARTS.fullmatch(part.name) and time.time() - changed_unix_s > _FORGOTTEN_S:
                    part.unlink()
