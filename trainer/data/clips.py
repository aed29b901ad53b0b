"""Labelled clips: frames at a rate, read by number.

This module has clips in memory, windows and stills; `trainer.data.reading` has clips from files.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.uint8]
"""(K, H, W, 3) uint8 BGR."""
Indices = Sequence[int] | npt.NDArray[np.int64]
OTHER = ""
"""Label of a clip that shows none of the actions."""


class Clip(ABC):
    """A labelled clip.

    Attributes:
        name: `<class>/<file>`, or its origin.
        label: its class, or `OTHER`.
        fps: frames a second.
    """

    name: str
    label: str
    fps: float

    @property
    @abstractmethod
    def num_frames(self) -> int:
        """Number of frames, at least 1."""

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.num_frames / self.fps

    @abstractmethod
    def read(self, indices: Indices) -> Frames:
        """(K, H, W, 3) uint8 BGR: the frames with these K >= 1 numbers, in any order, from 0 on.

        Raises:
            IndexError: there is no such frame.
            SourceError: the file can no longer be read.
        """


@dataclass(frozen=True, eq=False)
class HeldClip(Clip):
    """A clip in memory: frames (F, H, W, 3) uint8 BGR."""

    name: str
    label: str
    frames: Frames
    fps: float

    @property
    def num_frames(self) -> int:
        return len(self.frames)

    def read(self, indices: Indices) -> Frames:
        check_indices(indices, self)
        return np.asarray(self.frames[np.asarray(indices)])


@dataclass(frozen=True, eq=False)
class ClipWindow(Clip):
    """`length` frames of a clip from number `start` on.

    Below 0 the clip's first frame is repeated.
    """

    name: str
    label: str
    fps: float
    clip: Clip
    start: int
    length: int

    @property
    def num_frames(self) -> int:
        return self.length

    def read(self, indices: Indices) -> Frames:
        check_indices(indices, self)
        return self.clip.read(np.maximum(np.asarray(indices) + self.start, 0))


def check_indices(indices: Indices, clip: Clip) -> None:
    """Raise an IndexError unless the clip has all these frames."""
    if not 0 <= min(indices) <= max(indices) < clip.num_frames:
        raise IndexError(
            f"{clip.name} has {clip.num_frames} frames; asked for {min(indices)} to {max(indices)}"
        )


def cut_windows(clip: Clip, seconds: float) -> list[Clip]:
    """Half-overlapping windows of a clip; the last one ends with it.

    A clip shorter than a window is padded with its first frame, as a stream that has just begun.
    Frames are shared, not copied.
    """
    length = max(1, round(seconds * clip.fps))
    last = clip.num_frames - length
    starts = {*range(0, last + 1, max(1, length // 2)), last}
    facts = (clip.name, clip.label, clip.fps)
    return [ClipWindow(*facts, clip, start, length) for start in sorted(starts)]


def still_clips(clips: Sequence[Clip], label: str, count: int, seconds: float = 3.0) -> list[Clip]:
    """Clips in which nothing happens, made from `count` others (or all, where there are fewer).

    Frozen frames and medians over time, which people who move vanish from, take turns. Each takes
    the memory of one picture.
    """
    stills: list[Clip] = []
    some = np.random.default_rng(0).permutation(len(clips))[:count]  # of every class and person
    for number, clip in enumerate(clips[i] for i in some):
        if number % 2:
            picture = np.median(clip.read(range(0, clip.num_frames, 4)), axis=0).astype(np.uint8)
        else:
            picture = clip.read([(number * 7) % clip.num_frames])[0]
        frames = np.broadcast_to(picture, (round(seconds * clip.fps), *picture.shape))
        stills.append(HeldClip(f"{label}/still of {clip.name}", label, frames, clip.fps))
    return stills
