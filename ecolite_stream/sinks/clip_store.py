"""The folder of clips: complete files only, bounded in total size."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
import time
from pathlib import Path

from ecolite_stream.errors import ConfigError
from ecolite_stream.media.clip_names import clip_name
from ecolite_stream.media.new_files import PART, create_part

MARK = "ecolite-stream event clip"
"""The comment in every clip; a file without it is never deleted, whatever its name."""
BEGINS = "description"
"""The tag with the seconds at which the event begins in its clip."""
DRAWN = "keywords"
"""The tag of a clip into whose pictures boxes are drawn."""
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_OLDER = r".+(@-?\d+\.\d{3}(%23\d+)?|~[0-9a-f]{32})"  # before events had UUIDs
_NAME = re.compile(rf"({_UUID}|{_OLDER})\.mp4")
_PARTS = re.compile(rf"\.{_NAME.pattern}(\.[0-9a-f]{{8}})?{re.escape(PART)}")
_FORGOTTEN_S = 3600.0


class ClipStore:
    """Clips of events in a folder, under the names that the page expects.

    Args:
        folder: made if missing.
        max_bytes: total size of the clips. The oldest are deleted, never the newest. Read-only
            clips are kept and do not count.

    Raises:
        ConfigError: the folder cannot be written to.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._others: set[str] = set()  # files named like clips that are none
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except FileExistsError as error:
            raise ConfigError(f"clips: {folder} is a file; choose another folder") from error
        except OSError as error:
            raise ConfigError(
                f"clips: {folder} cannot be written to: {error.strerror}; choose another folder"
            ) from error
        self._clear()

    def new_part(self, event_id: str) -> Path:
        """Make a temporary file for the clip of an event; no other run writes to it.

        Raises:
            OSError: the file cannot be made.
        """
        return create_part(self._folder, clip_name(event_id))

    def keep(self, part: Path, event_id: str) -> None:
        """Give a complete clip its name, and delete old clips to make room.

        Raises:
            OSError: the file cannot be renamed.
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
        """(modification time in ns, size in bytes, name) of each."""
        clips = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name in self._others or not _NAME.fullmatch(entry.name):
                    continue
                if entry.is_file(follow_symlinks=False):
                    with contextlib.suppress(FileNotFoundError):  # another run deleted it
                        found = entry.stat(follow_symlinks=False)
                        if not found.st_mode & stat.S_IWUSR:
                            continue
                        clips.append((found.st_mtime_ns, found.st_size, entry.name))
        return clips

    def _is_ours(self, name: str) -> bool:
        import av
        from av.error import FFmpegError

        with contextlib.suppress(FFmpegError, OSError), av.open(self._folder / name) as container:
            if container.metadata.get("comment") == MARK:
                return True
        self._others.add(name)
        return False

    def _clear(self) -> None:
        """Delete incomplete files of killed runs."""
        for part in self._folder.glob(f".*{PART}"):
            with contextlib.suppress(OSError):
                changed_unix_s = part.lstat().st_mtime
                if _PARTS.fullmatch(part.name) and time.time() - changed_unix_s > _FORGOTTEN_S:
                    part.unlink()
