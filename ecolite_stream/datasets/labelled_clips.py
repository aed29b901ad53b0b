"""Labelled clips on disk: `<folder>/<class>/<clip>`, a video or a folder of its frames."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ecolite_stream.datasets.frame_folders import is_frame
from ecolite_stream.datasets.text_files import printable, with_slashes
from ecolite_stream.errors import ConfigError

VIDEO_SUFFIXES = (".avi", ".mp4", ".mkv", ".webm", ".mov", ".m4v", ".mpg", ".mpeg")
"""Suffixes of clips, in lower case; files may use capitals."""

MAX_DEPTH = 5
MAX_FOLDERS = 2000
"""How far `where_clips_lie` looks."""

_NUMBERS = re.compile(r"(\s+[0-9]+)+$")


class ClipKind(Enum):
    """Form of a clip on disk."""

    VIDEO = "video"
    FRAMES = "folder of frames"


@dataclass(frozen=True)
class ClipFile:
    """A clip in a class folder; `name` is `<class>/<file>` as printable text."""

    path: Path
    label: str

    @property
    def name(self) -> str:
        return f"{self.label}/{printable(self.path.name)}"


def clip_kind(path: Path) -> ClipKind | None:
    """The kind of clip at a path; None if it is no clip.

    A clip is a file named as a video or a folder with frames in it. Hidden ones, whose name begins
    with a dot, are none: a Mac leaves `._<file>` beside each file that it copies. A broken link
    named as a video is a clip, so that it is reported.
    """
    if path.name.startswith("."):
        return None
    if path.is_dir():
        try:
            return ClipKind.FRAMES if any(map(is_frame, path.iterdir())) else None
        except OSError:  # no permission: reading the clip reports it
            return ClipKind.FRAMES
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        return None
    is_link_to_nothing = path.is_symlink() and not path.exists()
    return ClipKind.VIDEO if path.is_file() or is_link_to_nothing else None


def clips_in(folder: Path, *kinds: ClipKind) -> list[ClipFile]:
    """The clips of these kinds in `<folder>/<class>/`, sorted by class and name."""
    return sorted(
        (
            ClipFile(path, label_of(path))
            for path in folder.glob("*/*")
            if not path.parent.name.startswith(".") and clip_kind(path) in kinds
        ),
        key=lambda clip: (clip.name, clip.path),
    )


def find_videos(folder: Path) -> list[Path]:
    """All videos below a folder, sorted; none that is hidden or in a hidden folder.

    Raises:
        ConfigError: there is none.
    """
    found = sorted(
        path
        for path in folder.rglob("*")
        if clip_kind(path) is ClipKind.VIDEO
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not found:
        raise ConfigError(
            f"{folder} holds no video; name a folder of footage ({', '.join(VIDEO_SUFFIXES)})"
        )
    return found


def label_of(path: Path) -> str:
    """The class of a clip: the name of the folder that it lies in, as printable text."""
    return printable(path.parent.name)


def find_clips(folders: Iterable[Path]) -> list[ClipFile]:
    """All videos in `<folder>/<class>/`, sorted by class and name.

    Raises:
        ConfigError: a folder does not exist or holds no class folder with a video in it; the
            message says where clips lie instead.
    """
    found: list[ClipFile] = []
    for folder in folders:
        require_folder(folder)
        here = clips_in(folder, ClipKind.VIDEO)
        if not here:
            suffixes = ", ".join(VIDEO_SUFFIXES)
            where = where_clips_lie(folder, ClipKind.VIDEO)
            raise ConfigError(f"{folder} has no <class>/<clip> with one of {suffixes}; {where}")
        found += here
    return sorted(found, key=lambda clip: (clip.name, clip.path))


def require_folder(folder: Path) -> None:
    """Pass where a folder of clips is there.

    Raises:
        ConfigError: it is not.
    """
    if not folder.is_dir():
        raise ConfigError(
            f"clip folder {folder} does not exist; expected a folder with <class>/<clip> in it"
        )


def where_clips_lie(folder: Path, *kinds: ClipKind) -> str:
    """Advice for a folder without `<class>/<clip>` of these kinds."""
    for path in _walk(folder):
        kind = clip_kind(path)
        depth = len(path.relative_to(folder).parts)
        if kind is None or (kind in kinds and depth == 2):
            continue
        if kind not in kinds:
            return (
                f"it holds folders of frames, such as {path}: name the videos, or train on frames "
                "with the lists of trainer.data.gen_dataset_lists"
            )
        if depth == 1:
            return (
                f"its clips lie in the folder itself, such as {path.name}: name the folder above "
                "it if it is a class, else put each clip into a folder named as its class"
            )
        root = path.parent.parent
        return f"its clips lie deeper, such as {path}: name {root}"
    return "put each clip into a folder named as its class"


def _walk(folder: Path) -> Iterator[Path]:
    """Entries of a folder, files first, within bounds of depth and number."""
    for number, (here, folders, files) in enumerate(os.walk(folder)):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(here) / name for name in sorted(files))
        yield from (Path(here) / name for name in folders)
        if len(Path(here).relative_to(folder).parts) >= MAX_DEPTH - 1:
            folders.clear()
        if number >= MAX_FOLDERS:
            return


def listed_name(text: str) -> str:
    """The clip that a line of a list names: `<class>/<file>` as printable text.

    The line may have numbers behind the name, such as a class index. Names have spaces and numbers
    of their own, so that numbers are dropped only behind the suffix of a video.
    """
    name = with_slashes(text.strip())
    shorter = _NUMBERS.sub("", name)
    return printable(shorter if Path(shorter).suffix.lower() in VIDEO_SUFFIXES else name)


def without_suffix(name: str) -> str:
    """`Archery/a.avi` -> `Archery/a`; only the suffix of a video is one."""
    suffix = Path(name).suffix
    return name.removesuffix(suffix) if suffix.lower() in VIDEO_SUFFIXES else name
