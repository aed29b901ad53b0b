"""Segments of long videos as clips, without cutting: `<folder>/<video>` and its marks beside it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ecolite_stream.datasets.collected import check_label
from ecolite_stream.datasets.labelled_clips import ClipFile, ClipKind, clip_kind, clips_in
from ecolite_stream.datasets.labelled_clips import find_clips as find_whole_clips
from ecolite_stream.datasets.segments import SUFFIXES, Marked, read_segments
from ecolite_stream.datasets.text_files import printable
from ecolite_stream.errors import ConfigError

WHOLE = Marked(0.0, math.inf, "")
"""All of a file."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SegmentFile(ClipFile):
    """A clip that is a segment of a video; `name` is `<class>/<video>@<start>-<end>`."""

    segment: Marked

    @property
    def name(self) -> str:
        one = self.segment
        unit = "frame " if one.in_frames else ""
        return f"{super().name}@{unit}{_number(one.start)}-{_number(one.end)}"

    @property
    def recording(self) -> str:
        """Name of the video, which its segments are held out with."""
        return printable(self.path.name)


def segment_of(clip: ClipFile) -> Marked:
    """The part of its file that a clip is."""
    return clip.segment if isinstance(clip, SegmentFile) else WHOLE


def find_clips(folders: Sequence[Path], tier: str | None = None) -> list[ClipFile]:
    """The videos in `<folder>/<class>/`, and the segments of marked videos in the folders.

    Args:
        folders: at least one.
        tier: of ELAN files, this one alone; None takes all.

    Raises:
        ConfigError: a folder holds neither, or marks cannot be read.
    """
    found: list[ClipFile] = []
    for folder in folders:
        marked = find_segments(folder, tier) if folder.is_dir() else []
        found += marked
        if not marked or clips_in(folder, ClipKind.VIDEO):
            found += find_whole_clips([folder])
    return sorted(found, key=lambda clip: (clip.name, clip.path))


def find_segments(
    folder: Path, tier: str | None = None, on_unmarked: Callable[[str], object] = _log.warning
) -> list[SegmentFile]:
    """The segments of the videos in a folder that have a .csv, .eaf or .json file of their name.

    Args:
        folder: of the videos.
        tier: of ELAN files, this one alone; None takes all.
        on_unmarked: takes a line about each video without marks.

    Raises:
        ConfigError: marks cannot be read, a label can be none, or files of one name are ambiguous.
    """
    try:
        videos = [path for path in sorted(folder.iterdir()) if clip_kind(path) is ClipKind.VIDEO]
    except OSError as error:
        raise ConfigError(f"clip folder {folder} cannot be read: {error.strerror}") from error
    found: list[SegmentFile] = []
    read: dict[Path, Path] = {}
    for video in videos:
        tracks = [path for suffix in SUFFIXES if (path := video.with_suffix(suffix)).exists()]
        if not tracks:
            wanted = ", ".join(video.with_suffix(suffix).name for suffix in SUFFIXES)
            on_unmarked(f"left out {video}: it lies in no action, and has no {wanted}")
            continue
        if len(tracks) > 1:
            names = " and ".join(path.name for path in tracks)
            raise ConfigError(f"{video} is marked in {names}; keep one of them")
        other = read.setdefault(tracks[0], video)
        if other is not video:
            raise ConfigError(f"{tracks[0]} marks {other.name} and {video.name}; rename one video")
        found += _segments(video, tracks[0], tier)
    return found


def _segments(video: Path, track: Path, tier: str | None) -> list[SegmentFile]:
    marked = dict.fromkeys(read_segments(track, tier))
    try:
        for label in {one.label for one in marked}:
            check_label(label)
    except ConfigError as error:
        raise ConfigError(f"{track}: {error}") from error
    return [SegmentFile(video, one.label, one) for one in marked]


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")
