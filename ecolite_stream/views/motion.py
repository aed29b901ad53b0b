"""What moves in a standing camera's picture, from differences of brightness between frames.

Works on small pictures of at most `LONG_SIDE` pixels. Light that is switched, sensor noise and a
camera that turns are no motion:

- Thresholds follow the noise of the picture, measured as the median difference between frames.
- A change of all brightness at once is taken off before pixels are compared.
- Where most of the picture changes, nothing is known to move: `Motion.everywhere` says so.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import numpy.typing as npt

from ecolite_stream.model.preprocess import shrink_luma
from ecolite_stream.types import Box, Frame, Luma

LONG_SIDE = 160
"""Pixels of the long side of the pictures that are compared."""
LOOK_S = 0.078
"""Seconds between two looks, about: half of the frames at 25 frames/s, and enough for people."""
LAG_S = 0.12
"""Seconds between the frames that are compared."""
RECENT_S = 0.4
"""Time constant with which motion is forgotten."""
LEAST_DIFFERENCE = 14.0
"""Levels of 256 by which a pixel that moves differs, in a picture without noise."""
NOISE_FACTOR = 9.0
"""Median differences that count as motion: over three standard deviations of a difference."""
EVERYWHERE = 0.5
"""Share of pixels that move beyond which the camera or the light does."""
ACTIVE = 0.37
"""Recent motion above which a pixel is active: it moved less than `RECENT_S` ago."""

Mask = npt.NDArray[np.uint8]
"""(h, w) uint8, 0 or 1."""


@dataclass(frozen=True, eq=False)
class Motion:
    """What moves at one look.

    Attributes:
        time_s: stream time of the look.
        moving: (h, w), what moves now.
        active: (h, w), what has moved lately.
        everywhere: most of the picture changes: the camera turns, or the light does.
        looked: whether this is a new look, and not the one before once more.
    """

    time_s: float
    moving: Mask = field(repr=False)
    active: Mask = field(repr=False)
    everywhere: bool = False
    looked: bool = True

    def within(self, box: Box | None) -> float:
        """Share of the pixels of a box, or of the picture, that move now."""
        moving = self.moving
        if box is not None:
            height, width = moving.shape
            top, left = math.floor(box.y * height), math.floor(box.x * width)
            bottom = max(top + 1, math.ceil((box.y + box.height) * height))
            right = max(left + 1, math.ceil((box.x + box.width) * width))
            moving = moving[top:bottom, left:right]
        return float(moving.mean())


class MotionDetector:
    """Finds what moves in the frames of one stream.

    Args:
        ignore: (boxes) where motion does not count, such as a clock that is drawn in.
    """

    def __init__(self, ignore: tuple[Box, ...] = ()) -> None:
        self._ignore = ignore
        self._past: deque[tuple[float, Luma]] = deque()
        self._recent = np.zeros((1, 1), np.float32)
        self._last: Motion | None = None
        self._noise = 0.0

    def look(self, frame: Frame) -> Motion:
        """Look at the next frame; its brightness is read only where a look is due."""
        last = self._last
        if last is not None and 0 <= frame.time_s - last.time_s < LOOK_S:
            return replace(last, looked=False)
        return self.observe(small_luma(frame), frame.time_s)

    def observe(self, luma: Luma, time_s: float) -> Motion:
        """Look at the next frame, (h, w) uint8 as `small_luma` makes it; times ascend.

        Frames that come sooner than `LOOK_S` after the last look repeat it.
        """
        last = self._last
        if last is not None:
            step_s = time_s - last.time_s
            if luma.shape != last.moving.shape or not 0 <= step_s <= 10 * RECENT_S:
                self._reset()
                last = None
            elif step_s < LOOK_S:
                return replace(last, looked=False)
        grey = cv2.GaussianBlur(luma, (3, 3), 0)
        moving, everywhere = self._compare(np.asarray(grey, np.uint8), time_s)
        if last is None:
            self._recent = np.zeros(luma.shape, np.float32)
        else:
            self._recent *= np.float32(math.exp(-(time_s - last.time_s) / RECENT_S))
        np.maximum(self._recent, moving, out=self._recent)
        active = (self._recent > ACTIVE).astype(np.uint8)
        self._last = Motion(time_s, moving, active, everywhere)
        return self._last

    def _reset(self) -> None:
        self._past.clear()
        self._last = None
        self._noise = 0.0

    def _compare(self, grey: Luma, time_s: float) -> tuple[Mask, bool]:
        """(what differs from `LAG_S` before, whether that is everywhere)."""
        past = self._past
        nothing = np.zeros(grey.shape, np.uint8)
        while len(past) > 1 and time_s - past[1][0] >= LAG_S - 1e-3:
            past.popleft()
        if not past:
            past.append((time_s, grey))
            return nothing, False
        difference = grey.astype(np.int16) - past[0][1]
        past.append((time_s, grey))
        # Light that is switched, or an exposure that adapts, moves the median of all pixels.
        difference -= np.int16(np.median(difference[::4, ::4]))
        size = np.abs(difference)
        noise = float(np.median(size[::2, ::2]))
        # A picture of noise is noisy for long, one that moves only for a while.
        self._noise = noise if noise < self._noise else self._noise + 0.1 * (noise - self._noise)
        threshold = max(LEAST_DIFFERENCE, NOISE_FACTOR * self._noise)
        moving = (size > threshold).astype(np.uint8)
        for box in self._ignore:
            height, width = moving.shape
            rows = slice(math.floor(box.y * height), math.ceil((box.y + box.height) * height))
            columns = slice(math.floor(box.x * width), math.ceil((box.x + box.width) * width))
            moving[rows, columns] = 0
        if moving.mean() > EVERYWHERE:
            return nothing, True
        opened = cv2.morphologyEx(moving, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
        return np.asarray(opened, np.uint8), False


def small_luma(frame: Frame) -> Luma:
    """The brightness of a frame, (h, w) uint8, its long side at most `LONG_SIDE` pixels."""
    if frame.luma is not None:
        return frame.luma(LONG_SIDE)
    grey = cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)
    return shrink_luma(np.asarray(grey, np.uint8), LONG_SIDE)
