"""What moves in a standing camera's picture, from differences of brightness between frames.

Works on small pictures of at most `LONG_SIDE` pixels. Light that is switched, sensor noise and a
camera that turns are no motion:

- Thresholds follow the noise of the picture, measured as the median difference between frames.
- A change of all brightness at once is taken off before pixels are compared.
- Where much changes at once, pixels are compared relative to the brightness around them, which
  light changes and motion does not.
- Where most of the picture changes, or a shift of the whole picture explains what does, nothing is
  known to move: `Motion.everywhere` says so.
"""

from __future__ import annotations

import functools
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import numpy.typing as npt

from ecolite_stream.model.preprocess import shrink_luma
from ecolite_stream.types import Box, FloatArray, Frame, Luma
from ecolite_stream.views.faint import FaintMotion

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
SMALLEST_SIDE = 16
"""Pixels of the short side below which nobody looks for a shift of the whole picture."""
CLEAR = 0.0015
"""Share of pixels that move from which on nobody looks for faint motion."""
EVERYWHERE = 0.5
"""Share of pixels that move beyond which the camera or the light does."""
SUDDEN, SUDDEN_LEVELS = 0.1, 3
"""Share of pixels that differ, and levels of their median, that light or the camera may explain."""
AROUND = 15
"""Pixels of the side of the surroundings whose brightness tells light from motion."""
SPREAD = 0.02
"""Share of pixels that differ from which on the camera may have turned."""
TURNED_CELLS, TURNED_LEFT = 0.3, 0.6
"""A turn of the camera moves pixels in more than this share of cells of the picture.

Once it is undone, less than this share of differences is left.
"""
ACTIVE = 0.37
"""Recent motion above which a pixel is active: it moved less than `RECENT_S` ago."""

Mask = npt.NDArray[np.uint8]
"""(h, w) uint8, 0 or 1."""

_BLOCKS = {side: np.ones((side, side), np.uint8) for side in (2, 3, 5)}


@dataclass(frozen=True, eq=False)
class Motion:
    """What moves at one look.

    Attributes:
        time_s: stream time of the look.
        moving: (h, w), what moves now.
        active: (h, w), what has moved lately.
        everywhere: most of the picture changes: the camera turns, or the light does.
        looked: whether this is a new look, and not the one before once more.
        faint: (h, w), what moves too little for one look, and has for a while (`views.faint`);
            None where nothing does.
    """

    time_s: float
    moving: Mask = field(repr=False)
    active: Mask = field(repr=False)
    everywhere: bool = False
    looked: bool = True
    faint: Mask | None = field(default=None, repr=False)

    def each(self, change: Callable[[Mask], Mask]) -> Motion:
        """The motion with all of its masks changed."""
        faint = None if self.faint is None else change(self.faint)
        if faint is not None and not cv2.countNonZero(faint):
            faint = None
        return replace(self, moving=change(self.moving), active=change(self.active), faint=faint)

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
    """Finds what moves in the frames of one stream."""

    def __init__(self) -> None:
        self._past: deque[tuple[float, Luma]] = deque()
        self._recent = np.zeros((1, 1), np.float32)
        self._last: Motion | None = None
        self._repeated: Motion | None = None
        self._noise = 0.0
        self._faint = FaintMotion()

    def look(self, frame: Frame) -> Motion:
        """Look at the next frame; its brightness is read only where a look is due."""
        last = self._last
        if last is not None and 0 <= frame.time_s - last.time_s < LOOK_S:
            return self._repeat(last)
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
                return self._repeat(last)
        grey = cv2.GaussianBlur(luma, (3, 3), 0)
        moving, everywhere, faint = self._compare(np.asarray(grey, np.uint8), time_s)
        if last is None:
            self._recent = np.zeros(luma.shape, np.float32)
        else:
            self._recent *= np.float32(math.exp(-(time_s - last.time_s) / RECENT_S))
        self._recent[moving.view(np.bool_)] = 1
        active = (self._recent > ACTIVE).view(np.uint8)
        self._last = Motion(time_s, moving, active, everywhere, faint=faint)
        self._repeated = None
        return self._last

    def _repeat(self, last: Motion) -> Motion:
        if self._repeated is None:
            self._repeated = replace(last, looked=False)
        return self._repeated

    def _reset(self) -> None:
        self._past.clear()
        self._last = None
        self._noise = 0.0
        self._faint.reset()

    def _compare(self, grey: Luma, time_s: float) -> tuple[Mask, bool, Mask | None]:
        """(what differs from `LAG_S` before, whether that is everywhere, faint motion)."""
        past = self._past
        nothing = np.zeros(grey.shape, np.uint8)
        while len(past) > 1 and time_s - past[1][0] >= LAG_S - 1e-3:
            past.popleft()
        before = past[0][1] if past else None
        past.append((time_s, grey))
        if before is None:
            return nothing, False, None
        shift, size = _difference(grey, before)
        differs = _above(size, LEAST_DIFFERENCE)
        share = _share(differs)
        if share > SPREAD and _turned(grey, before, differs):
            return nothing, True, None
        sudden = share > SUDDEN or abs(shift) >= SUDDEN_LEVELS
        if sudden:
            size = _relit_difference(grey, before)
        noise = _noise(size)
        # A picture of noise is noisy for long, one that moves only for a while.
        self._noise = noise if noise < self._noise else self._noise + 0.1 * (noise - self._noise)
        moving = _above(size, max(LEAST_DIFFERENCE, NOISE_FACTOR * self._noise))
        if _share(moving) > EVERYWHERE:
            return nothing, True, None
        # Light leaves thin lines along edges, where it is not the same on both sides.
        opened = cv2.morphologyEx(moving, cv2.MORPH_OPEN, _BLOCKS[3 if sudden else 2])
        faint = None
        if not sudden and _share(opened) < CLEAR:  # next to clear motion it does not matter
            faint = self._faint.observe(size, max(noise, self._noise), time_s)
        return np.asarray(opened, np.uint8), False, faint


