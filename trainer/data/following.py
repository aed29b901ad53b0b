"""`framing: follow` for clips: the squares that a live stream would sample.

The code of live streams (`ecolite_stream.views`) runs over each clip, so training and live see the
same. A clip gets several smallest squares, and places in a larger still picture, since people stand
near and far.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ecolite_stream.model.preprocess import resize
from ecolite_stream.types import Box, Frame, Image
from ecolite_stream.views.follow import SMALLEST, Follower
from ecolite_stream.views.motion import MotionDetector
from ecolite_stream.views.squares import cut
from trainer.data.budget import Budget
from trainer.data.clips import Clip, Frames, HeldClip, Indices
from trainer.data.parallel import in_parallel

PLACED_SCALES = (1.0, 0.5)
"""Sizes at which a clip is placed into a larger picture, in turn."""


@dataclass(frozen=True)
class Following:
    """Squares that follow motion.

    Attributes:
        side: side S of the squares, in pixels.
        smallest: smallest squares, in short sides of the picture; each gives a variant of a clip.
            The first is that of a live stream.
        placed: number of further variants, placed in a still picture of four times the area.
    """

    side: int
    smallest: tuple[float, ...] = (SMALLEST,)
    placed: int = 0

    def variants(self, clip: Clip, budget: Budget, seed: int = 0) -> list[Clip]:
        """The variants of a clip: squares (F, S, S, 3), the first as in a live stream.

        Variants beyond the budget are cut from the clip at each read, and never placed into
        larger pictures.
        """
        frames = list(clip.read(range(clip.num_frames)))
        shown: list[Clip] = []
        for smallest in self.smallest:
            boxes = follow_boxes(_as_stream(frames, clip.fps), smallest)
            boxed = BoxedClip(clip.name, clip.label, clip.fps, clip, tuple(boxes), self.side)
            fits = budget.reserve(len(frames) * self.side * self.side * 3)
            shown.append(self._held(clip, frames, boxes) if fits else boxed)
        for number in range(self.placed):
            if not budget.reserve(len(frames) * self.side * self.side * 3):
                break
            rng = np.random.default_rng([seed, number, *clip.name.encode(errors="surrogateescape")])
            larger = place(frames, PLACED_SCALES[number % len(PLACED_SCALES)], rng)
            boxes = follow_boxes(_as_stream(larger, clip.fps), self.smallest[0])
            shown.append(self._held(clip, larger, boxes))
        return shown

    def _held(self, clip: Clip, frames: Sequence[Image], boxes: Sequence[Box]) -> Clip:
        squares = np.stack([_square(*pair, self.side) for pair in zip(frames, boxes, strict=True)])
        return HeldClip(clip.name, clip.label, squares, clip.fps)


@dataclass(frozen=True, eq=False)
class BoxedClip(Clip):
    """A clip seen through one box a frame, as squares of `side` pixels."""

    name: str
    label: str
    fps: float
    clip: Clip
    boxes: tuple[Box, ...]
    side: int

    @property
    def num_frames(self) -> int:
        return self.clip.num_frames

    def read(self, indices: Indices) -> Frames:
        pairs = zip(self.clip.read(indices), indices, strict=True)
        return np.stack([_square(image, self.boxes[int(i)], self.side) for image, i in pairs])


def follow_clips(
    clips: Sequence[Clip], how: Following, budget: Budget, workers: int
) -> list[list[Clip]]:
    """The variants of each clip."""
    return in_parallel(lambda clip: how.variants(clip, budget), clips, workers, "following")


def _square(image: Image, box: Box, side: int) -> Image:
    return resize(cut(image, box), (side, side))


def follow_boxes(frames: Iterable[Frame], smallest: float = SMALLEST) -> list[Box]:
    """The box of a live stream, frame by frame."""
    detector, follower = MotionDetector(), Follower(smallest)
    return [follower.follow(detector.look(frame)) for frame in frames]


def still_squares(clips: Sequence[Clip], side: int) -> list[Clip]:
    """Still clips as squares of random place and size, as after a subject has left.

    Each takes the memory of one square (S, S, 3).
    """
    shown: list[Clip] = []
    for number, clip in enumerate(clips):
        picture = clip.read([0])[0]
        rng = np.random.default_rng(number)
        height, width = picture.shape[:2]
        length = min(height, width) * (1.0 if number % 3 == 0 else rng.uniform(SMALLEST, 1.0))
        box = Box(
            rng.uniform(0, width - length) / width,
            rng.uniform(0, height - length) / height,
            length / width,
            length / height,
        )
        square = resize(cut(picture, box), (side, side))
        frames = np.broadcast_to(square, (clip.num_frames, *square.shape))
        shown.append(HeldClip(clip.name, clip.label, frames, clip.fps))
    return shown


def place(frames: Sequence[Image], scale: float, rng: np.random.Generator) -> list[Image]:
    """Frames (H, W, 3) at a random place of a still picture (2 H, 2 W, 3), at a scale up to 1."""
    height, width = frames[0].shape[:2]
    still = np.median(np.stack(frames[:: max(1, len(frames) // 15)]), axis=0).astype(np.uint8)
    canvas = resize(still, (2 * width, 2 * height))
    rows, columns = round(scale * height), round(scale * width)
    top = int(rng.integers(2 * height - rows + 1))
    left = int(rng.integers(2 * width - columns + 1))
    placed = []
    for frame in frames:
        picture = canvas.copy()
        picture[top : top + rows, left : left + columns] = resize(frame, (columns, rows))
        placed.append(picture)
    return placed


def _as_stream(frames: Sequence[Image], fps: float) -> Iterable[Frame]:
    return (Frame("clip", index, index / fps, image) for index, image in enumerate(frames))
