"""Labelled clips on disk: `<folder>/<class>/<file>`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ecolite_stream.errors import ConfigError

VIDEO_SUFFIXES = (".avi", ".mp4", ".mkv", ".webm", ".mov", ".m4v", ".mpg", ".mpeg")
"""Of clips, in lower case; a file's own may be in capitals."""


@dataclass(frozen=True)
class ClipFile:
    """A file in a class folder; `name` is `<class>/<file>`."""

    path: Path
    label: str

    @property
    def name(self) -> str:
        return f"{self.label}/{self.path.name}"


def find_clips(folders: Iterable[Path]) -> list[ClipFile]:
    """All video files in `<folder>/<class>/`, sorted by class and name.

    What is hidden, its name beginning with a dot, is no clip: a Mac leaves `._<file>` beside each
    file that it copies.

    Raises:
        ConfigError: a folder does not exist or holds no class folder with a video in it.
    """
    found: list[ClipFile] = []
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(
                f"clip folder {folder} does not exist; expected a folder with <class>/<clip> in it"
            )
        here = [ClipFile(path, path.parent.name) for path in folder.glob("*/*") if _is_clip(path)]
        if not here:
            suffixes = ", ".join(VIDEO_SUFFIXES)
            raise ConfigError(f"{folder} has no <class>/<clip> with one of {suffixes}")
        found += here
    return sorted(found, key=lambda clip: (clip.name, clip.path))


def _is_clip(path: Path) -> bool:
    hidden = path.name.startswith(".") or path.parent.name.startswith(".")
    return not hidden and path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()