def _above(size: Luma, least: float) -> Mask:
    """Pixels whose difference is above `least` levels."""
    _, above = cv2.threshold(size, min(math.floor(least), 255), 1, cv2.THRESH_BINARY)
    return np.asarray(above, np.uint8)


def _share(mask: Mask) -> float:
    return cv2.countNonZero(mask) / mask.size


def _difference(grey: Luma, before: Luma) -> tuple[int, Luma]:
    """(median change in levels, size of each pixel's change beyond the median, (h, w) uint8)."""
    # Light that is switched, or an exposure that adapts, moves the median of all pixels.
    sample = grey[::4, ::4].astype(np.int16) - before[::4, ::4]
    middles = (sample.size - 1) // 2, sample.size // 2
    ordered = np.partition(sample.ravel(), middles)
    shift = int((int(ordered[middles[0]]) + int(ordered[middles[1]])) / 2)
    if shift == 0:
        return 0, np.asarray(cv2.absdiff(grey, before), np.uint8)
    size = grey.astype(np.int16)
    size -= before
    size -= np.int16(shift)
    return shift, np.asarray(cv2.convertScaleAbs(size), np.uint8)


def _noise(size: Luma) -> float:
    """Median of differences, in levels."""
    sample = np.ascontiguousarray(size[::2, ::2])
    counts = cv2.calcHist([sample], [0], None, [256], [0, 256]).ravel().cumsum()
    middles = np.searchsorted(counts, ((sample.size - 1) // 2, sample.size // 2), side="right")
    return float(middles.mean())


def _relit_difference(grey: Luma, before: Luma) -> Luma:
    """How much each pixel changed beyond the brightness around it, (h, w) uint8."""
    expected = cv2.blur(grey, (AROUND, AROUND)).astype(np.float32)
    around_then = cv2.blur(before, (AROUND, AROUND)).astype(np.float32)
    expected += 1
    around_then += 1
    expected /= around_then
    expected *= before
    np.minimum(expected, 255, out=expected)
    return np.asarray(cv2.absdiff(grey, expected.astype(np.uint8)), np.uint8)


def _turned(grey: Luma, before: Luma, moving: Mask) -> bool:
    """Whether a shift of the whole picture explains most of what moves."""
    cells = cv2.resize(moving.astype(np.float32), (8, 6), interpolation=cv2.INTER_AREA)
    if np.count_nonzero(cells > 0.01) / cells.size < TURNED_CELLS:
        return False
    height, width = grey.shape
    if min(height, width) < SMALLEST_SIDE:
        return False
    (x, y), _ = cv2.phaseCorrelate(np.float32(before), np.float32(grey), _window(width, height))
    if math.hypot(x, y) < 0.5:
        return False
    shifted = cv2.warpAffine(before, np.array([[1, 0, x], [0, 1, y]], np.float32), (width, height))
    rows = slice(math.ceil(max(y, 0)), height + math.floor(min(y, 0)))
    columns = slice(math.ceil(max(x, 0)), width + math.floor(min(x, 0)))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return False  # nothing of the picture is left: noise, not a turn
    grey = grey[rows, columns]
    left, was = (
        cv2.min(cv2.absdiff(grey, np.asarray(other, np.uint8)[rows, columns]), LEAST_DIFFERENCE)
        for other in (shifted, before)
    )
    # Where people move, a shift that explains them displaces the faint texture of the wall behind.
    moved = cv2.dilate(moving, _BLOCKS[5])[rows, columns]
    still = cv2.compare(moved, 0, cv2.CMP_EQ)
    if cv2.norm(left, cv2.NORM_L1, still) > cv2.norm(was, cv2.NORM_L1, still):
        return False
    return bool(cv2.norm(left, cv2.NORM_L1) < TURNED_LEFT * cv2.norm(was, cv2.NORM_L1))


@functools.lru_cache(maxsize=8)
def _window(width: int, height: int) -> FloatArray:
    """The window that fades the edges of a picture before two are correlated, (h, w) float32."""
    return np.asarray(cv2.createHanningWindow((width, height), cv2.CV_32F), np.float32)


def small_luma(frame: Frame) -> Luma:
    """The brightness of a frame, (h, w) uint8, its long side at most `LONG_SIDE` pixels."""
    if frame.luma is not None:
        return frame.luma(LONG_SIDE)
    grey = cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)
    return shrink_luma(np.asarray(grey, np.uint8), LONG_SIDE)
